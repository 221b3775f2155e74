"""Remembers the best epoch, and ends a fit that no longer gets better. Driver."""

from __future__ import annotations

from math import isnan

from dpnn.nn.more.metrics import better
from dpnn.training.events import EpochDone, Event, FitStarted
from dpnn.training.state import Best


class Patience:
    """Ends the fit after `patience` epochs without a better `monitor`; None: never.

    What an earlier fit remembers of another figure, or without patience, is forgotten.
    """

    def __init__(self, patience: int | None, monitor: str) -> None:
        self._patience, self._monitor = patience, monitor
        self._sign = -1 if better(monitor) == "higher" else 1

    def on_fit_start(self, event: FitStarted) -> None:
        state = event.state
        if self._patience is None or (state.best and state.best.monitor != self._monitor):
            state.best, state.stale, state.history.kept_epoch = None, 0, None
        self._judge(event)

    def on_epoch(self, event: EpochDone) -> None:
        if self._patience is None:
            return
        state, value = event.state, event.figures[self._monitor]
        state.stale += 1
        if self._better(value, state.best):
            state.best = Best(state.candidate.copy(), event.epoch, value, self._monitor)
            state.stale, state.history.kept_epoch = 0, event.epoch
        self._judge(event)

    def _better(self, value: float | None, best: Best | None) -> bool:
        if value is None or isnan(value):
            return False
        return best is None or self._sign * value < self._sign * best.value

    def _judge(self, event: Event) -> None:
        if self._patience is not None and event.state.stale >= self._patience:
            epochs = "epoch" if self._patience == 1 else "epochs"
            event.stop(f"no better {self._monitor} for {self._patience} {epochs}")
