"""The driver's half of a step, or of a round: from sums to new weights."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np

from dpnn import nn
from dpnn.engines.protocol import Sums
from dpnn.nn.more.lazy import Lazy, lazily
from dpnn.nn.more.means import mean_gradient, mean_move
from dpnn.nn.more.tail import Tail
from dpnn.training.rounds import OUTER
from dpnn.training.state import State

if TYPE_CHECKING:
    from dpnn.training.trainer import Trainer


@dataclass(frozen=True)
class Update:
    """grad_sum / weight_sum -> clip -> optimizer, in place on the flat vector."""

    layout: nn.Layout
    optimizer: nn.Optimizer | Lazy
    clip_norm: float | None = None
    ema: float | None = None

    def start(self, weights: np.ndarray) -> State:
        average = None if self.ema is None else weights.copy()
        return State(weights, self.optimizer.init(self.layout, weights), average)

    def __call__(
        self, state: State, compute: Callable[[bool], Sums], steps: int = 1
    ) -> nn.Evaluation:
        """One step; compute(trial) gives the sums at the weights as they stand.

        A trial that is not finite is an infinite loss. steps: how many of the fit's it stands for.
        """
        trained = state.weights[: self.layout.trained]

        def evaluate(trial: bool = False) -> nn.Evaluation:
            sums = compute(trial)
            assert sums.flat is not None
            tail = Tail(sums.tail)
            value = tail.mean
            if trial and not (isfinite(value) and np.isfinite(sums.flat).all()):
                return nn.Evaluation(inf, np.zeros_like(trained), sums.tail.copy())
            return nn.Evaluation(value, self._mean(state, sums.flat, tail), sums.tail.copy())

        found = self.optimizer.step(state.optimizer, trained, evaluate)
        if state.average is not None and self.ema is not None:
            state.average += (1 - self.ema**steps) * (state.weights - state.average)
        return found

    def observe(self, state: State, loss: float) -> None:
        """The schedules hear an epoch's loss."""
        self.optimizer.observe(state.optimizer, loss)

    def _mean(self, state: State, flat: np.ndarray, tail: Tail) -> np.ndarray | None:
        return mean_gradient(self.layout, state.weights, flat, tail, self.clip_norm)


@dataclass(frozen=True, kw_only=True)
class RoundUpdate(Update):
    """moves / weight_sum -> outer optimizer, which takes the mean move for a gradient.

    The shards' own steps were clipped and had each parameter's factor of the learning rate: the
    outer optimizer, `optimizer` here, treats all parameters alike.

    inner   the optimizer of the shards' own steps
    """

    inner: nn.Optimizer

    def start(self, weights: np.ndarray) -> State:
        state = super().start(weights)
        alike = copy(self.layout)
        alike.entries = [entry._replace(rate=1.0) for entry in alike.entries]
        state.optimizer = self.optimizer.init(alike, weights)
        return state

    def observe(self, state: State, loss: float) -> None:
        super().observe(state, loss)
        self.inner.observe(state.inner, loss)

    def _mean(self, state: State, flat: np.ndarray, tail: Tail) -> np.ndarray | None:
        return mean_move(self.layout, state.weights, flat, tail)


def update(trainer: Trainer, network: nn.Network, optimizer: nn.Optimizer) -> Update:
    """That of a trainer's steps, or rounds."""
    layout, inner = network.layout, lazily(optimizer, network)
    if trainer.local_steps is None:
        return Update(layout, inner, trainer.clip_norm, trainer.ema)
    outer = lazily(trainer.outer or OUTER, network)
    return RoundUpdate(layout, outer, ema=trainer.ema, inner=optimizer)
