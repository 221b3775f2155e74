"""What Spark keeps of shards: one fact (handle and findings) a shard, persisted.

`KeptRDD` is a classic session's, `kept_frame.KeptFrame` is made of DataFrames alone, for Spark
Connect. Where a fact is cached, there its shard's files lie, and there Spark sends its task.

Driver; needs pyspark.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from pyspark import RDD, StorageLevel
from pyspark.sql import DataFrame, Row

from dpnn.data.files import delete_run
from dpnn.spark.classic import ClassicSession
from dpnn.spark.session import Session
from dpnn.spark.shuffles import remove_shuffles

T = TypeVar("T")
Fact = dict[str, Any]
LEVEL = StorageLevel.MEMORY_AND_DISK


class Kept(Protocol):
    """The facts of some shards, in shard order.

    persisted   False where each job makes them, and the files, anew
    """

    persisted: bool

    @property
    def session(self) -> Session: ...

    def facts(self) -> list[Fact]:
        """All of them."""

    def map(self, task: Callable[[Iterable[Fact]], Iterator[T]]) -> list[T]:
        """Run a task where the facts are, one a shard; what they all yield, in shard order."""

    def frame(self) -> DataFrame:
        """A DataFrame with the column `fact`: JSON, one a partition."""

    def made_of(self, write: Callable[[Iterable[Fact]], Iterator[Fact]]) -> Kept:
        """New facts, kept as well, that a task makes of each of these."""

    def forget(self, shards: list[int]) -> None:
        """Have the facts of these shards computed again when they are next asked for."""

    def delete(self, run: str, paths: list[str]) -> None:
        """Delete the files of an ingest where they lie, shards at `paths` among them."""

    def release(self) -> None:
        """Let Spark forget all."""


class KeptRDD:
    """A persisted RDD of facts.

    rdd   one fact a partition
    """

    persisted = True

    def __init__(self, session: ClassicSession, rdd: RDD) -> None:
        self.session = session
        self.rdd = rdd.persist(LEVEL)
        self._count = rdd.getNumPartitions()

    @classmethod
    def of(cls, session: ClassicSession, frame: DataFrame) -> KeptRDD:
        """Of facts as JSON, one a partition."""
        return cls(session, frame.rdd.mapPartitionsWithIndex(_numbered))

    def facts(self) -> list[Fact]:
        return self.rdd.collect()

    def map(self, task: Callable[[Iterable[Fact]], Iterator[T]]) -> list[T]:
        return self.rdd.mapPartitions(task, True).collect()

    def frame(self) -> DataFrame:
        rows = self.rdd.map(lambda fact: (json.dumps(fact),), True)
        return self.session.spark.createDataFrame(rows, "fact string")

    def made_of(self, write: Callable[[Iterable[Fact]], Iterator[Fact]]) -> KeptRDD:
        return KeptRDD(self.session, self.rdd.mapPartitions(write, True))

    def forget(self, shards: list[int]) -> None:
        self.session.forget(self.rdd, shards, LEVEL)

    def delete(self, run: str, paths: list[str]) -> None:
        """Where a fact was lost, as it can: to ask for it would make its files again."""
        with self.session.ungrouped():
            if self.session.cached_partitions(self.rdd) == self._count:
                self.rdd.foreach(lambda fact: delete_run(run, [fact["handle"]["path"]]))
                return
            sc = self.session.sc
            tasks = max(2 * sc.defaultParallelism, self._count)  # likely to reach every executor
            sc.parallelize(range(tasks), tasks).foreach(lambda _: delete_run(run, paths))

    def forget_shuffles(self) -> None:
        """What is lost from now on is read from the source again."""
        remove_shuffles(self.rdd)

    def release(self) -> None:
        self.forget_shuffles()
        with suppress(Exception):  # the context may be gone
            self.rdd.unpersist()


def _numbered(shard: int, rows: Iterable[Row]) -> Iterator[Fact]:
    """Facts with the number of their own partition: a lost one may be computed again inside the
    task of a coalesced RDD, whose `partitionId` is another.
    """
    for row in rows:
        fact = json.loads(row.fact)
        fact["handle"]["shard"] = shard
        yield fact
