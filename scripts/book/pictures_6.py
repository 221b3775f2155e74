"""Pictures of chapter 6: the rows of uneven shards by step; a run taken up again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paper import BLUE, FAINT, GREEN, INK, ORANGE, PALE, PINK, board, loss_chart, matrix, save, say

HUES = (BLUE, BLUE, ORANGE, ORANGE, GREEN, GREEN)  # by step: full, pale, full, …


def draw(names: dict[str, Any], folder: Path) -> list[Path]:
    return [
        every_row_once(names["taken"], folder / "every-row-once.svg"),
        resumed(names["resumed"], names["undisturbed"], folder / "resumed.svg"),
    ]


def every_row_once(taken: dict[int, list[int]], path: Path) -> Path:
    """A line of cells for each shard, a cell a row; its colour is the step that takes it."""
    figure, axes = board(10, 3.6, (30, 10.8))
    cell, left = 0.9, 5.6

    def cells(x: float, y: float, step: int, count: int) -> None:
        full = [(0, i) for i in range(count)] if step % 2 == 0 else []
        matrix(axes, (x, y + cell), (1, count), HUES[step], cell, lit=full)

    for shard, (n, counts) in enumerate(taken.items()):
        y = 8.4 - 1.7 * shard
        say(axes, 0.6, y + cell / 2, f"shard {shard}", ha="left")
        say(axes, 5.1, y + cell / 2, f"{n}", FAINT, ha="right")
        x = left
        for step, count in enumerate(counts):
            cells(x, y, step, count)
            x += cell * count
    say(axes, 5.1, 9.9, "rows", FAINT, ha="right")
    for step in range(len(HUES)):
        x = left + 3.5 * step
        cells(x, 1.0, step, 1)
        say(axes, x + 1.2, 1.0 + cell / 2, f"step {step}", FAINT, ha="left")
    return save(figure, path, "Four uneven shards: which step takes which of their rows")


def resumed(second: Any, whole: Any, path: Path) -> Path:
    epochs = whole.history["epoch"]
    figure, axes = loss_chart(epochs)
    axes.plot(epochs, whole.history["loss"], color=PALE[BLUE], linewidth=11, label="undisturbed")
    axes.plot(epochs, second.history["loss"], color=INK, linewidth=1.4, label="killed, taken up")
    axes.axvline(4 + 7 / 12, color=PINK, linewidth=1.2, linestyle=(0, (4, 3)))
    top = max(whole.history["loss"])
    axes.text(4.75, top, "killed here", color=PINK, va="top")
    axes.legend()
    return save(
        figure, path, "The loss of a run that was killed and taken up, beside one that wasn't"
    )
