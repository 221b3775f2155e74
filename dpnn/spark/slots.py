"""One file as a small Parquet table, for file systems that are reached through Spark alone.

Readers and writers of Spark's can neither rename nor delete. So a file is a folder with two slots,
each a partition with one version of the content in rows of bytes. A write replaces the older slot;
what was there stays until Spark commits. A reader takes the newest version that is whole.

Driver and executor; any session.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from dpnn.spark.session import Session

ROW = 1 << 22  # bytes
_ROWS = "slot int, version bigint, size bigint, crc bigint, at bigint, data binary"


def write(session: Session, uri: str, data: bytes) -> None:
    """Make or replace the file."""
    newest = max(_versions(session, uri), default=(0, 1))
    rows = _rows(session.sent(data), version=newest[0] + 1, slot=1 - newest[1])
    frame = session.spark.range(0, 1, 1, 1).mapInArrow(rows, _ROWS)
    made = frame.write.mode("overwrite").option("partitionOverwriteMode", "dynamic")
    made.partitionBy("slot").parquet(uri)


def read(session: Session, uri: str) -> bytes | None:
    """The newest whole version; None where there is none."""
    for version, slot in sorted(_versions(session, uri), reverse=True):
        frame = _table(session, uri).where(f"slot = {slot} and version = {version}")
        table = frame.orderBy("at").toArrow()
        data = b"".join(piece.as_py() for piece in table.column("data"))
        if zlib.crc32(data) == table.column("crc")[0].as_py():
            return data
    return None


def _versions(session: Session, uri: str) -> list[tuple[int, int]]:
    """(version, slot) of those whose bytes are all there."""
    from pyspark.errors import AnalysisException
    from pyspark.sql import functions as F

    try:
        counted = _table(session, uri).groupBy("slot", "version", "size")
        found = counted.agg(F.sum(F.length("data")).alias("here")).collect()
    except AnalysisException as error:
        if "PATH_NOT_FOUND" in str(error):
            return []
        raise
    return [(row.version, row.slot) for row in found if row.here == row.size]


def _table(session: Session, uri: str) -> Any:
    return session.spark.read.schema(_ROWS).parquet(uri)


def _rows(sent: Any, version: int, slot: int) -> Any:
    """A task that yields the rows of one version."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        list(batches)
        data = sent.value
        crc = zlib.crc32(data)
        for at in range(0, max(len(data), 1), ROW):
            row = (slot, version, len(data), crc, at, data[at : at + ROW])
            kinds = (pa.int32(), *[pa.int64()] * 4, pa.binary())
            columns = [pa.array([value], kind) for value, kind in zip(row, kinds, strict=True)]
            names = [part.split()[0] for part in _ROWS.split(", ")]
            yield pa.RecordBatch.from_arrays(columns, names=names)

    return run
