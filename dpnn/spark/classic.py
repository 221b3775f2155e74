"""A classic session: the driver's JVM is beside this process, with RDDs and broadcasts. Driver."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark import RDD, SparkContext, StorageLevel
from pyspark.sql import SparkSession

from dpnn.spark import folders, shipping
from dpnn.spark.reading import Progress, progress
from dpnn.spark.session import Session

_REGISTERING = 2.0  # seconds to wait for executors that still register
DESCRIPTION = "spark.job.description"  # a job's name in the Spark UI
# What cleans up belongs to no group and has no tags: to cancel those may include future jobs.
UNGROUPED = dict.fromkeys(("spark.jobGroup.id", "spark.job.interruptOnCancel", "spark.job.tags"))


class ClassicSession(Session):
    """Cheap to make; all that it knows is in its context.

    sc   the SparkContext, for RDDs, broadcasts and accumulators
    """

    def __init__(self, sc: SparkContext) -> None:
        if sc._jsc is None:
            raise RuntimeError("the DataFrame's Spark session was stopped: read the data again")
        self.sc = sc
        _own_python(sc)

    @property
    def spark(self) -> SparkSession:
        return SparkSession.builder.getOrCreate()

    # What the cluster is

    @property
    def id(self) -> str:
        return self.sc.applicationId

    def conf(self, key: str, default: str = "") -> str:
        return self.sc._conf.get(key, default) or default  # getConf() would copy it all: 15 ms

    @property
    def is_local(self) -> bool:
        """All tasks run in the driver's JVM."""
        return (self.sc.master or "").partition("[")[0] == "local"

    @property
    def disks(self) -> list[Path]:
        """Where tasks write, if all of them run on this machine; else none."""
        if not self.is_local:
            return []
        found = folders.block_manager(self.sc).diskBlockManager().localDirs()
        return [Path(folder.getPath()) for folder in found]

    @property
    def running(self) -> bool:
        return self.sc._jsc is not None

    def slots(self, wanted: int = 1, patience: float = 0.0) -> int:
        """How many tasks can run at once; waits a little for executors that still register."""
        end = time.monotonic() + patience
        while True:
            self.require_running()
            context = self._context
            profile = context.resourceProfileManager().defaultResourceProfile()
            slots = int(context.maxNumConcurrentTasks(profile))
            if slots >= wanted or time.monotonic() > end:
                return slots
            time.sleep(0.1)

    def expected_slots(self) -> int:
        """`slots`, and what Spark expects where no executor has come yet."""
        return self.slots(patience=_REGISTERING) or self.sc.defaultParallelism

    def address(self) -> tuple[str, str]:
        """What the driver binds to and what tasks dial: loopback in local mode, else Spark's."""
        if self.is_local:
            return "127.0.0.1", "127.0.0.1"
        public = self.conf("spark.driver.host", "127.0.0.1")
        bind = self.conf("spark.driver.bindAddress", public)
        return bind.strip("[]"), public.strip("[]")  # as Spark wants IPv6 to be written

    @property
    def heap(self) -> int:
        """Bytes that the driver's JVM may have."""
        return int(self._jvm.java.lang.Runtime.getRuntime().maxMemory())

    def largest_result(self) -> int:
        """Bytes of a job's results that the driver can take: half of spark.driver.maxResultSize,
        and no more than a quarter of its heap, which holds a result in up to three forms at a time.
        """
        read = self._jvm.org.apache.spark.network.util.JavaUtils.byteStringAsBytes
        most = int(read(self.conf("spark.driver.maxResultSize", "1g")))
        quarter = self.heap // 4
        return min(most // 2, quarter) if most > 0 else quarter  # 0: no limit

    # Jobs

    @property
    def python(self) -> str:
        """The tasks' interpreter."""
        return self.sc.pythonExec

    def require_running(self) -> None:
        """RuntimeError where somebody has stopped it."""
        try:
            stopped = self.sc._jsc is None or self._context.isStopped()
        except (Py4JError, AttributeError, OSError):  # it is being stopped just now
            stopped = True
        if stopped:
            raise RuntimeError("the Spark context was stopped beneath the fit")

    def cancel_all(self) -> None:
        """As Spark does at Ctrl-C."""
        with suppress(Exception):
            self.sc.cancelAllJobs()

    def mend(self) -> None:
        """Spark makes its local folders once: without them no job of the application works."""
        with suppress(Exception):
            folders.make_folders(self.sc)

    def progress(self, tag: str) -> Progress:
        return progress(self.sc, tag)

    def sent(self, data: bytes) -> Any:
        """A broadcast: an object whose `value` tasks read."""
        self.require_room(len(data))
        return self.sc.broadcast(data)

    def require_room(self, size: int) -> None:
        """MemoryError where the driver's JVM could not broadcast and gather vectors of `size`."""
        if 2 * size > self.heap:
            raise MemoryError(
                f"the model's weights are {size / 1e6:,.0f} MB, and the driver's JVM has "
                f"{self.heap / 1e6:,.0f} MB for them and the gradients: give it more before the "
                f"session starts, e.g. spark.driver.memory={3 * size // 2**30 + 1}g"
            )

    @contextmanager
    def properties(self, values: Mapping[str, str | None]) -> Iterator[None]:
        """Of the jobs that are run within; the user's own come back afterwards."""
        before = {name: self.sc.getLocalProperty(name) for name in values}
        self._set(values)
        try:
            yield
        finally:
            with suppress(Exception):  # the context may be gone
                self._set(before)

    def described(self, text: str) -> AbstractContextManager[None]:
        """What the Spark UI calls the jobs within."""
        return self.properties({DESCRIPTION: text})

    def ungrouped(self) -> AbstractContextManager[None]:
        """Of jobs that clean up: no cancelled group or tag takes them along."""
        return self.properties(UNGROUPED)

    @contextmanager
    def tagged(self, tag: str) -> Iterator[None]:
        """The jobs within can be cancelled by `cancel(tag)`."""
        self.sc.addJobTag(tag)
        try:
            yield
        finally:
            with suppress(Exception):  # the context may be gone
                self.sc.removeJobTag(tag)

    def cancel(self, tag: str) -> None:
        if self.running:
            self.sc.cancelJobsWithTag(tag)

    def ship(self) -> None:
        """Make `import dpnn` work on every executor, now and on those that come later."""
        shipping.ship(self.sc)

    def tell_signals(self) -> None:
        """Where Spark's launcher is ended, its JVM goes before a word of the driver's can be
        printed: let it say in one line of its log why.
        """
        with suppress(Exception):
            log = self._jvm.org.slf4j.LoggerFactory.getLogger("dpnn")
            self._jvm.org.apache.spark.util.SignalUtils.registerLogger(log)

    def stop(self) -> None:
        """End the session, and the tasks' Python of this machine before it.

        Spark would take an idle Python worker's pipe away first: it begins to print a trace then,
        "Traceback (most recent call last):", and is killed before it can say more.
        """
        with suppress(Exception):
            children = self._jvm.java.lang.ProcessHandle.current().children().toArray()
            ours = [child for child in children if "pyspark.daemon" in _command(child)]
            for child in ours:
                child.destroy()
            end = time.monotonic() + 2
            while any(child.isAlive() for child in ours) and time.monotonic() < end:
                time.sleep(0.01)
        self.sc.stop()

    # RDDs, beneath what PySpark offers

    def cached_partitions(self, rdd: RDD) -> int:
        """How many partitions of a persisted RDD Spark still has."""
        infos = self._context.getRDDStorageInfo()
        held = (info.numCachedPartitions() for info in infos if info.id() == rdd.id())
        return next(held, 0)

    def forget(self, rdd: RDD, partitions: list[int], level: StorageLevel) -> None:
        """Drop cached partitions, so that Spark computes just these again.

        Spark offers no such call for single ones. Where its insides are not as expected, all go.
        """
        try:
            blocks = folders.block_manager(self.sc).master()
            for partition in partitions:
                blocks.removeBlock(
                    self._jvm.org.apache.spark.storage.RDDBlockId(rdd.id(), partition)
                )
        except Py4JError:
            rdd.unpersist(blocking=True)
            rdd.persist(level)

    def coalesced(self, rdd: RDD, partitions: int) -> tuple[RDD, list[list[int]]]:
        """The RDD in fewer partitions, joined where they lie; and which each has joined."""
        joined = rdd.coalesce(partitions)
        return joined, [list(part.parentsIndices()) for part in _java(joined).partitions()]

    def shuffled(self, rdd: RDD, serializer: Any, partitions: int, seed: int, back: Any) -> RDD:
        """Records that `serializer` writes as (key, value) pairs, brought to their partition.

        `RDD.partitionBy` would pickle a partition's records as one object: this is what it does
        beneath. `back` reads the values.
        """
        pairs = self._jvm.PairwiseRDD(_java(written(rdd, serializer))).asJavaPairRDD()
        moved = pairs.partitionBy(self._jvm.PythonPartitioner(partitions, seed))
        return RDD(self._jvm.PythonRDD.valueOfPair(moved), self.sc, back)

    @property
    def _jvm(self) -> Any:
        return self.sc._jvm

    @property
    def _context(self) -> Any:
        return self.sc._jsc.sc()

    def _set(self, values: Mapping[str, str | None]) -> None:
        for name, value in values.items():
            self.sc.setLocalProperty(name, value)  # type: ignore[arg-type]  # None takes it away


def written(rdd: RDD, serializer: Any) -> RDD:
    """The RDD, whose records `serializer` writes and reads in place of pickle."""
    rdd._jrdd_deserializer = serializer
    return rdd


def _java(rdd: RDD) -> Any:
    return rdd._jrdd.rdd()


def _command(process: Any) -> str:
    return str(process.info().commandLine().orElse(""))


def _own_python(sc: SparkContext) -> None:
    """In local mode the tasks' Python is the driver's, unless PYSPARK_PYTHON says otherwise.

    Spark would take python3 from PATH, which in a virtual environment may be another.
    """
    local = (sc.master or "").partition("[")[0] == "local"
    if local and "PYSPARK_PYTHON" not in os.environ and sys.executable:
        sc.pythonExec = sys.executable
