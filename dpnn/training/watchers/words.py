"""A fit in words: one line for an epoch, a few for what happens beside. No side effects."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any

from dpnn.training.events import EngineChosen, FitEnded, FitStarted
from dpnn.training.history import advice, overall
from dpnn.training.tables import by_importance, number

MOST = 4  # figures of a line: more make no line that one reads in passing
RECENT = 3  # epochs, by which the time that is left is judged
BESIDE = ("epoch", "seconds", "costs", "engine")  # of an epoch's figures: no loss and no metric


class Pace:
    """How fast a fit gets on: as in its last epochs, for the first takes its time to begin."""

    def __init__(self, started: FitStarted) -> None:
        self.epochs, self.steps = started.epochs, started.steps
        self._start = perf_counter()
        self._marks = [(started.epoch * started.steps + started.step, self._start)]

    def mark(self, epoch: int) -> None:
        """An epoch is done, validation and all."""
        self._marks.append((epoch * self.steps, perf_counter()))

    def left(self, epoch: int, step: int = 0) -> float:
        """Seconds until the end, once `epoch` epochs and `step` steps are done."""
        done, now = epoch * self.steps + step, perf_counter()
        before = [mark for mark in self._marks if mark[0] < done]
        since, start = (before[1:] or before)[-RECENT:][0]
        return (now - start) / (done - since) * (self.epochs * self.steps - done)

    def lasted(self) -> float:
        return perf_counter() - self._start


def epoch_line(
    figures: Mapping[str, Any], epochs: int, rate: float, clock: str, width: int | None = None
) -> str:
    """An epoch's figures in at most `width` columns: the loss, the first figure of the validation
    set, rows a second and the time come before all others.
    """
    title = f"epoch {figures['epoch']:>{len(str(epochs))}}/{epochs}"
    ending = [f"{count(rate):>5} rows/s", f"{clock:>9}"]
    names = [name for name, value in figures.items() if name not in BESIDE and _is_float(value)]
    order = by_importance(names)[:MOST]
    while True:
        shown = [name for name in names if name in order]
        for gap, places in (("  ", 4), (" ", 3)):
            values = [f"{name} {number(figures[name], places):>{places + 2}}" for name in shown]
            line = gap.join([title, *values, *ending])
            if width is None or len(line) <= width:
                return line
        if len(order) <= 2:
            return line[:width]
        order.pop()


def engine_line(event: EngineChosen) -> str:
    since = ""
    if event.epoch or event.step:
        since = f" from epoch {event.epoch + 1} step {event.step + 1} on"
    return f"engine {event.engine}{since}" + (f": {event.reason}" if event.reason else "")


def opening(event: FitStarted) -> list[str]:
    lines = []
    if event.epoch or event.step:
        lines.append(f"goes on from a checkpoint after epoch {event.epoch}, step {event.step}")
    if event.monitor == "loss" and not event.rows["validation"]:
        lines.append("patience watches the training loss: there are no validation rows")
    return lines


def closing(event: FitEnded) -> list[str]:
    """What is to be said at the end: why it came, what is kept, one advice."""
    state, lines = event.state, []
    if event.stopped is not None:
        lines.append(f"stopped after epoch {state.epoch}: {event.stopped}")
    if state.best is not None:
        best = state.best
        lines.append(f"kept are the weights of epoch {best.epoch}: {best.monitor} {best.value:.4g}")
    costs = [row for row in state.history.get("costs", []) if row]
    spread = costs and state.history["engine"][-1] != "local"
    if spread and (hint := advice(overall(costs))):
        lines.append(hint)
    return lines


def count(n: float) -> str:
    """A number of rows in three digits: 850, 12.3k, 4.56M."""
    for unit in ("", "k", "M"):
        if n < 999.5:
            places = 0 if n >= 99.95 or not unit else 1 if n >= 9.995 else 2
            return f"{n:.{places}f}{unit}"
        n /= 1000
    return f"{n:.0f}G"


def clock(seconds: float) -> str:
    """0:07, 12:34, 3:04:05."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def _is_float(value: Any) -> bool:
    return isinstance(value, float)
