"""The shards of a dataset as Spark keeps them: files on executors' disks, and a handle of each.

What Spark persists is one small `Handle` a shard, of all its splits.

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
from functools import partial, reduce
from typing import Any, TypeVar

from pyspark import RDD, StorageLevel

from dpnn.data.checks import ranges_of, span_of
from dpnn.data.encoders.encoders import Encoders
from dpnn.data.files import Handle, MissingShard, Piece, delete_run, is_whole, open_shard
from dpnn.data.placement import add_checksums
from dpnn.data.shards import Facts, Layout, LocalShards, Shard, as_split
from dpnn.spark.session import Session
from dpnn.spark.shuffles import remove_shuffles

R = TypeVar("R")
Layouts = dict[str, Layout]
LEVEL = StorageLevel.MEMORY_AND_DISK
_FORGET_SECONDS = 10
_REPAIRS = 3  # times in a row that one job's lost files are made again


class SourceChanged(RuntimeError):
    """A shard was computed again and came out different."""


class SparkShards:
    """Driver. The shards of one dataset on a Spark cluster. Close it, or use it in `with`.

    handles  the driver's copies, in shard order; paths may be outdated, counts never are
    rdd      one Handle a partition, in shard order; a task reads its files by `open_shard`
    facts    of each split
    source   what the rows came from, for the record: paths, filter, schema, rows
    beneath   raw shards that these were made of: repaired before them, closed after them
    encoders  what made these of raw columns; None where there are none
    """

    def __init__(
        self,
        session: Session,
        cached: RDD,
        run: str,
        found: list[dict],
        layouts: Layouts,
        source: dict[str, Any],
        beneath: SparkShards | None = None,
        encoders: Encoders | None = None,
    ) -> None:
        self.session = session
        self.encoders = encoders
        self._beneath = beneath
        self._run = run
        self._cached = cached
        self._closed = False
        self._layouts = layouts
        self.handles = [_handle(fact, layouts) for fact in found]
        self.facts = {split: self._facts(split, found) for split in layouts}
        self.source = {**source, "rows": sum(self.facts["train"].rows)}
        expected = [_content(handle) for handle in self.handles]
        verified = partial(_verified, expected=expected, layouts=layouts)
        self.rdd: RDD = cached.mapPartitions(verified, True)

    @property
    def num_shards(self) -> int:
        return len(self.handles)

    def guarded(self, action: Callable[[], R]) -> R:
        """Run a job over `rdd`; where a shard's files are gone, make them again and run it anew."""
        with self.session.translated():
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
        if self._beneath is not None:
            self._beneath.repair()
        layouts = self._layouts
        facts = self._cached.mapPartitions(lambda facts: _damaged(facts, layouts), True).collect()
        damaged = [fact["handle"]["shard"] for fact in facts if not fact["whole"]]
        if damaged:
            old = {_path(fact) for fact in facts if not fact["whole"]}
            self.session.forget(self._cached, damaged, LEVEL)
            facts = self._cached.collect()
            deadline = time.monotonic() + _FORGET_SECONDS
            while old & set(map(_path, facts)) and time.monotonic() < deadline:
                time.sleep(0.05)  # executors drop blocks in their own time
                facts = self._cached.collect()
        expected = [_content(handle) for handle in self.handles]
        self.handles = list(_verified(facts, expected, layouts))
        return damaged

    def fetch(self) -> LocalShards:
        """All shards for this process: mapped where they lie on this host, else brought over."""
        return LocalShards(self._fetch(), self.facts, self.source, self.encoders)

    def _fetch(self) -> list[Shard]:
        here = socket.gethostname()
        if all(handle.host == here for handle in self.handles):
            with suppress(MissingShard):
                return [open_shard(handle) for handle in self.handles]
        return self.guarded(lambda: [_unpacked(some) for some in self.rdd.map(_packed).collect()])

    def close(self) -> None:
        """Delete the files as far as they can be reached, and let Spark forget the handles.

        What can't be reached goes with the application: no reason to fail a fit.
        """
        if self._closed or not self.session.running:  # a stopped one has cleaned up
            return
        self._closed = True
        run = self._run
        try:
            with suppress(Exception), self.session.ungrouped():
                if self.session.cached_partitions(self._cached) == self.num_shards:
                    remove(self._cached, run)
                else:  # Spark would make the lost ones again
                    handles = self.session.sc.parallelize(self.handles, self.num_shards)
                    handles.foreach(lambda handle: delete_run(run, handle))
        finally:
            remove_shuffles(self._cached)
            with suppress(Exception):
                self._cached.unpersist()
            if self._beneath is not None:
                self._beneath.close()

    def __enter__(self) -> SparkShards:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _facts(self, split: str, found: list[dict]) -> Facts:
        pieces = [handle.pieces.get(split, Piece()) for handle in self.handles]
        labels = span_of(fact["labels"].get(split) for fact in found)
        total = reduce(add_checksums, (piece.checksum for piece in pieces))
        ranges = ranges_of(fact.get("ranges", {}).get(split, {}) for fact in found)
        rows = [piece.rows for piece in pieces]
        return Facts(rows, self._layouts[split], labels, total, ranges)


def _handle(fact: dict, layouts: Layouts) -> Handle:
    told = fact["handle"]
    pieces = {
        split: Piece(p["rows"], p["checksum"], {k: tuple(v) for k, v in p["files"].items()})
        for split, p in told["pieces"].items()
    }
    return Handle(told["shard"], told["path"], told["host"], pieces, layouts)


def _path(fact: dict) -> str:
    return fact["handle"]["path"]


def _content(handle: Handle) -> dict[str, tuple[int, int]]:
    """What a shard holds, however it came to lie there: rows and checksum of each split."""
    return {split: (piece.rows, piece.checksum) for split, piece in handle.pieces.items()}


def _verified(
    facts: Iterable[dict], expected: list[dict[str, tuple[int, int]]], layouts: Layouts
) -> Iterator[Handle]:
    """Handles that are what the driver remembers; else the source is not what it was."""
    for fact in facts:
        handle = _handle(fact, layouts)
        found, before = _content(handle), expected[handle.shard]
        if found != before:
            raise SourceChanged(
                f"shard {handle.shard} was computed again and has other rows ({_words(found)}, "
                f"after {_words(before)}): the source changed between reads (files overwritten, or "
                "a random expression); write it to Parquet first, or use df.checkpoint()"
            )
        yield handle


def _words(content: dict[str, tuple[int, int]]) -> str:
    return ", ".join(f"{n} {split}, checksum {total:016x}" for split, (n, total) in content.items())


def _damaged(facts: Iterable[dict], layouts: Layouts) -> Iterator[dict]:
    for fact in facts:
        yield {**fact, "whole": is_whole(_handle(fact, layouts))}


def remove(cached: RDD, run: str) -> None:
    """Driver. Delete the files of an ingest on the hosts that have them."""
    cached.foreach(lambda fact: delete_run(run, _handle(fact, {})))


def _packed(handle: Handle) -> dict[str, Any]:
    """Executor. The arrays themselves, to travel to the driver."""
    return {split: (rows.arrays, rows.order) for split, rows in open_shard(handle).items()}


def _unpacked(packed: dict[str, Any]) -> Shard:
    return {split: as_split(arrays, order) for split, (arrays, order) in packed.items()}


def _told(error: BaseException, kind: type[Exception]) -> str:
    """The message of an executor's error of this kind, found in the trace that Spark hands over."""
    if isinstance(error, kind):
        return str(error)
    found = re.search(rf"{kind.__name__}: (.*)", str(error))
    return found.group(1).strip() if found else ""
