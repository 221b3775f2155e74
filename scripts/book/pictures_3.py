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
    PAPER,
    PINK,
    arrow,
    board,
    matrix,
    save,
)


def draw(names: dict[str, Any], folder: Path) -> list[Path]:
    return [
        flat_vector(folder / "flat-vector.svg"),
        im2col(folder / "im2col.svg"),
        attention(folder / "attention.svg"),
        lstm(folder / "lstm.svg"),
    ]


def _say(axes: Axes, x: float, y: float, text: str, colour: str = INK, **how: Any) -> None:
    axes.text(x, y, text, **({"ha": "center", "va": "center", "color": colour} | how))


def _boxed(
    axes: Axes, x: float, y: float, shape: tuple[int, int], cell: float, hue: str, **how: Any
) -> None:
    """A matrix with its middle at (x, y)."""
    corner = (x - shape[1] * cell / 2, y + shape[0] * cell / 2)
    matrix(axes, corner, shape, hue, cell, **how)


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
        for i in range(count):
            axes.add_patch(
                Rectangle(
                    (place + i * cell, low),
                    cell,
                    cell,
                    facecolor=PALE[hue],
                    edgecolor=PAPER,
                    linewidth=1.2,
                )
            )
        bottom = 7.9 - shape[0] * cell / 2
        left, right = middle - shape[1] * cell / 2, middle + shape[1] * cell / 2
        ends = [(place, low + cell), (place + count * cell, low + cell), (right, bottom)]
        axes.add_patch(
            Polygon([*ends, (left, bottom)], facecolor=PALE[hue], alpha=0.35, edgecolor="none")
        )
        _boxed(axes, middle, 7.9, shape, cell, hue, name=name)
        _say(axes, right + 0.25, 7.9, str(shape if shape[0] > 1 else shape[1:]), FAINT, ha="left")
        _say(axes, place + count * cell / 2, low - 0.45, f"{count}", hue, weight="bold")
        place += count * cell
    what = "the flat vector: what an optimizer, a file and the network between machines see"
    _say(axes, start, 0.9, what, FAINT, ha="left")
    _say(axes, start, 11.1, "the windows that the layers see", FAINT, ha="left")
    save(figure, path, "One flat vector, and the windows into it that the layers see")
    return path


def im2col(path: Path) -> Path:
    figure, axes = board(10, 3.8, (30, 11.4))
    cell, middle = 0.9, 5.7
    under = [(row, column) for row in range(1, 4) for column in range(1, 4)]
    _say(axes, 3.4, 10.8, "a picture (5, 5)", weight="bold")
    _boxed(axes, 3.4, middle, (5, 5), cell, GREEN, lit=under)
    _frame(axes, 3.4, middle, 3 * cell, 3 * cell)
    _say(axes, 3.4, 2.4, "the kernel at\nplace 5 of 9", FAINT)
    arrow(axes, (6.0, middle), (9.3, middle), INK)
    _say(axes, 7.6, 6.7, "its pixels\nas a row", FAINT)
    _say(axes, 14.0, 10.8, "rows (9, 9), one a place", weight="bold")
    _boxed(axes, 14.0, middle, (9, 9), cell, GREEN, lit=[(4, column) for column in range(9)])
    _frame(axes, 14.0, middle, 9 * cell, cell)
    _say(axes, 14.0, 0.9, "K · L · C pixels", FAINT)
    _say(axes, 19.2, middle, "@")
    _say(axes, 21.4, 10.8, "kernel (9, 2)", weight="bold")
    _boxed(axes, 21.4, middle, (9, 2), cell, BLUE)
    _say(axes, 21.4, 0.9, "O filters", FAINT)
    _say(axes, 23.8, middle, "=")
    _say(axes, 26.9, 10.8, "result (9, 2)", weight="bold")
    _boxed(axes, 26.9, middle, (9, 2), cell, ORANGE, lit=[(4, 0), (4, 1)])
    _say(axes, 26.9, 0.9, "3 · 3 places", FAINT)
    save(figure, path, "A convolution as a product: each place's pixels become a row")
    return path


def _frame(axes: Axes, x: float, y: float, width: float, height: float) -> None:
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=INK, linewidth=2))


