"""Driver. The Spark job that keeps the tasks: made, watched and ended here."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

from pyspark import RDD, InheritableThread, SparkContext

from dpnn.data.spark_shards import SparkShards


class Submission:
    """One run of the job, in a daemon thread of its own. `error` is set when it has failed."""

    def __init__(self, rdd: RDD, task: Callable[..., Any], wake: Callable[[], None]) -> None:
        self.error: Exception | None = None
        self._sc = rdd.ctx
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
        if self._thread.is_alive() and self._sc._jsc is not None:
            self._sc.cancelJobsWithTag(self._tag)
            self._thread.join(10.0)

    def _run(self, rdd: RDD, task: Callable[..., Any], wake: Callable[[], None]) -> None:
        try:
            self._sc.addJobTag(self._tag)
            self._sc.setJobDescription("dpnn resident fit")
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
        rdd = rdd.coalesce(tasks)
        jvm_rdd: Any = rdd._jrdd.rdd()
        held = [list(part.parentsIndices()) for part in jvm_rdd.partitions()]
    elif count < tasks:
        rdd = shards.sc.union([rdd, shards.sc.parallelize([], tasks - count)])
    return rdd.glom(), held


def own_address(sc: SparkContext) -> tuple[str, str]:
    """What the driver binds to and what tasks dial: loopback in local mode, else as Spark does."""
    conf = sc.getConf()
    master = sc.master or ""
    if master.startswith("local") and not master.startswith("local-cluster"):
        return "127.0.0.1", "127.0.0.1"
    public = conf.get("spark.driver.host") or "127.0.0.1"
    bind = conf.get("spark.driver.bindAddress") or public
    return bind.strip("[]"), public.strip("[]")  # as Spark wants IPv6 to be written
