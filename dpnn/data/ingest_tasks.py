"""The two halves of the ingest that run in tasks: `split` before the shuffle, `write` after it.

Between them travels one row per (batch, shard): the shard's number, the row hashes and the raw
values of each array, so that the shuffle moves a few fat binary rows instead of every row.

Executor; needs NumPy and pyarrow. Both work on plain iterators and are tested without Spark.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import reduce

import numpy as np
import pyarrow as pa

from dpnn.data import checks
from dpnn.data.arrow import Spec, decode, offsets
from dpnn.data.checks import Problem
from dpnn.data.files import ShardWriter
from dpnn.data.placement import add_checksums, checksum, place, row_hashes

HASH = "hash"


def travel_schema(spec: Spec) -> str:
    """Spark's schema of the rows between `split` and `write`."""
    arrays = "".join(f", a{i} binary" for i in range(len(spec.parts)))
    return f"shard int, head string, {HASH} binary{arrays}"


def split(
    batches: Iterable[pa.RecordBatch], spec: Spec, num_shards: int
) -> Iterator[pa.RecordBatch]:
    """Executor. Batches of rows to one row per shard that they touch; problems go to shard 0."""
    for batch in batches:
        if batch.num_rows == 0:
            continue
        arrays, problems = decode(batch, spec)
        if problems:
            head = json.dumps({"problems": [asdict(p) for p in problems]})
            yield _record([0], [head], [[0, 0]] * (1 + len(spec.parts)), None)
            continue
        hashes = row_hashes(arrays)
        shards = place(hashes, num_shards)
        by_shard = np.argsort(shards, kind="stable")
        counts = np.bincount(shards, minlength=num_shards)
        touched = np.flatnonzero(counts)
        bounds = np.r_[0, np.cumsum(counts[touched])]
        columns = [np.take(a, by_shard, axis=0) for a in (hashes, *arrays.values())]
        widths = [a.itemsize * int(np.prod(a.shape[1:])) for a in columns]
        facts = {"layout": _layout(arrays), "label": _labels(arrays)}
        heads = [json.dumps({**facts, "rows": n}) for n in counts[touched].tolist()]
        yield _record(touched, heads, [bounds * width for width in widths], columns)


def write(batches: Iterable[pa.RecordBatch], spec: Spec, run: str, shard: int) -> Iterator[str]:
    """Executor. All rows of one shard to files; yields its handle and findings as JSON, once."""
    writer = ShardWriter(run, shard)
    names = [part.name for part in spec.parts]
    layouts: dict[str, list] = {}
    labels: list[checks.Span | None] = []
    problems: list[Problem] = []
    due = 0
    try:
        for batch in batches:
            for head in batch.column(1).to_pylist():
                facts = json.loads(head)
                problems += [Problem(**p) for p in facts.get("problems", ())]
                if "layout" in facts:
                    layouts[json.dumps(facts["layout"])] = facts["layout"]
                    labels.append(facts["label"])
                    due += facts["rows"]
            hashes = np.frombuffer(_bytes(batch.column(2)), np.uint64)
            blobs = (_bytes(column) for column in batch.columns[3:])
            writer.append(hashes, dict(zip(names, blobs, strict=True)))
        handle = writer.close()
        if handle.rows != due:
            raise RuntimeError(f"shard {shard} got {handle.rows} rows of {due}: please report this")
    except BaseException:
        writer.discard()
        raise
    yield json.dumps(
        {
            "handle": [handle.shard, handle.rows, handle.checksum, handle.path, handle.host],
            "layouts": list(layouts.values()),
            "label": checks.span_of(labels),
            "problems": [asdict(p) for p in checks.merged(problems)],
        }
    )


def content(batches: Iterable[pa.RecordBatch], spec: Spec) -> int:
    """Executor. The checksum of rows that have no problems; lays nothing down."""
    return reduce(add_checksums, (checksum(row_hashes(decode(b, spec)[0])) for b in batches), 0)


def _layout(arrays: dict[str, np.ndarray]) -> list:
    return [[name, a.dtype.str, list(a.shape[1:])] for name, a in arrays.items()]


def _labels(arrays: dict[str, np.ndarray]) -> checks.Span | None:
    return checks.span(arrays["y"]) if "y" in arrays else None


def _record(
    shards: Iterable[int], heads: list[str], bounds: list, columns: list[np.ndarray] | None
) -> pa.RecordBatch:
    """Binary columns straight over the arrays' memory: offsets in bytes, no copies."""
    numbers = pa.array(shards, pa.int32())
    made = [numbers, pa.array(heads, pa.string())]
    for i, some in enumerate(bounds):
        data = pa.py_buffer(b"" if columns is None else np.ascontiguousarray(columns[i]))
        ends = pa.py_buffer(np.asarray(some, np.int32))
        made.append(pa.BinaryArray.from_buffers(pa.binary(), len(numbers), [None, ends, data]))
    names = ["shard", "head", HASH, *(f"a{i}" for i in range(len(made) - 3))]
    return pa.RecordBatch.from_arrays(made, names)


def _bytes(column: pa.BinaryArray | pa.LargeBinaryArray) -> memoryview:
    """The values of all rows of a binary column, which lie one behind the other."""
    ends = offsets(column)
    data = column.buffers()[2]
    view = memoryview(data) if data is not None else memoryview(b"")
    return view[ends[0] : ends[-1]]
