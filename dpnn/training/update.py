"""The driver's half of a step: from sums to new weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dpnn import nn
from dpnn.engines.protocol import Sums
from dpnn.nn.more import metrics


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

    def mean_gradient(self, state: State, sums: Sums) -> np.ndarray:
        """(trained,) the mean gradient, clipped; moves the state that is not trained."""
        assert sums.flat is not None
        if sums.tail[metrics.ROWS]:  # shards smaller than the number of steps leave some empty
            self.layout.update_state(state.weights, sums.flat, sums.tail[metrics.ROWS])
        gradient = sums.flat[: self.layout.trained]
        weight = float(sums.tail[metrics.WEIGHT])  # NumPy's own would make it a float64 product
        gradient *= 1 / weight if weight > 0 else 0
        if self.clip_norm is not None:
            nn.clip_by_global_norm(gradient, self.clip_norm)
        return gradient

    def __call__(self, state: State, sums: Sums) -> None:
        """One step; `sums.flat` is used up."""
        gradient = self.mean_gradient(state, sums)
        if sums.tail[metrics.WEIGHT] > 0:  # rows that all weigh nothing change nothing
            trained = state.weights[: self.layout.trained]
            self.optimizer.update(state.optimizer, trained, gradient)
        if state.average is not None and self.ema is not None:
            state.average += (1 - self.ema) * (state.weights - state.average)
