"""The driver's half of a step: from sums to new weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dpnn import nn
from dpnn.engines import metrics
from dpnn.engines.protocol import Sums


@dataclass
class State:
    """The truth, held by the driver alone: all that a checkpoint stores of a fit.

    weights    (size,) float32
    optimizer  what the optimizer keeps between steps
    average    (size,) the exponential moving average of the weights, or None
    """

    weights: np.ndarray
    optimizer: dict[str, Any]
    average: np.ndarray | None = None

    @property
    def best(self) -> np.ndarray:
        """The weights to evaluate and to keep: the average where there is one."""
        return self.weights if self.average is None else self.average


@dataclass(frozen=True)
class Update:
    """grad_sum / weight_sum -> clip -> optimizer, in place on the flat vector."""

    layout: nn.Layout
    optimizer: nn.Optimizer
    clip_norm: float | None = None
    ema: float | None = None

    def start(self, weights: np.ndarray) -> State:
        average = None if self.ema is None else weights.copy()
        return State(weights, self.optimizer.init(self.layout, weights), average)

    def __call__(self, state: State, sums: Sums) -> None:
        """One step; `sums.flat` is used up."""
        assert sums.flat is not None
        weights, trained = state.weights, self.layout.trained
        self.layout.update_state(weights, sums.flat, sums.tail[metrics.ROWS])
        weight = sums.tail[metrics.WEIGHT]
        if weight > 0:  # a step whose rows all weigh nothing changes nothing
            gradient = sums.flat[:trained]
            gradient *= 1 / weight
            if self.clip_norm is not None:
                nn.clip_by_global_norm(gradient, self.clip_norm)
            self.optimizer.update(state.optimizer, weights[:trained], gradient)
        if state.average is not None and self.ema is not None:
            state.average += (1 - self.ema) * (weights - state.average)
