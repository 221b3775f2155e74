"""The driver's half of a step: from sums to new weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from dpnn import nn
from dpnn.engines.protocol import Sums
from dpnn.nn.more.tail import Tail
from dpnn.training.state import State


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

    def __call__(self, state: State, compute: Callable[[bool], Sums]) -> nn.Evaluation:
        """One step; compute(trial) gives the sums at the weights as they stand.

        A trial that is not finite is an infinite loss.
        """
        trained = state.weights[: self.layout.trained]

        def evaluate(trial: bool = False) -> nn.Evaluation:
            sums = compute(trial)
            assert sums.flat is not None
            tail = Tail(sums.tail)
            value = tail.mean
            if trial and not (isfinite(value) and np.isfinite(sums.flat).all()):
                return nn.Evaluation(inf, np.zeros_like(trained), sums.tail.copy())
            return nn.Evaluation(
                value, self._mean_gradient(state, sums.flat, tail), sums.tail.copy()
            )

        found = self.optimizer.step(state.optimizer, trained, evaluate)
        if state.average is not None and self.ema is not None:
            state.average += (1 - self.ema) * (state.weights - state.average)
        return found

    def _mean_gradient(self, state: State, flat: np.ndarray, tail: Tail) -> np.ndarray | None:
        """(trained,) the mean gradient, clipped, or None; moves the state that is not trained."""
        if tail.rows:  # shards smaller than the number of steps leave some empty
            self.layout.update_state(state.weights, flat, tail.rows)
        weight = tail.weight
        if weight <= 0:  # rows that all weigh nothing change nothing
            return None
        gradient = flat[: self.layout.trained]
        gradient *= 1 / weight
        if self.clip_norm is not None:
            nn.clip_by_global_norm(gradient, self.clip_norm)
        return gradient
