"""Driver. All that a fit is at a moment: what a checkpoint stores, and what watchers read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from dpnn import nn
from dpnn.engines.protocol import ShardError
from dpnn.training.history import History


class Best(NamedTuple):
    """The epoch with the best value of the figure that `patience` watches, and its weights."""

    weights: np.ndarray
    epoch: int
    value: float
    monitor: str


@dataclass
class State:
    """The truth, held by the driver alone. The next step depends on it, the data and the settings.

    weights    (size,) float32
    optimizer  what the optimizer keeps between steps; of local steps the outer one
    inner      what the schedule of local steps has made of the losses that it has heard
    average    (size,) the exponential moving average of the weights, or None
    epoch      how many are finished
    step       how many of the next epoch are done, and `tail` the sums of their loss and metrics
    best       the best epoch so far where `patience` asks for it; `stale` epochs have passed since
    history    the figures of the finished epochs
    stopped    why the fit is to end before its time; a checkpoint does not store it
    """

    weights: np.ndarray
    optimizer: dict[str, Any]
    average: np.ndarray | None = None
    epoch: int = 0
    step: int = 0
    tail: np.ndarray | None = None
    best: Best | None = None
    stale: int = 0
    history: History = field(default_factory=History)
    stopped: str | None = None
    inner: dict[str, Any] = field(default_factory=lambda: {"scale": 1.0})

    @property
    def candidate(self) -> np.ndarray:
        """The weights to evaluate: the average where there is one."""
        return self.weights if self.average is None else self.average

    @property
    def kept(self) -> np.ndarray:
        """The weights of the fit's model: the best epoch's where one is remembered."""
        return self.candidate if self.best is None else self.best.weights

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights are `kept`."""
        return self.epoch if self.best is None else self.best.epoch

    def check_finite(self, layout: nn.Layout) -> None:
        """ShardError where the last update has led to numbers that float32 does not hold.

        A step finds what the steps before it have done; nobody would look at the last one's.
        """
        where = f"after epoch {self.epoch + bool(self.step)}"
        if self.step:
            where += f" step {self.step - 1}"
        for what, flat in (("weights", self.weights), ("averaged weights", self.average)):
            if flat is None:
                continue
            trained = flat[: layout.trained]
            with np.errstate(all="ignore"):
                norm = float(np.dot(trained, trained))
            if not np.isfinite(norm):
                name = _first(layout, flat, state=False) or "a norm above 1e19"
                raise ShardError(
                    f"non-finite {what} {where}: {name}: the update was too large: lower the "
                    "learning rate or clip gradients"
                )
            if not np.isfinite(flat).all():
                raise ShardError(
                    f"non-finite {what} {where}: {_first(layout, flat)}: the numbers that reach "
                    "this layer are too large for float32: scale the inputs"
                )


def _first(layout: nn.Layout, flat: np.ndarray, state: bool = True) -> str:
    """The name of the first parameter that is not finite."""
    named = layout.named(flat, state)
    return next((name for name, values in named.items() if not np.isfinite(values).all()), "")
