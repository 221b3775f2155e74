"""Pieces of partial sums as rows of a DataFrame. Driver and executor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa

from dpnn.engines.job_frames import Arrivals, Part, new_array, pieces, place
from dpnn.engines.sums import Node

SCHEMA = "place int, level int, node int, size bigint, offset bigint, data binary"
_TYPES = pa.schema(
    {
        **dict.fromkeys(("place", "level", "node"), pa.int32()),
        **dict.fromkeys(("size", "offset"), pa.int64()),
        "data": pa.binary(),
    }
)


def written(parts: Iterable[Part], level: int) -> Iterator[pa.RecordBatch]:
    """Rows of SCHEMA, a piece each; `place` is the index of a node's ancestor at `level`."""
    for piece in pieces(parts):
        where = place(piece.node, level)
        row = (where, *piece.node, piece.size, piece.offset, bytes(piece.data))
        columns = [pa.array([value], kind) for value, kind in zip(row, _TYPES.types, strict=True)]
        yield pa.RecordBatch.from_arrays(columns, schema=_TYPES)


def read(
    batches: Iterable[pa.RecordBatch], array: Callable[[Node, int], np.ndarray] = new_array
) -> Iterator[Part]:
    """The parts of such rows, each as soon as it is whole; `array` as of `Arrivals`."""
    arrivals = Arrivals(array)
    for batch in batches:
        names = ("level", "node", "size", "offset")
        numbers = zip(*(batch.column(name).to_pylist() for name in names), strict=True)
        for (level, index, size, offset), value in zip(numbers, batch.column("data"), strict=True):
            data = memoryview(value.as_buffer()).cast("B")
            fill = partial(_copy, data)
            if part := arrivals.add((level, index), size, offset, len(data), fill):
                yield part
    arrivals.end()


def _copy(data: memoryview, view: memoryview) -> None:
    view[:] = data
