"""Driver. The Spark job that keeps the tasks: made, watched and ended here."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

from pyspark import RDD, InheritableThread

from dpnn.data.spark_shards import SparkShards
from dpnn.spark.classic import ClassicSession


class Submission:
    """One run of the job, in a daemon thread of its own. `error` is set when it has failed."""

    def __init__(
        self, session: ClassicSession, rdd: RDD, task: Callable[..., Any], wake: Callable[[], None]
    ) -> None:
        self.error: Exception | None = None
        self._session = session
        self._tag = f"dpnn-{uuid.uuid4().hex}"
        self._ended = threading.Event()
        self._thread = InheritableThread(
            target=self._run, args=(rdd, task, wake), name="dpnn-resident", daemon=True
        )
        self._thread.start()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def end(self, patience: float = 1.0) -> None:
        """Wait for the tasks, who were told to leave; cancel the job if they don't."""
        self._thread.join(patience)
        if self._thread.is_alive():
            self._session.cancel(self._tag)
            self._thread.join(10.0)

    def _run(self, rdd: RDD, task: Callable[..., Any], wake: Callable[[], None]) -> None:
        try:
            with self._session.tagged(self._tag), self._session.described("dpnn resident fit"):
                rdd.mapPartitions(task).collect()
        except Exception as error:  # the main thread judges it
            self.error = error
        finally:
            self._ended.set()
            wake()


def grouped(shards: SparkShards, tasks: int) -> tuple[RDD, list[list[int]]]:
    """Each partition one element: the handles of a task. Also the shards that each one holds.

    Partitions are joined where they lie, so handles stay with the host that has their files. To a
    Python worker, an input that breaks off looks like one that has ended, and Spark tells nobody
    before the task is over: so a task must know what it should hold.
    """
    rdd, count = shards.rdd, shards.num_shards
    held = [[i] if i < count else [] for i in range(tasks)]
    if count > tasks:
        rdd, held = shards.classic.coalesced(rdd, tasks)
    elif count < tasks:
        sc = shards.classic.sc
        rdd = sc.union([rdd, sc.parallelize([], tasks - count)])
    return rdd.glom(), held
