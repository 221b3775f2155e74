"""Pictures of chapter 6: the rows of uneven shards by step; a run taken up again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.patches import Rectangle
from paper import BLUE, FAINT, GREEN, INK, ORANGE, PALE, PAPER, PINK, board, charts, save

HUES = (BLUE, PALE[BLUE], ORANGE, PALE[ORANGE], GREEN, PALE[GREEN])


def draw(names: dict[str, Any], folder: Path) -> list[Path]:
    return [
        every_row_once(names["taken"], folder / "every-row-once.svg"),
        resumed(names["resumed"], names["undisturbed"], folder / "resumed.svg"),
    ]


def every_row_once(taken: dict[int, list[int]], path: Path) -> Path:
    """A line of cells for each shard, a cell a row; its colour is the step that takes it."""
    figure, axes = board(10, 3.6, (30, 10.8))
    cell, left = 0.9, 5.6
    for shard, (n, counts) in enumerate(taken.items()):
        y = 8.4 - 1.7 * shard
        axes.text(0.6, y + cell / 2, f"shard {shard}", va="center", color=INK)
        axes.text(5.1, y + cell / 2, f"{n}", va="center", ha="right", color=FAINT)
        x = left
        for hue, count in zip(HUES, counts, strict=True):
            for _ in range(count):
                axes.add_patch(
                    Rectangle((x, y), cell, cell, facecolor=hue, edgecolor=PAPER, linewidth=1.4)
                )
                x += cell
    axes.text(5.1, 9.9, "rows", ha="right", va="center", color=FAINT)
    for step, hue in enumerate(HUES):
        x = left + 3.5 * step
        axes.add_patch(Rectangle((x, 1.0), cell, cell, facecolor=hue, edgecolor=PAPER))
        axes.text(x + 1.2, 1.0 + cell / 2, f"step {step}", va="center", color=FAINT)
    save(figure, path, "Four uneven shards: which step takes which of their rows")
    return path


def resumed(second: Any, whole: Any, path: Path) -> Path:
    figure, (axes,) = charts(7, 3.2)
    epochs = whole.history["epoch"]
    axes.plot(epochs, whole.history["loss"], color=PALE[BLUE], linewidth=11, label="undisturbed")
    axes.plot(epochs, second.history["loss"], color=INK, linewidth=1.4, label="killed, taken up")
    axes.axvline(4 + 7 / 12, color=PINK, linewidth=1.2, linestyle=(0, (4, 3)))
    top = max(whole.history["loss"])
    axes.text(4.75, top, "killed here", color=PINK, va="top")
    axes.set(xlabel="epoch", ylabel="training loss a row")
    axes.set_xticks(epochs)
    axes.grid(alpha=0.5)
    axes.legend()
    save(figure, path, "The loss of a run that was killed and taken up, and of one that wasn't")
    return path