def attention(path: Path) -> Path:
    figure, axes = board(10, 5.4, (30, 16.2))
    cell, lit = 0.72, 1
    row3, row5 = [(lit, c) for c in range(3)], [(lit, c) for c in range(5)]
    _say(axes, 0.8, 15.5, "three products", weight="bold", ha="left")
    _boxed(axes, 2.6, 11.6, (5, 4), cell, INK, name="x", axis=("T", "C"))
    for y, name, hue in ((14.0, "q", BLUE), (11.6, "k", GREEN), (9.2, "v", ORANGE)):
        arrow(axes, (4.5, 11.6 + 0.35 * (y - 11.6)), (7.2, y))
        _say(axes, 9.0, y, f"{name} = x W{name}", hue, weight="bold")
    axes.plot([11.4, 11.4], [0.8, 15.4], color=HAIR, linewidth=1)

    _say(axes, 12.0, 15.5, "who looks at whom", weight="bold", ha="left")
    _boxed(axes, 14.2, 11.6, (5, 3), cell, BLUE, name="q", axis=("T", "D"), lit=row3)
    _say(axes, 15.9, 11.6, "@")
    _boxed(axes, 19.2, 11.6, (3, 5), cell, GREEN, name="kᵀ", axis=("D", "T"))
    arrow(axes, (21.4, 11.6), (23.4, 11.6))
    _say(axes, 22.4, 12.3, "softmax", FAINT)
    _say(axes, 22.4, 10.9, "by row", FAINT)
    _boxed(axes, 26.4, 11.6, (5, 5), cell, PINK, name="shares", axis=("T", "T"), lit=row5)

    _say(axes, 12.0, 7.3, "and a mix of the values", weight="bold", ha="left")
    _boxed(axes, 14.9, 3.6, (5, 5), cell, PINK, name="shares", axis=("T", "T"), lit=row5)
    _say(axes, 17.8, 3.6, "@")
    _boxed(axes, 20.2, 3.6, (5, 3), cell, ORANGE, name="v", axis=("T", "D"))
    _say(axes, 22.6, 3.6, "=")
    _boxed(axes, 25.2, 3.6, (5, 3), cell, INK, name="y", axis=("T", "D"), lit=row3)
    _say(
        axes,
        5.4,
        4.4,
        "lit: what word 2 asks for,\nhow it shares its look\nover all words,\nand what it gets",
        FAINT,
    )
    save(figure, path, "Attention as products")
    return path


def lstm(path: Path) -> Path:
    figure, axes = board(10, 4.9, (30, 14.7))
    cell, hues = 0.8, (GREEN, BLUE, ORANGE, PINK)
    _say(axes, 0.8, 14.1, "one product …", weight="bold", ha="left")
    _boxed(axes, 2.6, 10.4, (3, 2), cell, INK, name="x at t", axis=("B", "I"))
    _boxed(axes, 5.4, 10.4, (3, 3), cell, INK, name="h", axis=("", "H"))
    _say(axes, 7.6, 10.4, "@")
    for i, hue in enumerate(hues):
        matrix(axes, (8.6 + 3 * i * cell, 10.4 + 2.5 * cell), (5, 3), hue, cell)
    _say(axes, 13.4, 12.9, "W, and U below it", FAINT)
    axes.plot([8.6, 18.2], [10.4 + 0.5 * cell] * 2, color=INK, linewidth=1.2)
    _say(axes, 19.2, 10.4, "=")
    for i, (name, hue) in enumerate(zip("ifog", hues, strict=True)):
        at = (20.2 + 3 * i * cell, 10.4 + 1.5 * cell)
        matrix(axes, at, (3, 3), hue, cell, name=name, axis=("", "H"))

    axes.plot([0.8, 29.6], [7.2, 7.2], color=HAIR, linewidth=1)
    _say(axes, 0.8, 6.5, "… and the rest number by number", weight="bold", ha="left")
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
        _boxed(axes, x, 2.9, (3, 3), cell, hue, name=name)
        _say(axes, x + 1.75, 2.9, sign)
    _say(axes, 7.8, 0.7, "keep", FAINT)
    _say(axes, 14.6, 0.7, "let in", FAINT)
    _say(axes, 26.5, 0.7, "show", FAINT)
    save(figure, path, "One time of an LSTM: one product, four parts")
    return path
