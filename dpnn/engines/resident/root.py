"""Driver. The root of the exchange: weights go out, tasks compute, sums come in. Knows no Spark.

Weights are untouched until all sums are in, and a shard's sums depend on nothing but the plan: a
broken step is simply done again, by the generation that forms next.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from dpnn.engines.protocol import Costs, EngineUnavailable, Kind, Plan, ShardError, Sums
from dpnn.engines.resident.arena import Arena
from dpnn.engines.resident.formation import form
from dpnn.engines.resident.generation import Generation
from dpnn.engines.resident.links import Travel
from dpnn.engines.resident.roster import Lost, Roster

ATTEMPTS = 20  # of one step: tasks may die faster than they come back


class Root:
    """One fit's exchange. `num_shards` of all tasks together.

    patience  seconds that a task may stay silent; twenty times the longest answer so far if
              that is more, and ten times as long for whole passes and rounds
    fan_in    hosts that send to the driver, and to each leader
    travel    how vectors travel between hosts
    """

    def __init__(
        self,
        roster: Roster,
        num_shards: int,
        patience: float = 300.0,
        fan_in: int = 4,
        travel: Travel = Travel(),  # noqa: B008
    ) -> None:
        self.roster = roster
        self.costs = Costs()
        self._num_shards = num_shards
        self._patience = patience
        self._fan_in = fan_in
        self._travel = travel
        self._slowest = 0.0
        self._number = 0
        self._weights: Arena | None = None
        self._generation: Generation | None = None

    def allocate(self, size: int) -> np.ndarray:
        """(size,) float32 that every task of this host sees: weights kept here need no copy."""
        if self._weights is None or self._weights.rows.shape[1] != size:
            self._disband()
            self._weights = Arena.create(1, size)
        return self._weights.rows[0]

    def step(self, weights: np.ndarray, plan: Plan, assemble: Callable[[], None]) -> Sums:
        """The canonical sum; `assemble` fills the places whenever some are vacant, or raises."""
        shared = self.allocate(weights.size)
        if not np.may_share_memory(weights, shared):
            shared[...] = weights
        for _ in range(ATTEMPTS):
            try:
                if self._generation is None:
                    assemble()
                    self._generation = self._form(self._limit(plan))
                began = time.monotonic()
                sums = self._generation.step(plan, self._limit(plan), self.costs)
                self._slowest = max(self._slowest, time.monotonic() - began)
                return sums
            except Lost as error:
                self._disband()
                reason = error.with_traceback(None)  # it would keep the memory of the generation
            except ShardError:
                raise  # every task has answered: the generation goes on
            except BaseException:
                self._disband()
                raise
        raise EngineUnavailable(
            f"step {plan.step} of epoch {plan.epoch} broke {ATTEMPTS} times, at last: {reason}"
        ) from reason

    def close(self) -> None:
        self._disband()
        self.roster.close()
        if self._weights is not None:
            self._weights.close()
            self._weights = None  # the memory goes when the caller's view of it goes

    def _limit(self, plan: Plan) -> float:
        """Seconds within which a task must answer."""
        patience = max(self._patience, 20 * self._slowest)
        return patience if plan.kind == Kind.TRAIN else 10 * patience

    def _form(self, patience: float) -> Generation:
        assert self._weights is not None
        self._number += 1
        return form(
            self.roster,
            self._number,
            self._weights,
            self._num_shards,
            self._fan_in,
            patience,
            self._travel,
        )

    def _disband(self) -> None:
        self.roster.drop_links()
        if self._generation is not None:
            self._generation.close()
        self._generation = None
