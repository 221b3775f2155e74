"""The rows of a shard sorted by content, in memory that does not grow with them: word of where they
lie in that order (`write_order`), or the rows themselves (`sort_rows`).

Row hashes are spread evenly, so their first bits cut them into parts of about the same size; each
part is sorted in memory, and lies on disk before and after.

Executor; needs NumPy alone.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from dpnn.data.placement import content_order

PART = 1 << 21  # rows that are sorted at once: 80 MB
_HASH, _NUMBER = np.dtype(np.uint64), np.dtype(np.int64)

Spans = list[tuple[int, int, int]]  # of rows that are sorted by part: place in the file, from, to


def write_order(hashes: Path, rows: int, order: Path, part: int = PART) -> int:
    """Write `content_order` of the `rows` hashes in one file to another; returns its crc32."""
    if rows <= part:
        found = content_order(np.fromfile(hashes, np.uint64))
        found.tofile(order)
        return zlib.crc32(found.data)
    shift = _shift(rows, part)
    starts = _starts(hashes, part, shift)
    crc = first = 0
    with ExitStack() as stack:
        keys, numbers = (stack.enter_context(_scratch(order)) for _ in range(2))
        for some, by_part, spans in _cut(hashes, part, shift, starts):
            _spread(some[by_part], spans, keys)
            _spread(first + by_part, spans, numbers)
            first += len(some)
        out = stack.enter_context(order.open("wb"))
        for start, end in pairwise(starts):
            sorted_rows = content_order(_at(keys, _HASH, start, end))
            crc = _append(_at(numbers, _NUMBER, start, end)[sorted_rows], out, crc)
    return crc


def sort_rows(
    hashes: Path, rows: int, columns: Sequence[Path], order: Path, part: int
) -> list[int]:
    """Lay the rows of files down anew as `content_order` has them, and write the order that they
    are then in; returns the crc32 of each file, and of the order. Takes their bytes once more.

    part  rows that are sorted at once, about
    """
    shift = _shift(rows, part)
    starts = _starts(hashes, part, shift)
    kinds = [np.dtype((np.void, path.stat().st_size // rows)) for path in columns]
    found = [0] * len(columns)
    with ExitStack() as stack:
        keys, *scratch = (stack.enter_context(_scratch(order)) for _ in (hashes, *columns))
        with ExitStack() as reading:
            sources = [reading.enter_context(path.open("rb")) for path in columns]
            for some, by_part, spans in _cut(hashes, part, shift, starts):
                _spread(some[by_part], spans, keys)
                for file, kind, to in zip(sources, kinds, scratch, strict=True):
                    _spread(np.fromfile(file, kind, len(some))[by_part], spans, to)
        files = [stack.enter_context(path.open("wb")) for path in columns]
        for start, end in pairwise(starts):
            sorted_rows = content_order(_at(keys, _HASH, start, end))
            for i, (of, kind, out) in enumerate(zip(scratch, kinds, files, strict=True)):
                found[i] = _append(_at(of, kind, start, end)[sorted_rows], out, found[i])
    crc = 0
    with order.open("wb") as out:
        for start in range(0, rows, part):
            crc = _append(np.arange(start, min(start + part, rows)), out, crc)
    return [*found, crc]


def _scratch(beside: Path) -> Any:
    return tempfile.TemporaryFile(dir=beside.parent, buffering=0)


def _shift(rows: int, part: int) -> np.uint64:
    """What leaves of a hash the bits that name its part."""
    return np.uint64(64 - max((rows // part).bit_length(), 1))


def _starts(hashes: Path, part: int, shift: np.uint64) -> list[int]:
    """Where each part begins among the rows, and the end."""
    counts = np.zeros((1 << int(64 - shift)) + 1, np.int64)
    with hashes.open("rb") as file:
        while len(some := np.fromfile(file, np.uint64, part)):
            counts[1:] += np.bincount((some >> shift).astype(np.int64), minlength=len(counts) - 1)
    return np.cumsum(counts).tolist()


def _cut(
    hashes: Path, part: int, shift: np.uint64, starts: list[int]
) -> Iterator[tuple[np.ndarray, np.ndarray, Spans]]:
    """Some hashes at a time, their order by part, and where each part's go.

    Within a part they keep their order, so that equal hashes do.
    """
    places = np.array(starts[:-1])
    narrow = np.min_scalar_type(len(places))  # the narrower, the sooner sorted
    with hashes.open("rb") as file:
        while len(some := np.fromfile(file, np.uint64, part)):
            parts = (some >> shift).astype(narrow)
            sizes = np.bincount(parts, minlength=len(places))
            ends = np.cumsum(sizes)
            spans = [
                (int(places[i]), int(ends[i] - sizes[i]), int(ends[i]))
                for i in np.flatnonzero(sizes)
            ]
            yield some, np.argsort(parts, kind="stable"), spans
            places += sizes


def _spread(values: np.ndarray, spans: Spans, file: Any) -> None:
    for place, start, end in spans:
        file.seek(place * values.itemsize)
        file.write(values[start:end].view(np.uint8).data)


def _at(file: Any, kind: np.dtype, start: int, end: int) -> np.ndarray:
    file.seek(start * kind.itemsize)
    return np.fromfile(file, kind, end - start)


def _append(values: np.ndarray, file: BinaryIO, crc: int) -> int:
    data = values.view(np.uint8).data
    file.write(data)
    return zlib.crc32(data, crc)
