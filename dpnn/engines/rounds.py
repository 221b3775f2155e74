"""What one shard keeps to take steps of its own: weights, a gradient and an inner optimizer.

All of it begins anew with each round: what a round gives depends on the weights that it starts
from, the plan and the shard alone, whoever computes it and how often.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dpnn import nn
from dpnn.engines.protocol import Plan, ShardError, Sums
from dpnn.nn.more.lazy import lazily
from dpnn.nn.more.means import mean_gradient
from dpnn.nn.more.tail import Tail


class LocalSteps:
    """The memory of a round. Executor; one for each worker.

    weights, gradient   (size,) float32: what the worker is bound to while the round lasts, the
                        weights read-only
    """

    def __init__(
        self, network: nn.Network, optimizer: nn.Optimizer, clip_norm: float | None
    ) -> None:
        layout = network.layout
        self._weights = np.empty(layout.size, np.float32)
        self.weights = self._weights.view()
        self.weights.flags.writeable = False
        self.gradient = np.empty(layout.size, np.float32)
        self._layout, self._clip_norm = layout, clip_norm
        self._rate = optimizer.learning_rate
        plain = replace(optimizer, learning_rate=1.0)  # the rate goes by the fit's step
        self._optimizer = lazily(plain, network)
        self._state: dict[str, Any] = {}

    def begin(self, weights: np.ndarray) -> None:
        self._weights[...] = weights
        self._state = self._optimizer.init(self._layout, self.weights)

    def update(self, sums: Sums, plan: Plan) -> None:
        """One inner step: the schedule counts steps from the fit's first one, the optimizer from
        the round's.
        """
        assert sums.flat is not None
        tail = Tail(sums.tail)
        gradient = mean_gradient(self._layout, self._weights, sums.flat, tail, self._clip_norm)
        if gradient is None:
            return
        done = (plan.epoch - 1) * plan.steps + plan.step
        rate = self._rate
        now = rate(done + 1) if isinstance(rate, nn.Schedule) else rate
        self._state["scale"] = plan.scale * now
        self._optimizer.update(self._state, self._weights[: self._layout.trained], gradient)

    def moved(self, start: np.ndarray, tail: Tail, out: np.ndarray) -> None:
        """How far the round led from `start`, as `Sums.flat` has it, into `out`."""
        trained = self._layout.trained
        np.subtract(self.weights, start, out=out)
        out[:trained] *= tail.weight
        out[trained:] *= tail.rows


def check_moved(moved: np.ndarray, plan: Plan, shard: int) -> None:
    """ShardError where the last inner step has left float32; those before it were found."""
    if not np.isfinite(np.dot(moved, moved)):
        last = plan.step + plan.local - 1
        raise ShardError(
            f"non-finite weights after epoch {plan.epoch} step {last} shard {shard}: the update "
            "was too large: lower the learning rate or clip gradients"
        )
