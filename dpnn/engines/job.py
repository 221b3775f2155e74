"""The job engine: each step is one Spark job over the persisted handles.

The weights go down by broadcast, each task computes the sums of its shard, the partial sums come
back and are added up along the canonical tree. Where the driver could not hold all of them at
once, shuffles before it join siblings, keyed by their place in the tree. Needs nothing of the
cluster: any number of slots, dynamic allocation, speculation and retries give the same bits.

Driver; needs pyspark.
"""

from __future__ import annotations

import statistics
from contextlib import suppress
from functools import partial
from time import perf_counter

import numpy as np
from pyspark import RDD, cloudpickle

from dpnn.data.files import MissingShard
from dpnn.data.spark_shards import SparkShards
from dpnn.engines import sums
from dpnn.engines.job_frames import Frames, KeyedFrames, Part
from dpnn.engines.job_tasks import combine, compute
from dpnn.engines.protocol import Costs, Kind, Plan, ShardError, Sums
from dpnn.engines.sums import Node
from dpnn.engines.worker import Program
from dpnn.spark.errors import WorkersDied
from dpnn.spark.session import written
from dpnn.spark.shuffles import remove_shuffles

DEATHS = 4  # of one step's job in a row


class JobEngine:
    """One Spark job a step. It is sent again where workers die more often than Spark tries a task.

    partials_bound   the most bytes of partial sums that the driver takes at once
    """

    def __init__(self, program: Program, shards: SparkShards) -> None:
        self.costs = Costs()
        self._session, self._shards = shards.session, shards
        self._threads = self._session.threads
        self.partials_bound = self._session.largest_result()
        # By value where a layer or loss was defined in a notebook; bytes, for encrypted broadcasts.
        self._program = self._session.sc.broadcast(cloudpickle.dumps(program))
        self._fit, self._open = program.id, True
        self._weights: np.ndarray | None = None
        self._memory = bytearray()
        self._arrays: dict[Node, np.ndarray] = {}
        self._version = 0

    def allocate(self, size: int) -> np.ndarray:
        """Weights in memory that is broadcast as it is."""
        self._session.require_room(4 * size)
        self._memory = bytearray(4 * size)
        self._weights = np.frombuffer(self._memory, np.float32)
        return self._weights

    def step(self, weights: np.ndarray, plan: Plan) -> Sums:
        with self._session.translated(), self._session.described(describe(plan)):
            parts = self._insist(weights, plan)
        start = perf_counter()
        nodes = {part.node: part.sums for part in parts if part.sums is not None}
        count = self._shards.num_shards
        total = sums.merge(nodes, count)[sums.root(count)]
        if plan.kind.gradient:
            self._account(parts, perf_counter() - start)
        return total

    def close(self) -> None:
        if self._open and self._session.running:
            with suppress(Exception):  # the context may be gone
                self._program.destroy()
        self._open = False
        self._arrays.clear()

    def _insist(self, weights: np.ndarray, plan: Plan) -> list[Part]:
        """The step's job, sent again where it died of what was killed; it changes nothing else."""
        for _ in range(DEATHS):
            try:
                return self._shards.guarded(lambda: self._job(weights, plan))
            except WorkersDied as error:
                last = error
        raise RuntimeError(
            f"{describe(plan)}: its tasks died {DEATHS} times, killed perhaps for want of memory: "
            "give the executors more, or set a smaller micro_batch"
        ) from last

    def _job(self, weights: np.ndarray, plan: Plan) -> list[Part]:
        shards = self._shards
        start = perf_counter()
        memory = self._memory if weights is self._weights else bytearray(weights)
        flat = self._session.sc.broadcast(memory)
        self._version += 1
        send = perf_counter() - start
        try:
            task = partial(
                compute,
                fit=self._fit,
                program=self._program,
                weights=flat,
                version=self._version,
                plan=plan,
                threads=self._threads,
            )
            rdd = shards.rdd.mapPartitions(task)
            size = weights.nbytes if plan.kind.gradient else 0
            levels = shuffles(shards.num_shards, size, self.partials_bound)
            for level in levels:
                rdd = self._join(rdd, level)
            parts = written(rdd, Frames(self._array)).collect()
            if levels:
                remove_shuffles(rdd, of_sql=False)
        finally:
            with suppress(Exception):  # the context may be gone
                flat.destroy()
        if failed := sorted((p for p in parts if p.error), key=lambda p: p.node):
            raise _error(failed[0])
        if plan.kind.gradient:
            self.costs.steps += 1
            self.costs.send += send
            self.costs.bytes += size * (shards.num_shards + len(parts))
        return parts

    def _join(self, rdd: RDD, level: int) -> RDD:
        """Shuffle parts to the partition of their node at `level`, and add them up there."""
        count = self._shards.num_shards
        places = -(-count // 2**level)
        moved = self._session.shuffled(rdd, KeyedFrames(level), places, level, Frames())
        return moved.mapPartitions(partial(combine, num_shards=count))

    def _array(self, node: Node, size: int) -> np.ndarray:
        """Where a node's flat vector arrives: the same memory each step."""
        if node not in self._arrays:
            self._arrays[node] = np.empty(size, np.float32)
        return self._arrays[node]

    def _account(self, parts: list[Part], adding: float) -> None:
        costs, reports = self.costs, [report for part in parts for report in part.reports]
        for shard, host, _, seconds in reports:
            costs.seconds[shard] = costs.seconds.get(shard, 0.0) + seconds
            costs.hosts[shard] = host
        mean = statistics.fmean(report[3] for report in reports)
        costs.compute += mean
        costs.wait += max(report[3] for report in reports) - mean
        costs.send += statistics.fmean(report[2] for report in reports)
        costs.sum += adding


def describe(plan: Plan) -> str:
    """What the Spark UI calls this job."""
    if plan.kind == Kind.MOMENTS:
        return "dpnn moments of the inputs"
    if plan.kind.gradient:
        return f"dpnn epoch {plan.epoch} step {plan.step + 1}/{plan.steps}"
    return f"dpnn epoch {plan.epoch} {plan.kind.split}"


def shuffles(num_shards: int, size: int, bound: int) -> list[int]:
    """The levels of the tree to which shuffles join partial sums of `size` bytes each.

    None where all fit the bound. Each one halves the levels that are left (a square root of the
    nodes), so that no task joins many either.
    """
    levels, level, top = [], 0, sums.root(num_shards)[0]
    while level < top and -(-num_shards // 2**level) * size > bound:
        level += (top - level + 1) // 2
        levels.append(level)
    return levels


def _error(part: Part) -> Exception:
    assert part.error is not None
    kind, line, trace = part.error
    error = MissingShard(line) if kind == MissingShard.__name__ else ShardError(line)
    error.add_note(f"\nOn the executor:\n{trace}")
    return error
