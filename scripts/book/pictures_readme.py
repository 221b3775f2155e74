"""Pictures of README: what dpnn is; its speed, from README's own tables."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes
from paper import (
    BLUE,
    FAINT,
    GREEN,
    HAIR,
    INK,
    ORANGE,
    PINK,
    arrow,
    board,
    charts,
    frame,
    matrix,
    named_rows,
    save,
    say,
)

Range = tuple[float, float]
FULL = [(row, column) for row in range(5) for column in range(7)]


def draw(text: str, folder: Path) -> list[Path]:
    return [overview(folder / "overview.svg"), speed(text, folder / "speed.svg")]


def overview(path: Path) -> Path:
    """Driver above, executors below; weights go down, sums come up."""
    figure, axes = board(9.5, 5.875, (30, 18.55))
    words = partial(say, axes, fontsize=12)
    frame(axes, (5.6, 12.6), (18.8, 5.4), INK)
    words(6.4, 17.0, "driver", weight="bold", ha="left")
    words(15, 15.6, "all weights, one vector")
    x = 6.5
    for count, hue in ((7, BLUE), (3, GREEN), (5, ORANGE), (2, PINK)):
        matrix(axes, (x, 14.4), (1, count), hue, lit=FULL)
        x += count
    for i, x in enumerate((0.5, 10.4, 20.3)):
        frame(axes, (x, 0.5), (9.2, 7.0), BLUE)
        words(x + 0.6, 6.5, f"executor {i + 1}", BLUE, weight="bold", ha="left")
        matrix(axes, (x + 0.8, 5.5), (5, 3), GREEN, 0.62, lit=FULL)
        words(x + 3.15, 3.95, "@")
        matrix(axes, (x + 3.7, 4.9), (3, 4), BLUE, 0.62, lit=FULL)
        words(x + 6.7, 3.95, "@")
        matrix(axes, (x + 7.25, 5.2), (4, 2), ORANGE, 0.62, lit=FULL)
        words(x + 1.73, 1.35, "Parquet", FAINT)
        words(x + 6.1, 1.35, "NumPy", FAINT)
        low, high = x + 4.6, 15 + 5.2 * (i - 1)
        arrow(axes, (high - 0.6, 12.4), (low - 0.6, 7.8), INK, width=1.8)
        arrow(axes, (low + 0.6, 7.8), (high + 0.6, 12.4), ORANGE, width=1.8)
    words(5.9, 10.6, "weights", ha="right")
    words(24.3, 10.6, "sums of\ngradients", ORANGE, ha="left")
    return save(figure, path, "Weights go to where the rows lie, sums of gradients come back")


def speed(text: str, path: Path) -> Path:
    """Two of the tables under "Speed" in README: lowest and highest of runs, as bars."""
    figure, panels = charts(8, 6.4, 1, 2, height_ratios=(1, 2.6))
    epochs = table(text, "| | seconds an epoch |")
    axes = panels[0]
    for y, (name, (span,)) in enumerate(reversed(epochs.items())):
        _span(axes, y, span, BLUE if name.startswith("dpnn") else ORANGE, 8)
    axes.set(xscale="log", xlabel="seconds an epoch of MNIST (log)", ylim=(-0.6, len(epochs) - 0.4))
    axes.set_xlim(0.25, 8)
    axes.set_xticks([0.5, 1, 2, 5], ["0.5", "1", "2", "5"])
    axes.minorticks_off()
    names = [name.replace("`", "").removesuffix(", no Spark") for name in reversed(epochs)]
    named_rows(axes, names)

    shares = table(text, "| lowest and highest of runs on three days |")
    axes = panels[1]
    axes.axvline(1, color=ORANGE, linewidth=1.6)
    for y, spans in enumerate(reversed(shares.values())):
        for shift, span, hue in zip((0.2, -0.2), (spans[0], spans[2]), (BLUE, GREEN), strict=True):
            _span(axes, y + shift, span, hue, 5)
    for hue, label in ((BLUE, "dpnn, one thread"), (GREEN, "dpnn, two tasks"), (ORANGE, "torch")):
        axes.plot([], [], color=hue, linewidth=5, label=label)
    axes.set(xlabel="time of a step, that of torch being 1", ylim=(-0.6, len(shares) - 0.4))
    axes.set_xlim(0, 2)
    names = [re.sub(r", (batch|8 heads|T) .*", "", name) for name in reversed(shares)]
    named_rows(axes, names)
    axes.legend(loc="upper right", handlelength=1.2)
    for axes in panels:
        axes.grid(axis="x", color=HAIR, alpha=0.5)
    return save(figure, path, "Time of an epoch of MNIST, and of a step beside torch's")


def _span(axes: Axes, y: float, span: Range, hue: str, width: float) -> None:
    axes.plot(span, [y, y], color=hue, linewidth=width, solid_capstyle="round")


def table(text: str, head: str) -> dict[str, list[Range]]:
    """Row -> the (lowest, highest) in its cells, of the table that begins so."""
    found: dict[str, list[Range]] = {}
    for line in text[text.index(head) :].splitlines()[2:]:
        if not line.startswith("|"):
            break
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        numbers = [[float(one) for one in re.findall(r"\d+\.?\d*", cell)] for cell in cells]
        found[name] = [(cell[0], cell[-1]) for cell in numbers]
    return found
