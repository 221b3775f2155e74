"""What engines have in common whose steps are Spark jobs of their own. Driver."""

from __future__ import annotations

import statistics
from abc import ABC, abstractmethod
from time import perf_counter

import numpy as np

from dpnn.data.files import MissingShard
from dpnn.data.spark_shards import SparkShards
from dpnn.engines import sums
from dpnn.engines.job_frames import Part
from dpnn.engines.protocol import Costs, Kind, Plan, ShardError, Sums
from dpnn.engines.sums import Node
from dpnn.spark.errors import WorkersDied

DEATHS = 4  # of one step's job in a row


class StepJobs(ABC):
    """A step's job is sent again where workers die more often than Spark tries a task.

    partials_bound   the most bytes of partial sums that the driver takes at once
    """

    def __init__(self, shards: SparkShards) -> None:
        self.costs = Costs()
        self._shards = shards
        self._threads = shards.session.threads
        self.partials_bound = shards.session.largest_result()
        self._arrays: dict[Node, np.ndarray] = {}
        self._version = 0

    def step(self, weights: np.ndarray, plan: Plan) -> Sums:
        with self._shards.session.translated(), self._shards.session.described(describe(plan)):
            parts = self._insist(weights, plan)
        start = perf_counter()
        nodes = {part.node: part.sums for part in parts if part.sums is not None}
        count = self._shards.num_shards
        total = sums.merge(nodes, count)[sums.root(count)]
        if plan.kind.gradient:
            self._account(parts, perf_counter() - start)
        return total

    @abstractmethod
    def _job(self, weights: np.ndarray, plan: Plan) -> list[Part]:
        """One try of a step: nodes of the tree that make up its root."""

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

    def _checked(self, parts: list[Part]) -> list[Part]:
        """The error of the first part that has one, raised."""
        if failed := sorted((p for p in parts if p.error), key=lambda p: p.node):
            raise _error(failed[0])
        return parts

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
    if plan.kind == Kind.ROUND:
        last = plan.step + plan.local
        return f"dpnn epoch {plan.epoch} steps {plan.step + 1} to {last}/{plan.steps}"
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
