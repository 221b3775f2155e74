"""The shards of a dataset as Spark keeps them: files on executors' disks, and a handle of each.

What Spark persists is one small `Handle` a shard, of all its splits.

Recovery. A lost executor takes cached handles and files along: Spark recomputes both from the
lineage within the running job, and `SparkShards.verified` compares the new handle with what the
driver remembers before a task uses it. Where the file alone is lost (or a task was placed on
another host) the cached handle still stands: `open_shard` raises `MissingShard`, the job fails, and
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

from pyspark import RDD

from dpnn.data.checks import ranges_of, span_of
from dpnn.data.encoders.encoders import Encoders
from dpnn.data.files import Handle, MissingShard, Piece, is_whole, open_shard
from dpnn.data.kept import Fact, Kept, KeptRDD
from dpnn.data.placement import add_checksums
from dpnn.data.shards import Facts, Layout, LocalShards, Shard, as_split
from dpnn.spark.classic import ClassicSession
from dpnn.spark.session import NO_RDDS, ConnectUnsupported

R = TypeVar("R")
Layouts = dict[str, Layout]
_FORGET_SECONDS = 10
_REPAIRS = 3  # times in a row that one job's lost files are made again


class SourceChanged(RuntimeError):
    """A shard was computed again and came out different."""


class SparkShards:
    """Driver. The shards of one dataset on a Spark cluster. Close it, or use it in `with`.

    handles  the driver's copies, in shard order; paths may be outdated, counts never are
    kept     what Spark keeps of them: the facts that tasks run on
    facts    of each split
    source   what the rows came from, for the record: paths, filter, schema, rows
    beneath   raw shards that these were made of: repaired before them, closed after them
    encoders  what made these of raw columns; None where there are none
    """

    def __init__(
        self,
        kept: Kept,
        run: str,
        found: list[Fact],
        layouts: Layouts,
        source: dict[str, Any],
        beneath: SparkShards | None = None,
        encoders: Encoders | None = None,
    ) -> None:
        self.session, self.kept = kept.session, kept
        self.encoders = encoders
        self._beneath = beneath
        self._run = run
        self._closed = False
        self._layouts = layouts
        self.handles = [_handle(fact, layouts) for fact in found]
        self._paths = {handle.path for handle in self.handles}  # those of before a repair, too
        self.facts = {split: self._facts(split, found) for split in layouts}
        self.source = {**source, "rows": sum(self.facts["train"].rows)}
        expected = [_content(handle) for handle in self.handles]
        self.verified = partial(_verified, expected=expected, layouts=layouts)

    @property
    def rdd(self) -> RDD:
        """One Handle a partition, in shard order, on a classic session; a task reads its files by
        `open_shard`.
        """
        return self._of_rdd().rdd.mapPartitions(self.verified, True)

    @property
    def classic(self) -> ClassicSession:
        """The session, where it is a classic one."""
        return self._of_rdd().session

    def _of_rdd(self) -> KeptRDD:
        if not isinstance(self.kept, KeptRDD):
            raise ConnectUnsupported(NO_RDDS)
        return self.kept

    @property
    def num_shards(self) -> int:
        return len(self.handles)

    def guarded(self, action: Callable[[], R]) -> R:
        """Run a job; where a shard's files are gone, make them again and run it anew."""
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

    def map(self, task: Callable[[Iterable[Handle]], Iterator[R]]) -> list[R]:
        """Run a task where the shards lie, for each its handle; what they yield, in shard order."""
        verified = self.verified
        return self.guarded(lambda: self.kept.map(lambda facts: task(verified(facts))))

    def repair(self) -> list[int]:
        """Compute again the shards whose files a task cannot open; returns their numbers.

        Raises SourceChanged if one comes out different.
        """
        if self._beneath is not None:
            self._beneath.repair()
        layouts = self._layouts
        facts = self.kept.map(lambda facts: _damaged(facts, layouts))
        damaged = [fact["handle"]["shard"] for fact in facts if not fact["whole"]]
        if damaged:
            old = {_path(fact) for fact in facts if not fact["whole"]}
            self.kept.forget(damaged)
            facts = self.kept.facts()
            deadline = time.monotonic() + _FORGET_SECONDS
            while old & set(map(_path, facts)) and time.monotonic() < deadline:
                time.sleep(0.05)  # executors drop blocks in their own time
                facts = self.kept.facts()
        self.handles = list(self.verified(facts))
        self._paths |= {handle.path for handle in self.handles}
        return damaged

    def fetch(self) -> LocalShards:
        """All shards for this process: mapped where they lie on this host, else brought over."""
        return LocalShards(self._fetch(), self.facts, self.source, self.encoders)

    def _fetch(self) -> list[Shard]:
        here = socket.gethostname()
        if all(handle.host == here for handle in self.handles):
            with suppress(MissingShard):
                return [open_shard(handle) for handle in self.handles]
        return [_unpacked(some) for some in self.map(_packed)]

    def close(self) -> None:
        """Delete the files as far as they can be reached, and let Spark forget the handles.

        What can't be reached goes with the application: no reason to fail a fit.
        """
        if self._closed or not self.session.running:  # a stopped one has cleaned up
            return
        self._closed = True
        try:
            with suppress(Exception):
                self.kept.delete(self._run, sorted(self._paths))
        finally:
            self.kept.release()
            if self._beneath is not None:
                self._beneath.close()

    def __enter__(self) -> SparkShards:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _facts(self, split: str, found: list[Fact]) -> Facts:
        pieces = [handle.pieces.get(split, Piece()) for handle in self.handles]
        labels = span_of(fact["labels"].get(split) for fact in found)
        total = reduce(add_checksums, (piece.checksum for piece in pieces))
        ranges = ranges_of(fact.get("ranges", {}).get(split, {}) for fact in found)
        rows = [piece.rows for piece in pieces]
        return Facts(rows, self._layouts[split], labels, total, ranges)


def _handle(fact: Fact, layouts: Layouts) -> Handle:
    told = fact["handle"]
    pieces = {
        split: Piece(
            p["rows"], p["checksum"], {k: tuple(v) for k, v in p["files"].items()}, p["size"]
        )
        for split, p in told["pieces"].items()
    }
    return Handle(told["shard"], told["path"], told["host"], pieces, layouts)


def _path(fact: Fact) -> str:
    return fact["handle"]["path"]


def _content(handle: Handle) -> dict[str, tuple[int, int]]:
    """What a shard holds, however it came to lie there: rows and checksum of each split."""
    return {split: (piece.rows, piece.checksum) for split, piece in handle.pieces.items()}


def _verified(
    facts: Iterable[Fact], expected: list[dict[str, tuple[int, int]]], layouts: Layouts
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


def _damaged(facts: Iterable[Fact], layouts: Layouts) -> Iterator[Fact]:
    for fact in facts:
        yield {**fact, "whole": is_whole(_handle(fact, layouts))}


def _packed(handles: Iterable[Handle]) -> Iterator[dict[str, Any]]:
    """Executor. The arrays themselves, to travel to the driver."""
    for handle in handles:
        yield {split: (rows.arrays, rows.order) for split, rows in open_shard(handle).items()}


def _unpacked(packed: dict[str, Any]) -> Shard:
    return {split: as_split(arrays, order) for split, (arrays, order) in packed.items()}


def _told(error: BaseException, kind: type[Exception]) -> str:
    """The message of an executor's error of this kind, found in the trace that Spark hands over."""
    if isinstance(error, kind):
        return str(error)
    found = re.search(rf"{kind.__name__}: (.*)", str(error))
    return found.group(1).strip() if found else ""
