"""Pictures of chapter 4: the seam; one step call by call; kernels plain and tuned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch
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
    charts,
    frame,
    named_rows,
    save,
    say,
)


def draw(names: dict[str, Any], folder: Path) -> list[Path]:
    return [
        seam(folder / "seam.svg"),
        step(names["calls"], folder / "step.svg"),
        kernels(names["pairs"], folder / "kernels.svg"),
    ]


def _box(axes: Axes, x: float, y: float, size: tuple[float, float], hue: str, text: str) -> None:
    """A box with its middle at (x, y)."""
    width, height = size
    frame(axes, (x - width / 2, y - height / 2), size, hue, facecolor=PALE[hue])
    say(axes, x, y, text, linespacing=1.4)


def seam(path: Path) -> Path:
    """Above the seam one text; below it a column for each library, down to what multiplies."""
    figure, axes = board(10, 5.1, (30, 15.3))
    formulas = ("h = max(x @ W1 + b1, 0)", "dW = xᵀ @ dy", "dx = dy @ Wᵀ")
    _box(axes, 15, 13.3, (20, 2.6), INK, "      ".join(formulas))
    axes.text(0.6, 13.3, "the\nmathematics", color=FAINT, va="center")
    axes.plot([0.6, 29.4], [10.5, 10.5], color=INK, linewidth=1.6, linestyle=(0, (6, 3)))
    axes.text(0.6, 10.9, "the seam", weight="bold", va="bottom")
    axes.text(29.4, 10.9, "dot(a, b)", ha="right", va="bottom", color=FAINT)
    columns = (
        (7.2, BLUE, "NumPy", "OpenBLAS", "processor"),
        (14.0, GREEN, "CuPy", "cuBLAS", "GPU"),
        (23.6, ORANGE, "torch's dispatcher", "", ""),
    )
    for x, hue, library, kernels_, device in columns:
        wide = 5.4 if kernels_ else 10.8
        arrow(axes, (x, 11.9), (x, 9.5), FAINT)
        _box(axes, x, 8.5, (wide, 1.8), hue, library)
        if kernels_:
            arrow(axes, (x, 7.5), (x, 6.2), FAINT)
            _box(axes, x, 5.2, (wide, 1.8), hue, kernels_)
            arrow(axes, (x, 4.2), (x, 2.9), FAINT)
            _box(axes, x, 1.9, (wide, 1.8), hue, device)
    for x, text, device in ((20.8, "MKL\noneDNN", "processor"), (26.4, "cuBLAS\ncuDNN", "GPU")):
        arrow(axes, (x, 7.5), (x, 6.2), FAINT)
        _box(axes, x, 5.2, (5.2, 1.8), ORANGE, text)
        arrow(axes, (x, 4.2), (x, 2.9), FAINT)
        _box(axes, x, 1.9, (5.2, 1.8), ORANGE, device)
    for y, text in ((8.5, "library"), (5.2, "kernels"), (1.9, "device")):
        axes.text(0.6, y, text, color=FAINT, va="center")
    return save(
        figure, path, "The seam: the same lines above, below them who multiplies, and where"
    )


def step(calls: list[tuple[str, list[tuple[int, ...]], int, float]], path: Path) -> Path:
    """One bar whose pieces are the calls in their order."""
    figure, (axes,) = charts(7.5, 2.4)
    left = 0.0
    for name, shapes, _, ms in calls:
        product = name == "dot" and len(shapes[0]) == 2
        hue = BLUE if product else PINK
        axes.barh(0, ms, left=left, color=hue, height=0.5, edgecolor="none")
        if product and ms > 0.05 * sum(call[3] for call in calls):
            (rows, inner), (_, columns), _ = shapes
            text = f"({rows}, {inner})\n@ ({inner}, {columns})"
            axes.text(left + ms / 2, 0.33, text, ha="center", va="bottom", fontsize=10)
        left += ms
    axes.set(xlabel="milliseconds since the step began", ylim=(-0.3, 0.75), xlim=(0, left))
    named_rows(axes, [])
    marks = [Patch(color=BLUE, label="5 products"), Patch(color=PINK, label="all other calls")]
    figure.legend(handles=marks, loc="outside upper right", ncols=2, handlelength=1)
    return save(figure, path, "One step, call by call")


def kernels(pairs: dict[str, tuple[float, float]], path: Path) -> Path:
    """For each kernel a dot for the plain definition and one for the tuned; the axis is a log."""
    figure, (axes,) = charts(8, 3.0)
    names = sorted(pairs, key=lambda name: pairs[name][0] / pairs[name][1])
    for y, name in enumerate(names):
        plain, tuned = pairs[name]
        axes.plot([tuned, plain], [y, y], color=HAIR, linewidth=3, zorder=1)
        axes.scatter([plain], [y], color=ORANGE, s=70, zorder=2, label="" if y else "plain")
        axes.scatter([tuned], [y], color=BLUE, s=70, zorder=2, label="" if y else "tuned")
        axes.text(plain * 1.25, y, f"{plain / tuned:.1f} times", va="center", color=FAINT)
    named_rows(axes, names)
    axes.set(xscale="log", xlabel="milliseconds a call (log)", ylim=(-0.6, len(names) - 0.4))
    times = [time for pair in pairs.values() for time in pair]
    axes.set_xlim(min(times) / 1.6, max(times) * 4)
    axes.xaxis.set_major_formatter("{x:g}")
    figure.legend(loc="outside upper right", ncols=2, handletextpad=0.2)
    return save(figure, path, "Six kernels, the plain definition and the tuned one")
