"""Driver. Steps an engine, and goes on with another where it can't."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

from dpnn.data.dataset import Dataset
from dpnn.engines.open import open_engine
from dpnn.engines.protocol import Costs, Engine, EngineUnavailable, Plan, Sums
from dpnn.engines.worker import Program
from dpnn.spark.waiting import Waiting, busy_slots


class Runner:
    """Holds the engine of a fit. `changed(plan)` is called when another one has taken over.

    With "auto", an engine that had to give way because other work held the cluster's slots comes
    back at the first epoch that finds them free.

    engine, reason  which one, and why
    seconds         how long its steps have taken, all together
    updating        what the driver needed for its own half of an epoch's steps
    """

    def __init__(
        self,
        name: str,
        program: Program,
        dataset: Dataset,
        changed: Callable[[Plan], None],
        waiting: Waiting,
    ) -> None:
        self._program, self._dataset, self._changed = program, dataset, changed
        self._waiting = waiting
        self._asked, self._crowded_out = name, False
        self.seconds = self.updating = 0.0
        self._engine: Engine
        self._open(name)

    def start(self, weights: np.ndarray) -> np.ndarray:
        """A copy of `weights` that the engine reads without another; give it to `step`."""
        here = self._engine.allocate(weights.size)
        here[...] = weights
        return here

    def step(self, weights: np.ndarray, plan: Plan) -> Sums:
        """The sums of a plan; valid until the next call."""
        start = perf_counter()
        self._waiting.begin("a pass over the rows")
        try:
            return self._engine.step(weights, plan)
        except EngineUnavailable as error:
            self._engine.close()
            self._crowded_out = self._asked == "auto" and busy_slots() > 0
            self._open("job")
            self.reason = f"{error}; going on with the job engine"
            self._changed(plan)
            return self._engine.step(weights, plan)
        finally:
            self.seconds += perf_counter() - start
            self._waiting.end()

    @property
    def costs(self) -> Costs:
        """Of the steps since `begin_epoch`."""
        return self._engine.costs

    def begin_epoch(self) -> bool:
        """Whether another engine than before goes on from here."""
        comes_back = self._crowded_out and busy_slots() == 0
        if comes_back:
            self._crowded_out = False
            self._engine.close()
            self._open(self._asked)
        self._engine.costs, self.updating = Costs(), 0.0
        return comes_back

    def close(self) -> None:
        self._engine.close()

    def _open(self, name: str) -> None:
        self._engine, self.engine, self.reason = open_engine(name, self._program, self._dataset)
