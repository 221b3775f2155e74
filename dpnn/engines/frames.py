"""The frames engine: each step is one DataFrame query, and needs nothing but DataFrames.

The weights go along in the query, from LARGE on as a small DataFrame that Spark broadcasts; each
task computes the sums of its shard, the partial sums come back as rows of bytes and are added up
along the canonical tree. Where the driver could not take all of them at once, the rows are brought
to the partition of their node and added up there, level by level, as the job engine does.

Driver; needs pyspark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial, reduce
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark import cloudpickle
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dpnn.data.files import Handle
from dpnn.data.kept import Fact
from dpnn.data.kept_frame import facts_of
from dpnn.data.spark_shards import SparkShards
from dpnn.engines import frame_rows
from dpnn.engines.job_frames import FRAME, Part
from dpnn.engines.job_tasks import combine, compute
from dpnn.engines.protocol import Plan
from dpnn.engines.step_jobs import StepJobs, shuffles
from dpnn.engines.worker import Program
from dpnn.spark.errors import is_refused
from dpnn.spark.sent import Inline

# Bytes of weights in one query: a server keeps the last queries several times over. A message of
# Spark Connect may have 128 MiB.
LARGE = 1 << 22
MESSAGE = 1 << 24
Batches = Iterable[pa.RecordBatch]
Task = Callable[[Batches], Iterator[pa.RecordBatch]]


class FramesEngine(StepJobs):
    """Over DataFrames alone; on any session.

    large     the most bytes of weights that go along in a step's query
    message   more are sent before, so many bytes at a time
    """

    def __init__(self, program: Program, shards: SparkShards) -> None:
        super().__init__(shards)
        self._spark, self._frame = shards.session.spark, shards.kept.frame()
        self._program = Inline(cloudpickle.dumps(program))
        self._fit, self.large, self.message = program.id, LARGE, MESSAGE

    def allocate(self, size: int) -> np.ndarray:
        return np.zeros(size, np.float32)

    def close(self) -> None:
        self._arrays.clear()

    def _job(self, weights: np.ndarray, plan: Plan) -> list[Part]:
        shards = self._shards
        self._version += 1
        start = perf_counter()
        beside = weights.nbytes > self.large
        frame = self._frame.crossJoin(F.broadcast(self._sent(weights))) if beside else self._frame
        send = perf_counter() - start
        size = weights.nbytes if plan.kind.gradient else 0
        levels = shuffles(shards.num_shards, size, self.partials_bound)
        task = partial(
            compute,
            fit=self._fit,
            program=self._program,
            version=self._version,
            plan=plan,
            threads=self._threads,
        )
        leaves = _leaves(
            task,
            shards.verified,
            weights.nbytes if beside else weights.tobytes(),
            shards.kept.persisted,
            levels[0] if levels else 0,
        )
        rows = frame.mapInArrow(leaves, frame_rows.SCHEMA)
        for level, above in pairwise([*levels, *levels[-1:]]):
            places = -(-shards.num_shards // 2**level)
            moved = rows.repartitionById(places, "place")
            rows = moved.mapInArrow(_joined(shards.num_shards, above), frame_rows.SCHEMA)
        parts = list(frame_rows.read(rows.toArrow().to_batches(), self._array))
        self._checked(parts)
        if plan.kind.gradient:
            self.costs.steps += 1
            self.costs.send += send
            self.costs.bytes += size * shards.num_shards + sum(part.bytes for part in parts)
        return parts

    def _sent(self, weights: np.ndarray) -> DataFrame:
        """Weights as rows `at`, `piece`: there already, some `message` bytes at a time, so that
        the query itself is small; gone from Spark when this is.
        """
        flat = weights.view(np.uint8)
        made = []
        for start in range(0, len(flat), self.message):
            some = _pieces(flat[start : start + self.message].tobytes(), start)
            frame = self._spark.range(0, 1, 1, 1).mapInArrow(some, "at bigint, piece binary")
            made.append(_there(frame))
        return reduce(lambda a, b: a.union(b), made)


def _there(frame: DataFrame) -> DataFrame:
    """The rows put on the server; where it keeps nothing they go along in the query after all."""
    try:
        return frame.localCheckpoint()
    except PySparkException as error:
        if not is_refused(error):
            raise
        return frame


def _pieces(data: bytes, start: int) -> Task:
    """A task that yields the data in rows."""

    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        list(batches)
        for at in range(0, len(data), FRAME):
            row = {"at": [start + at], "piece": [data[at : at + FRAME]]}
            yield pa.RecordBatch.from_pydict(row)

    return run


def _leaves(
    task: Callable[..., Iterator[Part]],
    verified: Callable[[Iterable[Fact]], Iterator[Handle]],
    weights: bytes | int,
    persisted: bool,
    level: int,
) -> Task:
    """The task of a shard: its sums as rows. weights: as bytes, or how many come with its rows."""

    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        if isinstance(weights, int):
            batches, data = _apart(batches, weights)
        else:
            data = weights
        handles = verified(facts_of(batches, persisted))
        yield from frame_rows.written(task(handles, weights=Inline(data)), level)

    return run


def _apart(batches: Batches, size: int) -> tuple[list[pa.RecordBatch], Any]:
    """The one fact of a partition, and the weights that stand beside it piece by piece."""
    memory = bytearray(size)
    fact: list[pa.RecordBatch] = []
    for batch in batches:
        for at, piece in zip(batch.column("at").to_pylist(), batch.column("piece"), strict=True):
            data = piece.as_buffer()
            memory[at : at + data.size] = memoryview(data).cast("B")
        if batch.num_rows and not fact:
            fact = [batch.slice(0, 1).select(["fact"])]
    return fact, memory


def _joined(num_shards: int, level: int) -> Task:
    """The task that adds up the nodes that have come to its partition."""

    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        yield from frame_rows.written(combine(frame_rows.read(batches), num_shards), level)

    return run
