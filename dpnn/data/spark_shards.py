"""The shards of a data set as Spark keeps them: files on executors' disks, and a handle of each.

What Spark persists is one small `Handle` a shard.

Recovery. A lost executor takes cached handles and files along: Spark recomputes both from the
lineage within the running job, and `SparkShards.rdd` compares the new handle with what the driver
remembers before a task uses it. Where the file alone is lost (or a task was placed on another
host) the cached handle still stands: `open_shard` raises `MissingShard`, the job fails, and
`SparkShards.repair` drops the cached handles of just these shards and has Spark compute them again,
from the shuffle files if they are still there. An engine wraps each job in `SparkShards.guarded`,
which does this. A recomputed shard that differs is a `SourceChanged` error.

Driver; needs pyspark.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import reduce
from typing import Any, TypeVar

import numpy as np
from py4j.protocol import Py4JError
from pyspark import RDD, SparkContext, StorageLevel

from dpnn.data.checks import span_of
from dpnn.data.files import Handle, Layout, MissingShard, delete_run, is_whole, open_shard
from dpnn.data.placement import add_checksums
from dpnn.data.shards import Shape, Shard, as_shard
from dpnn.spark.jobs import UNGROUPED, job_properties, translated

R = TypeVar("R")
LEVEL = StorageLevel.MEMORY_AND_DISK
_FORGET_SECONDS = 10
_REPAIRS = 3  # times in a row that one job's lost files are made again


class SourceChanged(RuntimeError):
    """A shard was computed again and came out different."""


class SparkShards:
    """Driver. The shards of one data set on a Spark cluster. Close it, or use it in `with`.

    handles    the driver's copies, in shard order; paths may be outdated, counts never are
    rdd        one Handle a partition, in shard order; a task reads its file by `open_shard`
    labels     the labels' span (lowest, highest, one that is not whole); None without a label
    source     what the rows came from, for the record: paths, filter, schema, rows
    """

    def __init__(
        self, sc: SparkContext, cached: RDD, run: str, facts: list[dict], source: dict
    ) -> None:
        self.sc = sc
        self._run = run
        self._cached = cached
        self._closed = False
        self.layout: Layout = facts[0]["layout"]
        self.handles = [_handle(fact, self.layout) for fact in facts]
        self.rows = sum(handle.rows for handle in self.handles)
        self.labels = span_of(fact["label"] for fact in facts)
        self.source = {**source, "rows": self.rows}
        expected = {h.shard: (h.rows, h.checksum) for h in self.handles}
        layout = self.layout
        self.rdd: RDD = cached.mapPartitions(lambda facts: _verified(facts, expected, layout), True)

    @property
    def checksum(self) -> int:
        """Of all rows, wherever they lie."""
        return reduce(add_checksums, (handle.checksum for handle in self.handles))

    @property
    def num_shards(self) -> int:
        return len(self.handles)

    @property
    def input_shape(self) -> Shape | dict[str, Shape]:
        """The shape of one row of the input, or of each input by name."""
        shapes = {name: shape for name, _, shape in self.layout}
        if "x" in shapes:
            return shapes["x"]
        return {name[2:]: shape for name, shape in shapes.items() if name.startswith("x.")}

    def guarded(self, action: Callable[[], R]) -> R:
        """Run a job over `rdd`; where a shard's files are gone, make them again and run it anew."""
        with translated(self.sc):
            for _ in range(_REPAIRS):
                try:
                    return action()
                except Exception as error:
                    if _told(error, SourceChanged):
                        raise SourceChanged(_told(error, SourceChanged)) from error
                    if not _told(error, MissingShard):
                        raise
                self.repair()
            return action()

    def repair(self) -> list[int]:
        """Compute again the shards whose files a task cannot open; returns their numbers.

        Raises SourceChanged if one comes out different.
        """
        layout = self.layout
        facts = self._cached.mapPartitions(lambda facts: _damaged(facts, layout), True).collect()
        damaged = [fact["handle"][0] for fact in facts if not fact["whole"]]
        if damaged:
            old = {fact["handle"][3] for fact in facts if not fact["whole"]}
            self._forget(damaged)
            facts = self._cached.collect()
            deadline = time.monotonic() + _FORGET_SECONDS
            while any(fact["handle"][3] in old for fact in facts) and time.monotonic() < deadline:
                time.sleep(0.05)  # executors drop blocks in their own time
                facts = self._cached.collect()
        expected = {h.shard: (h.rows, h.checksum) for h in self.handles}
        self.handles = list(_verified(facts, expected, layout))
        return damaged

    def fetch(self) -> list[Shard]:
        """All shards for this process: mapped where they lie on this host, else brought over."""
        here = socket.gethostname()
        if all(handle.host == here and is_whole(handle) for handle in self.handles):
            return [open_shard(handle) for handle in self.handles]
        return self.guarded(lambda: [_unpacked(*p) for p in self.rdd.map(_packed).collect()])

    def close(self) -> None:
        """Delete the files as far as they can be reached, and let Spark forget the handles.

        What can't be reached goes with the application: no reason to fail a fit.
        """
        if self._closed or self.sc._jsc is None:  # the context was stopped: Spark has cleaned up
            return
        self._closed = True
        run = self._run
        try:
            with suppress(Exception), job_properties(self.sc, UNGROUPED):
                if _held(self._cached) == self.num_shards:
                    remove(self._cached, run)
                else:  # Spark would make the lost ones again
                    handles = self.sc.parallelize(self.handles, self.num_shards)
                    handles.foreach(lambda handle: delete_run(run, handle))
        finally:
            with suppress(Exception):
                self._cached.unpersist()

    def __enter__(self) -> SparkShards:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _forget(self, shards: list[int]) -> None:
        """Drop cached handles, so that Spark computes just these partitions again.

        Spark offers no such call for single partitions. Where its insides are not as expected,
        all handles are dropped.
        """
        jvm: Any = self.sc._jvm
        context: Any = self.sc._jsc.sc()
        try:
            env = jvm.java.lang.Class.forName("org.apache.spark.SparkEnv")
            field = env.getDeclaredField("blockManager")  # py4j cannot list SparkEnv's methods
            field.setAccessible(True)
            blocks = field.get(context.env()).master()
            for shard in shards:
                block = jvm.org.apache.spark.storage.RDDBlockId(self._cached.id(), shard)
                blocks.removeBlock(block)
        except Py4JError:
            self._cached.unpersist(blocking=True)
            self._cached.persist(LEVEL)


