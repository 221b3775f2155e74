"""Pictures of chapter 3: the flat vector and its windows; im2col; attention; LSTM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Polygon, Rectangle
from paper import (
    BLUE,
    FAINT,
    GREEN,
    HAIR,
    INK,
    ORANGE,
    PALE,
    PINK,
    arrow,
    board,
    boxed,
    matrix,
    save,
    say,
)


def draw(names: dict[str, Any], folder: Path) -> list[Path]:
    return [
        flat_vector(folder / "flat-vector.svg"),
        im2col(folder / "im2col.svg"),
        attention(folder / "attention.svg"),
        lstm(folder / "lstm.svg"),
    ]


def flat_vector(path: Path) -> Path:
    """One row of cells; above it the layers' matrices, each over the piece that it looks at."""
    figure, axes = board(10, 3.9, (30, 11.7))
    cell, start, low = 1.04, 0.96, 2.6
    parts = (
        ("0.W", (2, 4), BLUE, 5.0),
        ("0.b", (1, 4), GREEN, 12.6),
        ("2.W", (4, 3), ORANGE, 19.6),
        ("2.b", (1, 3), PINK, 26.6),
    )
    place = start
    for name, shape, hue, middle in parts:
        count = shape[0] * shape[1]
        matrix(axes, (place, low + cell), (1, count), hue, cell)
        bottom = 7.9 - shape[0] * cell / 2
        left, right = middle - shape[1] * cell / 2, middle + shape[1] * cell / 2
        ends = [(place, low + cell), (place + count * cell, low + cell), (right, bottom)]
        axes.add_patch(
            Polygon([*ends, (left, bottom)], facecolor=PALE[hue], alpha=0.35, edgecolor="none")
        )
        boxed(axes, middle, 7.9, shape, hue, cell, name=name)
        say(axes, right + 0.25, 7.9, str(shape if shape[0] > 1 else shape[1:]), FAINT, ha="left")
        say(axes, place + count * cell / 2, low - 0.45, f"{count}", hue, weight="bold")
        place += count * cell
    what = "the flat vector: what an optimizer, a file and the network between machines see"
    say(axes, start, 0.9, what, FAINT, ha="left")
    say(axes, start, 11.1, "the windows that the layers see", FAINT, ha="left")
    return save(figure, path, "One flat vector, and the windows into it that the layers see")


def im2col(path: Path) -> Path:
    figure, axes = board(10, 3.8, (30, 11.4))
    cell, middle = 0.9, 5.7
    under = [(row, column) for row in range(1, 4) for column in range(1, 4)]
    say(axes, 3.4, 10.8, "a picture (5, 5)", weight="bold")
    boxed(axes, 3.4, middle, (5, 5), GREEN, cell, lit=under)
    _frame(axes, 3.4, middle, 3 * cell, 3 * cell)
    say(axes, 3.4, 2.4, "the kernel at\nplace 5 of 9", FAINT)
    arrow(axes, (6.0, middle), (9.3, middle), INK)
    say(axes, 7.6, 6.7, "its pixels\nas a row", FAINT)
    say(axes, 14.0, 10.8, "rows (9, 9), one a place", weight="bold")
    boxed(axes, 14.0, middle, (9, 9), GREEN, cell, lit=[(4, column) for column in range(9)])
    _frame(axes, 14.0, middle, 9 * cell, cell)
    say(axes, 14.0, 0.9, "K · L · C pixels", FAINT)
    say(axes, 19.2, middle, "@")
    say(axes, 21.4, 10.8, "kernel (9, 2)", weight="bold")
    boxed(axes, 21.4, middle, (9, 2), BLUE, cell)
    say(axes, 21.4, 0.9, "O filters", FAINT)
    say(axes, 23.8, middle, "=")
    say(axes, 26.9, 10.8, "result (9, 2)", weight="bold")
    boxed(axes, 26.9, middle, (9, 2), ORANGE, cell, lit=[(4, 0), (4, 1)])
    say(axes, 26.9, 0.9, "3 · 3 places", FAINT)
    return save(figure, path, "A convolution as a product: each place's pixels become a row")


def _frame(axes: Axes, x: float, y: float, width: float, height: float) -> None:
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=INK, linewidth=2))


