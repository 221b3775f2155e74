"""Pictures of chapter 1: the drawing and its matrices; one layer three ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.patches import Circle
from paper import (
    BLUE,
    FAINT,
    GREEN,
    HAIR,
    INK,
    ORANGE,
    PALE,
    arrow,
    board,
    charts,
    matrix,
    named_rows,
    save,
)

SIZES = (3, 4, 2)
COLOURS = (GREEN, BLUE, ORANGE)


def draw(names: dict[str, Any], folder: Path) -> list[Path]:
    return [network(folder / "network.svg"), three_ways(names["cost"], folder / "three-ways.svg")]


def network(path: Path) -> Path:
    """Left circles and arrows, right matrices; one circle and its arrows are lit in both."""
    figure, axes = board(10, 4.4, (30, 13.2))
    xs, middle, lit = (2.2, 6.0, 9.8), 5.9, 1
    ys = [[middle + 2.2 * ((n - 1) / 2 - i) for i in range(n)] for n in SIZES]
    for layer in range(2):
        for start in ys[layer]:
            for j, end in enumerate(ys[layer + 1]):
                on = layer == 0 and j == lit
                axes.plot(
                    [xs[layer], xs[layer + 1]],
                    [start, end],
                    color=BLUE if on else HAIR,
                    linewidth=2.4 if on else 1.1,
                    zorder=2 if on else 1,
                )
    for layer, colour in enumerate(COLOURS):
        for j, y in enumerate(ys[layer]):
            on = layer == 1 and j == lit
            axes.add_patch(
                Circle(
                    (xs[layer], y),
                    0.68,
                    facecolor=colour if on else PALE[colour],
                    edgecolor=colour,
                    linewidth=1.6,
                    zorder=3,
                )
            )
    for x, name in zip(xs, ("numbers in", "circles", "scores"), strict=True):
        axes.text(x, 0.7, name, ha="center", color=FAINT)
    axes.text(6.0, 12.3, "the drawing", ha="center", weight="bold")
    axes.text(21.6, 12.3, "what it computes", ha="center", weight="bold")
    axes.plot([12.3, 12.3], [0.6, 12.7], color=HAIR, linewidth=1)

    cell = 0.78
    at = 13.9
    matrix(axes, (at, 10.1), (4, 3), GREEN, cell, "x", ("B", "I"))
    axes.text(at + 3.0, 8.9, "@", ha="center", va="center", color=INK)
    column = [(row, lit) for row in range(3)]
    matrix(axes, (at + 4.3, 10.1), (3, 4), BLUE, cell, "W1", ("I", "H"), column)
    axes.text(at + 8.15, 8.9, "+", ha="center", va="center", color=INK)
    matrix(axes, (at + 8.9, 10.1), (1, 4), BLUE, cell, "b1", ("", ""), [(0, lit)])
    down = [(row, lit) for row in range(4)]
    arrow(axes, (at + 12.4, 8.9), (at + 13.3, 8.9))
    axes.text(at + 14.6, 9.3, "clip", ha="center", va="center", color=FAINT)
    axes.text(at + 14.6, 8.5, "at 0", ha="center", va="center", color=FAINT)

    matrix(axes, (at, 4.6), (4, 4), BLUE, cell, "h", ("B", "H"), down)
    axes.text(at + 3.85, 3.1, "@", ha="center", va="center", color=INK)
    matrix(axes, (at + 5.2, 4.6), (4, 2), ORANGE, cell, "W2", ("H", "O"))
    axes.text(at + 7.5, 3.1, "+", ha="center", va="center", color=INK)
    matrix(axes, (at + 8.2, 4.6), (1, 2), ORANGE, cell, "b2", ("", ""))
    arrow(axes, (at + 10.4, 3.1), (at + 11.4, 3.1))
    matrix(axes, (at + 12.7, 4.6), (4, 2), ORANGE, cell, "z", ("B", "O"))
    return save(figure, path, "A network as circles and arrows, and as two matrix products")


def three_ways(cost: dict[str, float], path: Path) -> Path:
    figure, (axes,) = charts(8, 2.3)
    names = list(cost)[::-1]
    times = [cost[name] for name in names]
    bars = axes.barh(range(3), times, color=[BLUE, ORANGE, FAINT], height=0.6)
    axes.bar_label(bars, [f"{cost[name]:.3g} ms" for name in names], padding=5, color=INK)
    axes.set(xscale="log", xlabel="milliseconds for 64 rows, 100 numbers in, 50 circles (log)")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(min(cost.values()) / 2, max(cost.values()) * 4)
    named_rows(axes, names)
    return save(figure, path, "The time of one layer, three ways")
