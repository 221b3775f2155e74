"""The local engine: all shards in this process, no Spark. What the others are tested against."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, thread_time

import numpy as np

from dpnn.data.shards import Shard
from dpnn.engines import blas
from dpnn.engines.protocol import Costs, Kind, Plan, Sums
from dpnn.engines.sums import total
from dpnn.engines.worker import Program, Worker

QUICK = 0.0005  # seconds of all shards' work that threads would only make longer


class LocalEngine:
    """Several shards run in threads (BLAS releases the GIL), each with a task's one BLAS thread:
    as quick as the cores allow, and the same bits as a cluster. Tiny work stays in one thread.
    """

    def __init__(self, program: Program, shards: list[Shard]) -> None:
        self.costs = Costs()
        self._shards = shards
        self._workers = [Worker(program) for _ in shards]
        self._gradients = [np.empty(worker.size, np.float32) for worker in self._workers]
        self._bound: np.ndarray | None = None
        self._work: dict[Kind, float] = {}  # seconds of a core that the last step took
        self._pool = ThreadPoolExecutor(min(len(shards), os.cpu_count() or 1), "dpnn-shard")
        self._open = True
        blas.one_thread.enter()

    def allocate(self, size: int) -> np.ndarray:
        return np.zeros(size, np.float32)

    def step(self, weights: np.ndarray, plan: Plan) -> Sums:
        """The canonical sum over all shards; valid until the next call."""
        if self._bound is not weights:
            self._bind(weights)
        shards = range(len(self._shards))
        run = map if self._work.get(plan.kind, QUICK) < QUICK else self._pool.map
        timed = list(run(self._run, [plan] * len(shards), shards))
        start = perf_counter()
        sums = total([sums for sums, _, _ in timed])
        seconds = [elapsed for _, elapsed, _ in timed]
        self._work[plan.kind] = sum(work for _, _, work in timed)
        if plan.kind.gradient:
            self.costs.steps += 1
            self.costs.sum += perf_counter() - start
            self.costs.compute += sum(seconds) / len(seconds)
            self.costs.wait += max(seconds) - sum(seconds) / len(seconds)
            for shard, elapsed in zip(shards, seconds, strict=True):
                self.costs.seconds[shard] = self.costs.seconds.get(shard, 0.0) + elapsed
                self.costs.hosts[shard] = "here"
        return sums

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        if self._open:
            self._open = False
            blas.one_thread.leave()

    def _run(self, plan: Plan, shard: int) -> tuple[Sums, float, float]:
        start, before = perf_counter(), thread_time()
        sums = self._workers[shard].run(plan, shard, self._shards[shard])
        return sums, perf_counter() - start, thread_time() - before

    def _bind(self, weights: np.ndarray) -> None:
        frozen = weights.view()
        frozen.flags.writeable = False
        for worker, gradient in zip(self._workers, self._gradients, strict=True):
            worker.bind(frozen, gradient)
        self._bound = weights
