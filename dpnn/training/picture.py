"""A history as a picture: a panel for the loss and each metric. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, log10
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from dpnn.training.history import History

SETTLED = 0.2  # of the epochs, from the beginning: those after it set the axis …
STRETCH = 2.0  # … and those before it may make it so many times as high, not higher
DECADES = 1.0  # of values above 0: more, and the axis is logarithmic
MARGIN = 0.06  # of an axis's height, above and below the curves
BLUE, ORANGE, GREY, LINES = "#2f6db3", "#dd6b20", "#5f6368", "#e3e5e8"


class Curve(NamedTuple):
    """The values of one figure; NaN where it is unknown."""

    label: str
    colour: str
    values: list[float]


def draw(history: History) -> Any:
    """A matplotlib figure that a notebook shows as it is."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ModuleNotFoundError("history.plot needs: pip install 'dpnn[plot]'") from None

    class Picture(Figure):
        """A figure that was made without pyplot has no picture for a notebook of its own."""

        def _repr_png_(self) -> bytes:
            from io import BytesIO

            found = BytesIO()
            self.savefig(found, format="png", dpi=110)
            return found.getvalue()

    names = panels(history)
    columns = {1: 1, 2: 2, 4: 2}.get(len(names), 3)
    rows = -(-len(names) // columns)
    figure = Picture(figsize=(4.6 * columns, 3.2 * rows), layout="constrained")
    for i, name in enumerate(names):
        _panel(figure.add_subplot(rows, columns, i + 1), history, name, legend=i == 0)
    return figure


def panels(history: Mapping[str, list[Any]]) -> list[str]:
    """The figures that are drawn: the loss and the metrics, of whichever set of rows."""
    found = [name.removeprefix("val_") for name, values in history.items() if _drawn(name, values)]
    return list(dict.fromkeys(found))


def logarithmic(curves: list[list[float]]) -> bool:
    """Whether the values, the first epochs' left out, are above 0 and go over a decade."""
    seen = _seen(curves, _settled(curves))
    return bool(seen) and min(seen) > 0 and log10(max(seen) / min(seen)) > DECADES


def limits(curves: list[list[float]], log: bool) -> tuple[float, float] | None:
    """The axis: what is settled, and of the epochs before as much as doesn't squash it.

    None where there is nothing to see.
    """
    scaled = [[_scale(v, log) for v in curve] for curve in curves]
    start = _settled(scaled)
    seen = _seen(scaled, start)
    if not seen:
        return None
    height = STRETCH * (max(seen) - min(seen))
    for earlier in reversed(range(start)):
        more = _seen(scaled, earlier)
        if max(more) - min(more) > height:
            break
        seen = more
    low, high = min(seen), max(seen)
    room = MARGIN * (high - low) or MARGIN * abs(high) or 1.0
    if log:
        return 10 ** (low - room), 10 ** (high + room)
    return low - room, high + room


def _panel(panel: Any, history: History, name: str, legend: bool) -> None:
    epochs, kept = history["epoch"], history.kept_epoch
    curves = [
        Curve(label, colour, [v if _is_number(v) else float("nan") for v in history[key]])
        for key, label, colour in ((name, "training", BLUE), (f"val_{name}", "validation", ORANGE))
        if key in history
    ]
    values = [curve.values for curve in curves]
    few = {"marker": "o", "markersize": 3.5} if len(epochs) <= 30 else {}
    for curve in curves:
        panel.plot(
            epochs, curve.values, label=curve.label, color=curve.colour, linewidth=1.8, **few
        )
    log = logarithmic(values)
    if (wide := limits(values, log)) is not None:
        _axis(panel, log, wide)
        panel.set_title(_outside(curves, wide), loc="right", fontsize=8, color=GREY)
    if kept is not None:
        _mark(panel, curves[-1], epochs, kept)
    _style(panel, name, epochs)
    if legend:
        panel.legend(frameon=False, fontsize=9, loc="best")


def _axis(panel: Any, log: bool, wide: tuple[float, float]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    if log:
        panel.set_yscale("log")
        narrow = wide[1] / wide[0] < 100
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,)))
        panel.yaxis.set_minor_locator(NullLocator())
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.set_ylim(*wide)


def _style(panel: Any, name: str, epochs: list[int]) -> None:
    from matplotlib.ticker import MaxNLocator

    panel.set_title(name, loc="left", fontsize=11, fontweight="bold")
    panel.set_xlabel("epoch", fontsize=9, color=GREY)
    side = max(0.03 * (epochs[-1] - epochs[0]), 0.4)
    panel.set_xlim(epochs[0] - side, epochs[-1] + side)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    panel.tick_params(which="both", labelsize=9, color=GREY, labelcolor=GREY)
    panel.grid(axis="y", color=LINES, linewidth=0.8)
    panel.set_axisbelow(True)
    for spine in ("top", "right"):
        panel.spines[spine].set_visible(False)
    for spine in ("left", "bottom"):
        panel.spines[spine].set_color("#b8bcc2")


def _mark(panel: Any, curve: Curve, epochs: list[int], kept: int) -> None:
    """A line at the kept epoch, a ring around its value, and both in words."""
    panel.axvline(kept, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    value = curve.values[epochs.index(kept)]
    if not isfinite(value):
        return
    ring = {"markersize": 8, "markerfacecolor": "white", "markeredgewidth": 2, "zorder": 5}
    panel.plot([kept], [value], marker="o", color=curve.colour, **ring)
    right = kept < (epochs[0] + epochs[-1]) / 2
    panel.annotate(
        f"kept: epoch {kept}\n{value:.4g}",
        (kept, 0.97),
        xycoords=("data", "axes fraction"),
        xytext=(5 if right else -5, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="top",
        fontsize=8.5,
        color=curve.colour,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
    )


def _outside(curves: list[Curve], wide: tuple[float, float]) -> str:
    """What the first epoch's figures were, where the axis does not hold them."""
    low, high = wide
    first = [c.values[0] for c in curves if not low <= c.values[0] <= high]
    found = [f"{value:.3g}" for value in first if isfinite(value)]
    return f"began at {' and '.join(found)}" if found else ""


def _settled(curves: list[list[float]]) -> int:
    """The first epoch (from 0) that sets the axis; 0 where there are only two."""
    epochs = len(curves[0])
    return max(1, round(SETTLED * epochs)) if epochs > 2 else 0


def _seen(curves: list[list[float]], start: int) -> list[float]:
    return [value for curve in curves for value in curve[start:] if isfinite(value)]


def _scale(value: float, log: bool) -> float:
    if not log:
        return value
    return log10(value) if value > 0 else float("nan")


def _drawn(name: str, values: list[Any]) -> bool:
    return name not in ("epoch", "seconds") and any(isinstance(v, float) for v in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and isfinite(value)
