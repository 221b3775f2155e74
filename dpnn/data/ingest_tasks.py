"""The two halves of the ingest that run in tasks: `split` before the shuffle, `write` after it.

Between them travels one row per (batch, shard, split): the shard's number, the row hashes and the
raw values of each array, so that the shuffle moves a few fat binary rows instead of every row.
Where all tasks share a disk the values wait there, and what travels is where they lie (`pieces`).

Executor; needs NumPy and pyarrow. Both work on plain iterators and are tested without Spark.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from dpnn.data import checks
from dpnn.data.arrow import Notes, Spec, decode, offsets
from dpnn.data.checks import Problem
from dpnn.data.files import Handle, ShardWriter
from dpnn.data.pieces import PieceReader, PieceWriter
from dpnn.data.placement import place, row_hashes
from dpnn.data.shards import SPLITS
from dpnn.data.sparse import Sparse
from dpnn.data.splits import Rule

HASH = "hash"


def travel_schema(spec: Spec) -> str:
    """Spark's schema of the rows between `split` and `write`."""
    arrays = "".join(f", a{i} binary" for i in range(len(spec.names)))
    return f"shard int, head string, {HASH} binary{arrays}"


def split(
    batches: Iterable[pa.RecordBatch],
    spec: Spec,
    rule: Rule,
    num_shards: int,
    hashed: bool = False,
    pieces: PieceWriter | None = None,
) -> Iterator[pa.RecordBatch]:
    """Executor. Batches of rows to one row per shard and split that they touch; problems go to
    shard 0.

    hashed  the last column is the rows' hashes
    pieces  takes the values, so that they do not travel
    """
    for batch in batches:
        if batch.num_rows == 0:
            continue
        notes = Notes()
        arrays, problems = decode(batch, spec, notes)
        if problems := problems + rule.problems(batch):
            yield bad([replace(p, told=rule.told) for p in problems], spec)
            continue
        given = batch.columns[-1].to_numpy().view(np.uint64) if hashed else None
        hashes = row_hashes(arrays) if given is None else given
        keys = 2 * place(hashes, num_shards) + rule.held(batch, hashes)
        narrow = np.min_scalar_type(2 * num_shards)  # the narrower, the sooner sorted
        by_key = np.argsort(keys.astype(narrow), kind="stable")
        counts = np.bincount(keys)
        touched = np.flatnonzero(counts)
        bounds = np.r_[0, np.cumsum(counts[touched])]
        made = [_sorted(array, by_key, bounds) for array in (hashes, *arrays.values())]
        columns: list[np.ndarray] | None = [column for column, _ in made]
        ends = [end for _, end in made]
        sparse = [name for name, array in arrays.items() if isinstance(array, Sparse)]
        layout = [[name, a.dtype.str, list(a.shape[1:])] for name, a in arrays.items()]
        spans: list[checks.Span | None] = [None] * len(touched)
        if "y" in arrays:
            y = arrays["y"][by_key]
            spans = [checks.span(y[a:b]) for a, b in pairwise(bounds)]
        heads: list[dict[str, Any]] = [
            {
                "split": SPLITS[key % 2],
                "rows": n,
                "layout": layout,
                "sparse": sparse,
                "labels": span,
            }
            for key, n, span in zip(touched.tolist(), counts[touched].tolist(), spans, strict=True)
        ]
        if spec.wishes is not None:
            for head, (a, b) in zip(heads, pairwise(bounds), strict=True):
                head["notes"] = _notes(arrays, by_key[a:b], notes)
        if pieces is not None:
            for head, where in zip(heads, pieces.append(made), strict=True):
                head["piece"] = where
            ends, columns = [np.zeros_like(bounds)] * len(ends), None
        yield _record(touched // 2, [json.dumps(head) for head in heads], ends, columns)


def _sorted(array: Any, order: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of an array in another order, and the bytes at which blocks of them begin."""
    if isinstance(array, Sparse):
        return array[order].packed(bounds)
    width = array.itemsize * int(np.prod(array.shape[1:]))
    return np.take(array, order, axis=0), bounds * width


def bad(problems: Iterable[Problem], spec: Spec) -> pa.RecordBatch:
    """Executor. Problems on their way to shard 0."""
    head = json.dumps({"problems": [asdict(p) for p in problems]})
    return _record([0], [head], [[0, 0]] * (1 + len(spec.names)), None)


def write(batches: Iterable[pa.RecordBatch], spec: Spec, run: str, shard: int) -> Iterator[str]:
    """Executor. All rows of one shard to files; yields its handle and findings as JSON, once."""
    writer = ShardWriter(run, shard)
    layouts: dict[str, dict[str, list]] = {}
    labels: dict[str, list[checks.Span | None]] = {}
    problems: list[Problem] = []
    heaviest: dict[str, float] = {}
    ranges: dict[str, checks.Ranges] = {}
    noted: dict[str, Any] = {}
    due = 0
    pieces = PieceReader()
    try:
        for batch in batches:
            blobs = [_bytes(column) for column in batch.columns[2:]]
            ends = [offsets(column) for column in batch.columns[2:]]
            for i, head in enumerate(batch.column(1).to_pylist()):
                facts = json.loads(head)
                problems += [Problem(**p) for p in facts.get("problems", ())]
                if "layout" not in facts:
                    continue
                of = facts["split"]
                layouts.setdefault(of, {})[json.dumps(facts["layout"])] = facts["layout"]
                labels.setdefault(of, []).append(facts["labels"])
                due += facts["rows"]
                if "notes" in facts:
                    noted = _joined(noted, facts["notes"])
                if "piece" in facts:
                    hashes, *values = pieces.read(facts["piece"])
                else:
                    hashes, *values = (
                        blob[end[i] - end[0] : end[i + 1] - end[0]]
                        for blob, end in zip(blobs, ends, strict=True)
                    )
                arrays: dict[str, Any] = {}
                for (name, dtype, shape), some in zip(facts["layout"], values, strict=True):
                    if name in facts["sparse"]:
                        arrays[name] = Sparse.unpacked(some, facts["rows"], dtype, shape[0])
                    else:
                        arrays[name] = np.frombuffer(some, dtype).reshape(-1, *shape)
                writer.append(of, np.frombuffer(hashes, np.uint64), arrays)
                ranges[of] = checks.ranges_of([ranges.get(of, {}), checks.ranges(arrays)])
                if "w" in arrays:
                    heaviest[of] = max(heaviest.get(of, 0.0), float(arrays["w"].max()))
        if noted:
            writer.note(noted)
        handle = writer.close()
        if handle.rows != due:
            raise RuntimeError(f"shard {shard} got {handle.rows} rows of {due}: please report this")
    except BaseException:
        writer.discard()
        raise
    finally:
        pieces.close()
    yield json.dumps(
        {
            "handle": plain(handle),
            "layouts": {of: list(found.values()) for of, found in layouts.items()},
            "labels": {of: checks.span_of(found) for of, found in labels.items()},
            "heaviest": heaviest,
            "ranges": ranges,
            "problems": [asdict(p) for p in checks.merged(problems)],
        }
    )


def _notes(arrays: dict[str, np.ndarray], rows: np.ndarray, notes: Notes) -> dict[str, Any]:
    """What is to be known of some rows of a batch: the names of just their values."""
    columns = list(arrays["x.categories"].T) if "x.categories" in arrays else []
    if len(notes.texts) > len(columns):
        columns.append(arrays["y"])
    texts = []
    for column, names in zip(columns, notes.texts, strict=True):
        values = np.unique(column[rows]).tolist()
        texts.append({value: names[value] for value in values if value in names})
    return {"widths": notes.widths, "stamps": notes.stamps, "texts": texts}


def _joined(noted: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    if not noted:
        return more
    for names, others in zip(noted["texts"], more["texts"], strict=True):
        names.update(others)
    return noted


def plain(handle: Handle) -> dict[str, Any]:
    """As JSON; the layouts are settled by the driver."""
    pieces = {of: asdict(piece) for of, piece in handle.pieces.items()}
    return {"shard": handle.shard, "path": handle.path, "host": handle.host, "pieces": pieces}


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
