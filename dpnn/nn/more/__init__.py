"""Further layers, losses, optimizers and schedules, written against what the book defines."""
