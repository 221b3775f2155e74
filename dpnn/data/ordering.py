"""The rows of a shard sorted by content, in memory that does not grow with them.

Row hashes are spread evenly, so their first bits cut them into parts of about the same size; each
part is sorted in memory, and lies on disk before and after.

Executor; needs NumPy alone.
"""

from __future__ import annotations

import tempfile
import zlib
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dpnn.data.placement import content_order

PART = 1 << 19  # rows that are sorted at once: 16 MB
_ROW = np.dtype([("hash", np.uint64), ("row", np.int64)])


def write_order(hashes: Path, rows: int, order: Path, part: int = PART) -> int:
    """Write `content_order` of the `rows` hashes in one file to another; returns its crc32."""
    if rows <= part:
        found = content_order(np.fromfile(hashes, np.uint64))
        found.tofile(order)
        return zlib.crc32(found.data)
    bits = (rows // part).bit_length()
    shift = np.uint64(64 - bits)
    crc = 0
    with tempfile.TemporaryFile(dir=order.parent) as scratch, order.open("wb") as out:
        starts = _scatter(hashes, scratch, rows, part, shift)
        for start, end in pairwise(starts):
            scratch.seek(start * _ROW.itemsize)
            some = np.fromfile(scratch, _ROW, end - start)
            sorted_rows = some["row"][content_order(some["hash"])]
            crc = zlib.crc32(sorted_rows.data, crc)
            out.write(sorted_rows.data)
    return crc


def _scatter(hashes: Path, scratch: BinaryIO, rows: int, part: int, shift: np.uint64) -> list[int]:
    """The hashes with their row numbers, by their first bits; where each part begins, and the end.

    Within a part they keep their order, so that equal hashes do.
    """
    counts = np.zeros((1 << int(64 - shift)) + 1, np.int64)
    with hashes.open("rb") as file:
        while len(some := np.fromfile(file, np.uint64, part)):
            counts[1:] += np.bincount((some >> shift).astype(np.int64), minlength=len(counts) - 1)
    starts = np.cumsum(counts)
    places = starts[:-1].copy()
    scratch.truncate(rows * _ROW.itemsize)
    first = 0
    with hashes.open("rb") as file:
        while len(some := np.fromfile(file, np.uint64, part)):
            keys = (some >> shift).astype(np.int64)
            by_key = np.argsort(keys, kind="stable")
            made = np.empty(len(some), _ROW)
            made["hash"], made["row"] = some[by_key], first + by_key
            sizes = np.bincount(keys, minlength=len(places))
            ends = np.cumsum(sizes)
            for key in np.flatnonzero(sizes):
                scratch.seek(int(places[key]) * _ROW.itemsize)
                scratch.write(made[ends[key] - sizes[key] : ends[key]].tobytes())
            places += sizes
            first += len(some)
    return starts.tolist()
