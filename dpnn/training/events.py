"""What a fit tells those who watch it, and how it reaches them. Driver.

`Trainer(callbacks=[…])` takes functions, which get every event, and objects with any of the methods
`on_fit_start`, `on_engine`, `on_step`, `on_epoch`, `on_fit_end`, which get those. They are called
in the fit's thread, in order, after the fit's own watchers (validation, history, patience,
checkpoints): what they read of the state is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dpnn import nn
from dpnn.nn.more.tail import Tail
from dpnn.training.state import State


@dataclass(frozen=True)
class Event:
    """state: the fit's own, as it stands: to read, not to change."""

    state: State = field(repr=False)

    def stop(self, reason: str) -> None:
        """End the fit after this event; `Result.stopped` says the reason."""
        if self.state.stopped is None:
            self.state.stopped = reason


@dataclass(frozen=True)
class FitStarted(Event):
    """Before the first step.

    epoch, step  where it goes on from a checkpoint; 0, 0 at a fresh start
    steps        of one epoch
    rows         {"train": n, "validation": m}
    monitor      the figure that `patience` watches, or None
    """

    epochs: int
    epoch: int
    step: int
    steps: int
    rows: dict[str, int]
    num_shards: int
    monitor: str | None = None


@dataclass(frozen=True)
class EngineChosen(Event):
    """An engine takes over, from a step of an epoch (both from 0) on; reason may be empty."""

    engine: str
    reason: str
    epoch: int
    step: int


@dataclass(frozen=True)
class StepDone(Event):
    """Step `step` (from 1) of `steps` in epoch `epoch` (from 1); with local steps the last of a
    round.

    taken  how many steps it stands for
    """

    epoch: int
    step: int
    steps: int
    taken: int = 1

    @property
    def loss(self) -> float:
        """The mean over the epoch's rows so far; NaN while they all weigh nothing."""
        tail = self.state.tail
        return float("nan") if tail is None else Tail(tail).mean


@dataclass(frozen=True)
class EpochDone(Event):
    """An epoch (from 1), and its figures: {"loss": …, "val_loss": …, "seconds": …, "costs": …}.

    rows, seconds  what this fit trained on in this epoch, and how long
    """

    epoch: int
    figures: dict[str, Any]
    rows: int
    seconds: float


@dataclass(frozen=True)
class FitEnded(Event):
    """After the last step.

    stopped  why it ended before its time, or None
    error    what ended it; nothing more can be done about it here
    """

    stopped: str | None = None
    error: BaseException | None = None


METHODS: dict[type[Event], str] = {
    FitStarted: "on_fit_start",
    EngineChosen: "on_engine",
    StepDone: "on_step",
    EpochDone: "on_epoch",
    FitEnded: "on_fit_end",
}


class Watchers:
    """Hands each event to those who want it."""

    def __init__(self, watchers: Sequence[Any]) -> None:
        self._wanted: dict[type[Event], list[Any]] = {kind: [] for kind in METHODS}
        for i, watcher in enumerate(watchers):
            for kind, handler in handlers(watcher, f"callbacks[{i}]").items():
                self._wanted[kind].append(handler)

    def wants(self, kind: type[Event]) -> bool:
        """Whether anybody listens: a step need not make an event for nobody."""
        return bool(self._wanted[kind])

    def __call__(self, event: Event) -> None:
        for handler in self._wanted[type(event)]:
            handler(event)


def handlers(watcher: Any, name: str) -> dict[type[Event], Callable[[Any], None]]:
    """Event -> who gets it. TypeError where a watcher would never hear of anything."""
    if isinstance(watcher, type):
        raise TypeError(f"{name} is a class: give an object, {watcher.__name__}(…)")
    known = list(METHODS.values())
    for method in dir(watcher):
        if method.startswith("on_") and method not in known:
            raise TypeError(
                f"{name}: no event calls {type(watcher).__name__}.{method}"
                f"{nn.nearest(method, known)}"
            )
    found = {kind: getattr(watcher, m) for kind, m in METHODS.items() if hasattr(watcher, m)}
    if found:
        return found
    if callable(watcher):
        return dict.fromkeys(METHODS, watcher)
    raise TypeError(
        f"{name} must be a function of an event, or an object with any of {', '.join(known)}, "
        f"got {watcher!r}"
    )