def _handle(fact: dict, layout: Layout) -> Handle:
    shard, rows, total, path, host = fact["handle"]
    return Handle(shard, rows, total, path, host, layout)


def _verified(
    facts: Iterable[dict], expected: dict[int, tuple[int, int]], layout: Layout
) -> Iterator[Handle]:
    """Handles that are what the driver remembers; else the source is not what it was."""
    for fact in facts:
        handle = _handle(fact, layout)
        rows, total = expected[handle.shard]
        if (handle.rows, handle.checksum) != (rows, total):
            raise SourceChanged(
                f"shard {handle.shard} was computed again and has other rows ({handle.rows}, "
                f"checksum {handle.checksum:016x}, after {rows}, {total:016x}): the source changed "
                "between reads (files overwritten, or a random expression); write it to Parquet "
                "first, or use df.checkpoint()"
            )
        yield handle


def _damaged(facts: Iterable[dict], layout: Layout) -> Iterator[dict]:
    for fact in facts:
        yield {**fact, "whole": is_whole(_handle(fact, layout))}


def _held(cached: RDD) -> int:
    """How many of its partitions Spark still has."""
    context: Any = cached.ctx._jsc.sc()
    held = (i.numCachedPartitions() for i in context.getRDDStorageInfo() if i.id() == cached.id())
    return next(held, 0)


def remove(cached: RDD, run: str) -> None:
    """Driver. Delete the files of an ingest on the hosts that have them."""
    cached.foreach(lambda fact: delete_run(run, _handle(fact, ())))


def _packed(handle: Handle) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Executor. The arrays themselves, to travel to the driver."""
    shard = open_shard(handle)
    return shard.arrays, shard.order


def _unpacked(arrays: dict[str, np.ndarray], order: np.ndarray) -> Shard:
    return as_shard(arrays, order)


def _told(error: BaseException, kind: type[Exception]) -> str:
    """The message of an executor's error of this kind, found in the trace that Spark hands over."""
    if isinstance(error, kind):
        return str(error)
    found = re.search(rf"{kind.__name__}: (.*)", str(error))
    return found.group(1).strip() if found else ""
