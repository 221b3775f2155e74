"""Facts of shards as a persisted DataFrame, for Spark Connect, where there are no RDDs.

The DataFrame is a temporary view, so that the server analyses how it is made once and not in every
job. Where a platform refuses to persist, each job reads the rows again, cuts them the same way,
and deletes the files when it is done with them.

Driver and executor; needs pyspark.
"""

from __future__ import annotations

import json
import pickle
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from dpnn.data.files import delete_run
from dpnn.data.kept import LEVEL, Fact
from dpnn.spark.errors import is_refused
from dpnn.spark.session import Session

T = TypeVar("T")
PIECE = 1 << 20  # bytes of a result in one row
SCHEMA = "last boolean, data binary"


class KeptFrame:
    """A persisted view of one row a partition, the column `fact`.

    persisted   False where the platform refuses
    """

    def __init__(self, session: Session, facts: DataFrame) -> None:
        self.session = session
        self.persisted = True
        self._view = f"dpnn_{uuid.uuid4().hex[:12]}"
        facts.createTempView(self._view)
        self._frame = session.spark.table(self._view)
        try:
            self._frame.persist(LEVEL)
        except PySparkException as error:
            if not is_refused(error):
                raise
            self.persisted = False

    def facts(self) -> list[Fact]:
        return self.map(iter)

    def map(self, task: Callable[[Iterable[Fact]], Iterator[T]]) -> list[T]:
        table = self.frame().mapInArrow(pickled(task, self.persisted), SCHEMA).toArrow()
        return list(unpickled(table))

    def frame(self) -> DataFrame:
        return self._frame

    def made_of(self, write: Callable[[Iterable[Fact]], Iterator[Fact]]) -> KeptFrame:
        persisted = self.persisted

        def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for fact in write(facts_of(batches, persisted)):
                yield pa.RecordBatch.from_pydict({"fact": [json.dumps(fact)]})

        return KeptFrame(self.session, self._frame.mapInArrow(task, "fact string"))

    def forget(self, shards: list[int]) -> None:
        """All go: single ones cannot."""
        if self.persisted:
            self._frame.unpersist(blocking=True)
            self._frame.persist(LEVEL)

    def delete(self, run: str, paths: list[str]) -> None:
        """By tasks that are likely to reach every executor."""
        if not self.persisted:
            return

        def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                delete_run(run, paths)
                yield batch

        spark = self.session.spark
        tasks = max(2 * len(paths), 8)
        spark.range(0, tasks, 1, tasks).mapInArrow(task, "id long").toArrow()

    def release(self) -> None:
        with suppress(Exception):  # the session may be gone
            if self.persisted:
                self._frame.unpersist()
            self.session.spark.catalog.dropTempView(self._view)


def facts_of(batches: Iterable[pa.RecordBatch], persisted: bool = True) -> Iterator[Fact]:
    """Executor. The facts of a partition; each one's files go after use where they are not kept."""
    for batch in batches:
        for text in batch.column("fact").to_pylist():
            fact = json.loads(text)
            yield fact
            if not persisted:
                shutil.rmtree(fact["handle"]["path"], ignore_errors=True)


def pickled(
    task: Callable[[Iterable[Fact]], Iterator[Any]], persisted: bool = True
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A task over facts, as `mapInArrow` wants it: what it yields as rows of bytes."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for result in task(facts_of(batches, persisted)):
            data = pickle.dumps(result, 5)
            for start in range(0, len(data), PIECE):
                last = start + PIECE >= len(data)
                piece = data[start : start + PIECE]
                yield pa.RecordBatch.from_pydict({"last": [last], "data": [piece]})

    return run


def unpickled(table: pa.Table) -> Iterator[Any]:
    """Driver. The results in those rows, which keep their order."""
    pieces: list[bytes] = []
    for last, data in zip(table.column("last"), table.column("data"), strict=True):
        pieces.append(data.as_py())
        if last.as_py():
            yield pickle.loads(b"".join(pieces))  # noqa: S301
            pieces = []
