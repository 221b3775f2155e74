"""What the book's pictures share: their paper, colours and strokes.

`save` writes an SVG that is readable on white and on black: it has paper of its own, and a style
sheet that turns paper and ink where the reader prefers dark. Letters are outlines, so that no
reader's fonts can move them.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

PAPER, INK, FAINT, HAIR = "#ffffff", "#1f2430", "#667085", "#c9ced8"
BLUE, ORANGE, GREEN, PINK = "#2f6fde", "#d9730d", "#23855a", "#c0398f"
PALE = {BLUE: "#d8e5fb", ORANGE: "#fbe4cd", GREEN: "#d3eee0", PINK: "#f8dcee", INK: "#eceef2"}
DARK = {
    PAPER: "#12161f",
    INK: "#e9ecf2",
    FAINT: "#9aa4b5",
    HAIR: "#3b4354",
    BLUE: "#6ea3ff",
    ORANGE: "#ffa04d",
    GREEN: "#58c797",
    PINK: "#f07cc6",
    PALE[BLUE]: "#1f355e",
    PALE[ORANGE]: "#513216",
    PALE[GREEN]: "#17422f",
    PALE[PINK]: "#4a1f3c",
    PALE[INK]: "#232a38",
}

TIGHT = 0.8  # of a drawing's inches: so much larger are its letters on a page of any width

mpl.rcParams.update(
    {
        "font.family": "DejaVu Sans",
        "font.size": 11,
        "mathtext.fontset": "dejavusans",
        "axes.edgecolor": FAINT,
        "axes.labelcolor": INK,
        "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, PINK]),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": 12,
        "figure.facecolor": PAPER,
        "axes.facecolor": PAPER,
        "grid.color": HAIR,
        "legend.frameon": False,
        "legend.labelcolor": INK,
        "svg.fonttype": "path",
        "svg.hashsalt": "dpnn",
        "text.color": INK,
        "xtick.color": FAINT,
        "xtick.labelcolor": INK,
        "ytick.color": FAINT,
        "ytick.labelcolor": INK,
    }
)


def board(width: float, height: float, units: tuple[float, float]) -> tuple[Figure, Axes]:
    """An empty drawing of so many inches, whose coordinates run from (0, 0) to `units`."""
    figure = Figure(figsize=(TIGHT * width, TIGHT * height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, units[0]), ylim=(0, units[1]), aspect="equal")
    axes.axis("off")
    return figure, axes


def charts(
    width: float, height: float, columns: int = 1, rows: int = 1, **options: Any
) -> tuple[Figure, Any]:
    """A figure with charts side by side, and their axes in reading order."""
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    return figure, figure.subplots(rows, columns, squeeze=False, **options).reshape(-1)


def loss_chart(epochs: Any) -> tuple[Figure, Axes]:
    """A chart for the loss curves of runs over the same epochs."""
    figure, (axes,) = charts(7, 3.2)
    axes.set(xlabel="epoch", ylabel="training loss a row", xticks=epochs)
    axes.grid(alpha=0.5)
    return figure, axes


def named_rows(axes: Axes, names: Any) -> None:
    """A chart of bars: a name before each, from the lowest up, and no line between."""
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def say(axes: Axes, x: float, y: float, text: str, colour: str = INK, **how: Any) -> None:
    """Words with their middle at (x, y)."""
    axes.text(x, y, text, **({"ha": "center", "va": "center", "color": colour} | how))


def matrix(
    axes: Axes,
    at: tuple[float, float],
    shape: tuple[int, int],
    colour: str = BLUE,
    cell: float = 1.0,
    name: str = "",
    axis: tuple[str, str] = ("", ""),
    lit: Any = (),
) -> None:
    """A matrix, its top left corner at `at`: cells, name above, axes' names beside and below.

    lit   the (row, column) of the cells that are filled in full
    """
    (x, y), (rows, columns) = at, shape
    for row in range(rows):
        for column in range(columns):
            full = (row, column) in lit
            axes.add_patch(
                Rectangle(
                    (x + column * cell, y - (row + 1) * cell),
                    cell,
                    cell,
                    facecolor=colour if full else PALE[colour],
                    edgecolor=PAPER,
                    linewidth=1.2,
                )
            )
    middle = x + columns * cell / 2
    if name:
        axes.text(middle, y + 0.25, name, ha="center", va="bottom", color=colour, weight="bold")
    if axis[0]:
        axes.text(x - 0.2, y - rows * cell / 2, axis[0], ha="right", va="center", color=FAINT)
    if axis[1]:
        axes.text(middle, y - rows * cell - 0.2, axis[1], ha="center", va="top", color=FAINT)


def boxed(
    axes: Axes, x: float, y: float, shape: tuple[int, int], colour: str, cell: float, **how: Any
) -> None:
    """A matrix with its middle at (x, y)."""
    corner = (x - shape[1] * cell / 2, y + shape[0] * cell / 2)
    matrix(axes, corner, shape, colour, cell, **how)


def frame(
    axes: Axes, corner: tuple[float, float], size: tuple[float, float], colour: str, **how: Any
) -> None:
    """A box with round corners, its lower left one at `corner`."""
    look: dict[str, Any] = {"facecolor": "none", "edgecolor": colour, "linewidth": 1.4}
    shape = "round,pad=0,rounding_size=0.4"
    axes.add_patch(FancyBboxPatch(corner, *size, boxstyle=shape, **(look | how)))


def arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str = FAINT,
    bend: float = 0.0,
    width: float = 1.4,
    style: str = "-|>",
) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle=style,
            connectionstyle=f"arc3,rad={bend}",
            mutation_scale=11,
            linewidth=width,
            color=colour,
            shrinkA=0,
            shrinkB=0,
        )
    )


def save(figure: Figure, path: Path, title: str) -> Path:
    """Writes the picture as SVG in light and dark; `title` is what a screen reader says."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    text = re.sub(r'\b(d|x|y)="[^"]*"', _short, out.getvalue())
    rules = "".join(
        f'[style*="{what}: {light}"]{{{what}:{dark}!important}}'
        for light, dark in DARK.items()
        for what in ("fill", "stroke")
    )
    sheet = f"<style>@media (prefers-color-scheme:dark){{{rules}}}</style>"
    text, count = re.subn(r"(<svg [^>]*>)", rf"\1\n {sheet}", text, count=1)
    if not count:
        raise ValueError(f"{path} has no svg element")
    path.write_text(text, "utf-8")
    return path


def _short(attribute: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point."""
    return re.sub(r"(\.\d\d)\d+", r"\1", attribute[0])
