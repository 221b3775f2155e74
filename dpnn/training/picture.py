"""A history as a picture: a panel for the loss and each metric. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpnn.training.history import History

SETTLING = 0.1  # of the epochs, at the beginning: what a fit leaves there sets no axis
MARGIN = 0.06  # of an axis's height, above and below the curves
DECADES = 10.0  # how many times the lowest the highest must be for a logarithmic axis
BLUE, ORANGE, GREY = "#3465a4", "#d9661f", "#5f6368"


def draw(history: History) -> Any:
    """A matplotlib figure that a notebook shows as it is."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise ModuleNotFoundError("history.plot needs: pip install 'dpnn[plot]'") from None

    class Picture(Figure):
        """A figure made without pyplot has no picture of its own for a notebook."""

        def _repr_png_(self) -> bytes:
            from io import BytesIO

            found = BytesIO()
            self.savefig(found, format="png", dpi=110)
            return found.getvalue()

    names = panels(history)
    columns = min(len(names), 3) or 1
    lines = -(-len(names) // columns) or 1
    figure = Picture(figsize=(4.4 * columns + 0.4, 3.1 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel in axes[len(names) :]:
        panel.remove()
    for panel, name in zip(axes, names, strict=False):
        _panel(panel, history, name)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    return figure


def panels(history: Mapping[str, list[Any]]) -> list[str]:
    """The figures that are drawn: numbers of a training or validation set."""
    found = [name.removeprefix("val_") for name, values in history.items() if _drawn(name, values)]
    return list(dict.fromkeys(found))


def limits(curves: list[list[Any]], log: bool) -> tuple[float, float] | None:
    """The axis for what comes after the first epochs; None where there is nothing to see."""
    skip = max(1, round(SETTLING * len(curves[0]))) if len(curves[0]) > 2 else 0
    seen = [v for curve in curves for v in curve[skip:] if _finite(v) and (v > 0 or not log)]
    if not seen:
        return None
    low, high = min(seen), max(seen)
    if log:
        room = (high / low) ** MARGIN
        return low / room, high * room
    room = MARGIN * (high - low) or MARGIN * abs(high) or 1.0
    return low - room, high + room


def logarithmic(curves: list[list[Any]]) -> bool:
    """Whether the values are all above 0 and fall, or rise, over more than a decade."""
    skip = 1 if len(curves[0]) > 2 else 0
    seen = [v for curve in curves for v in curve[skip:] if _finite(v)]
    return bool(seen) and min(seen) > 0 and max(seen) / min(seen) > DECADES


def _panel(panel: Any, history: History, name: str) -> None:
    epochs, kept = history["epoch"], history.kept_epoch
    named = [(name, "training", BLUE), (f"val_{name}", "validation", ORANGE)]
    named = [line for line in named if line[0] in history]
    curves = [history[key] for key, _, _ in named]
    log = logarithmic(curves)
    few = {"marker": "o", "markersize": 3.5} if len(epochs) <= 30 else {}
    for key, label, colour in named:
        values = [v if _finite(v) else float("nan") for v in history[key]]
        panel.plot(epochs, values, label=label, color=colour, linewidth=1.8, **few)
    if log:
        panel.set_yscale("log")
    if (wide := limits(curves, log)) is not None:
        panel.set_ylim(*wide)
        _told(panel, epochs, named, history, wide)
    if kept is not None:
        panel.axvline(kept, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        _mark(panel, history, named, kept)
    panel.set_title(name, loc="left", fontsize=11, fontweight="bold")
    panel.set_xlabel("epoch", fontsize=9, color=GREY)
    panel.tick_params(labelsize=9, color=GREY, labelcolor=GREY)
    panel.grid(axis="y", color="#e3e5e8", linewidth=0.8)
    panel.set_axisbelow(True)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        panel.spines[side].set_color("#b8bcc2")
    panel.legend(frameon=False, fontsize=9, loc="best")


def _mark(panel: Any, history: History, named: list[Any], kept: int) -> None:
    """A ring around the kept epoch's value, and that value in words."""
    key, _, colour = named[-1]
    value = history.figures(kept).get(key)
    if not _finite(value):
        return
    label = f"kept: epoch {kept}, {value:.4g}"
    style = {"marker": "o", "markersize": 8, "markerfacecolor": "white", "markeredgewidth": 2}
    panel.plot([kept], [value], linestyle="", color=colour, label=label, zorder=5, **style)


def _told(
    panel: Any, epochs: list[int], named: list[Any], history: History, wide: tuple[float, float]
) -> None:
    """Where a curve begins outside of the axis: its first value, at the edge."""
    low, high = wide
    for key, _, colour in named:
        first = history[key][0]
        if not _finite(first) or low <= first <= high:
            continue
        above = first > high
        panel.annotate(
            f"{first:.3g} {'↑' if above else '↓'}",
            (epochs[0], high if above else low),
            xytext=(4, -2 if above else 2),
            textcoords="offset points",
            va="top" if above else "bottom",
            fontsize=8,
            color=colour,
        )


def _drawn(name: str, values: list[Any]) -> bool:
    return name not in ("epoch", "seconds") and any(isinstance(v, float) for v in values)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and isfinite(value)