def attention(path: Path) -> Path:
    figure, axes = board(10, 5.4, (30, 16.2))
    cell, lit = 0.72, 1
    row3, row5 = [(lit, c) for c in range(3)], [(lit, c) for c in range(5)]
    say(axes, 0.8, 15.5, "three products", weight="bold", ha="left")
    boxed(axes, 2.6, 11.6, (5, 4), INK, cell, name="x", axis=("T", "C"))
    for y, name, hue in ((14.0, "q", BLUE), (11.6, "k", GREEN), (9.2, "v", ORANGE)):
        arrow(axes, (4.5, 11.6 + 0.35 * (y - 11.6)), (7.2, y))
        say(axes, 9.0, y, f"{name} = x W{name}", hue, weight="bold")
    axes.plot([11.4, 11.4], [0.8, 15.4], color=HAIR, linewidth=1)

    say(axes, 12.0, 15.5, "who looks at whom", weight="bold", ha="left")
    boxed(axes, 14.2, 11.6, (5, 3), BLUE, cell, name="q", axis=("T", "D"), lit=row3)
    say(axes, 15.9, 11.6, "@")
    boxed(axes, 19.2, 11.6, (3, 5), GREEN, cell, name="kᵀ", axis=("D", "T"))
    arrow(axes, (21.4, 11.6), (23.4, 11.6))
    say(axes, 22.4, 12.3, "softmax", FAINT)
    say(axes, 22.4, 10.9, "by row", FAINT)
    boxed(axes, 26.4, 11.6, (5, 5), PINK, cell, name="shares", axis=("T", "T"), lit=row5)

    say(axes, 12.0, 7.3, "and a mix of the values", weight="bold", ha="left")
    boxed(axes, 14.9, 3.6, (5, 5), PINK, cell, name="shares", axis=("T", "T"), lit=row5)
    say(axes, 17.8, 3.6, "@")
    boxed(axes, 20.2, 3.6, (5, 3), ORANGE, cell, name="v", axis=("T", "D"))
    say(axes, 22.6, 3.6, "=")
    boxed(axes, 25.2, 3.6, (5, 3), INK, cell, name="y", axis=("T", "D"), lit=row3)
    say(
        axes,
        5.4,
        4.4,
        "lit: what word 2 asks for,\nhow it shares its look\nover all words,\nand what it gets",
        FAINT,
    )
    return save(figure, path, "Attention as products")


def lstm(path: Path) -> Path:
    figure, axes = board(10, 4.9, (30, 14.7))
    cell, hues = 0.8, (GREEN, BLUE, ORANGE, PINK)
    say(axes, 0.8, 14.1, "one product …", weight="bold", ha="left")
    boxed(axes, 2.4, 10.4, (3, 2), INK, cell, name="x at t", axis=("B", "I"))
    boxed(axes, 5.0, 10.4, (3, 3), INK, cell, name="h", axis=("", "H"))
    say(axes, 6.9, 10.4, "@")
    say(axes, 8.0, 11.6, "I", FAINT)
    say(axes, 8.0, 9.6, "H", FAINT)
    for i, hue in enumerate(hues):
        matrix(axes, (8.5 + 3 * i * cell, 10.4 + 2.5 * cell), (5, 3), hue, cell)
    say(axes, 13.3, 12.9, "W, and U below it", FAINT)
    say(axes, 13.3, 7.9, "4 H", FAINT)
    axes.plot([8.5, 18.1], [10.4 + 0.5 * cell] * 2, color=INK, linewidth=1.2)
    say(axes, 18.8, 10.4, "=")
    for i, (name, hue) in enumerate(zip("ifog", hues, strict=True)):
        at = (19.6 + 3 * i * cell, 10.4 + 1.5 * cell)
        matrix(axes, at, (3, 3), hue, cell, name=name, axis=("", "H"))

    axes.plot([0.8, 29.6], [7.2, 7.2], color=HAIR, linewidth=1)
    say(axes, 0.8, 6.5, "… and the rest number by number", weight="bold", ha="left")
    terms = (
        (2.4, "new c", INK, "="),
        (6.1, "σ(f)", BLUE, "·"),
        (9.5, "c", INK, "+"),
        (12.9, "σ(i)", GREEN, "·"),
        (16.3, "tanh(g)", PINK, ""),
        (21.2, "new h", INK, "="),
        (24.8, "σ(o)", ORANGE, "·"),
        (28.2, "tanh(c)", INK, ""),
    )
    for x, name, hue, sign in terms:
        boxed(axes, x, 2.9, (3, 3), hue, cell, name=name)
        say(axes, x + 1.75, 2.9, sign)
    say(axes, 7.8, 0.7, "keep", FAINT)
    say(axes, 14.6, 0.7, "let in", FAINT)
    say(axes, 26.5, 0.7, "show", FAINT)
    return save(figure, path, "One time of an LSTM: one product, four parts")
