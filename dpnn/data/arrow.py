"""Arrow record batches to the named arrays of a shard, without row objects.

The names are flat: "x" for a single input, "x.NAME" for one of several, "y" for the label, "w"
for the weight. Executor; needs NumPy and pyarrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dpnn.data import checks
from dpnn.data.checks import Problem
from dpnn.data.dtypes import kept
from dpnn.data.encoders.encoders import Encoders
from dpnn.data.encoders.raw import MISSING, hashed, read
from dpnn.data.encoders.wishes import Wishes
from dpnn.data.sparse import WIDE, Sparse


@dataclass(frozen=True)
class Column:
    """One column of the batches: a column of the user's, or several scalars packed in an array."""

    names: tuple[str, ...]
    packed: bool = False

    @property
    def where(self) -> list[str]:
        return [f"column {name!r}" for name in self.names]


@dataclass(frozen=True)
class Part:
    """One array of a shard. `stacked`: its columns stand side by side, so that it is (n, k)."""

    name: str
    columns: tuple[Column, ...]
    stacked: bool = False


@dataclass(frozen=True)
class Spec:
    """What to make of a batch: the parts, in the order of the batch's columns.

    wishes      raw columns, which come first, as their `names` are ordered
    encoders    what makes inputs of them; None while they are still to be learned
    text_label  the label's values are names of classes: they are hashed like categories
    """

    parts: tuple[Part, ...]
    num_classes: int | None = None
    wishes: Wishes | None = None
    text_label: bool = False
    encoders: Encoders | None = None

    @property
    def names(self) -> list[str]:
        """Of the arrays that it makes, in order."""
        raw = [] if self.wishes is None else self.wishes.array_names
        return [*raw, *(part.name for part in self.parts)]


@dataclass
class Notes:
    """What the raw columns of a batch have that arrays do not say.

    texts  of each category column, and last of a label that is text: hash -> name
    """

    widths: tuple[int, ...] = ()
    stamps: tuple[bool, ...] = ()
    texts: tuple[dict[int, str], ...] = ()
    text_label: bool = False

    def add(self, other: Notes) -> None:
        """Those of further rows of the same columns."""
        self.widths, self.stamps = other.widths, other.stamps
        self.text_label = other.text_label
        before = self.texts or ({},) * len(other.texts)
        self.texts = tuple({**a, **b} for a, b in zip(before, other.texts, strict=True))


def decode(
    batch: pa.RecordBatch, spec: Spec, notes: Notes | None = None
) -> tuple[dict[str, Any], list[Problem]]:
    """The arrays of one batch, or the problems that kept it from having them; fills `notes`."""
    arrays: dict[str, Any] = {}
    problems: list[Problem] = []
    columns = iter(batch.columns)
    notes = Notes() if notes is None else notes
    if spec.wishes is not None:
        raw, problems = read({name: next(columns) for name in spec.wishes.names}, spec.wishes)
        arrays |= raw.arrays if spec.encoders is None else spec.encoders.arrays(raw)
        notes.widths, notes.stamps, notes.texts = raw.widths, raw.stamps, raw.texts
    for part in spec.parts:
        if part.name == "y" and spec.text_label:
            label = part.columns[0]
            arrays["y"], names = hashed(next(columns), label.names[0])
            notes.texts += (names,)
            notes.text_label = True
            if nulls := int((arrays["y"] == MISSING).sum()):
                problems.append(Problem("null", label.where[0], nulls))
            elif spec.encoders is not None:
                arrays["y"] = spec.encoders.encode_label(arrays["y"])
            continue
        pieces: list[Any] = []
        for column in part.columns:
            values, found = _column(next(columns), column)
            if isinstance(values, Sparse):
                pieces.append(values.with_values(kept(part.name, values.values)))
                found += checks.check_values(pieces[-1].values[:, None], column.where)
            elif values is not None:
                pieces.append(kept(part.name, values))
                found += checks.check_values(pieces[-1], column.where)
            problems += found
        if not problems:
            arrays[part.name] = _joined(pieces, part.stacked)
    if not problems:
        if "y" in arrays and not spec.text_label:
            where = next(p.columns[0].where[0] for p in spec.parts if p.name == "y")
            problems += checks.check_labels(arrays["y"], spec.num_classes, where)
        if "w" in arrays:
            where = next(p.columns[0].where[0] for p in spec.parts if p.name == "w")
            problems += checks.check_weights(arrays["w"], where)
    return arrays, problems


def _column(array: pa.Array, column: Column) -> tuple[Any, list[Problem]]:
    """(n, …) of one Arrow column; nulls anywhere and unequal lengths are problems."""
    if isinstance(array, pa.StructArray):
        return _vectors(array, column)
    shape: list[int] = [len(array)]
    while isinstance(array, (pa.ListArray, pa.LargeListArray)):
        if array.null_count:
            kind = "null deep" if len(shape) > 1 else "null"
            return None, [Problem(kind, column.where[0], array.null_count)]
        lengths = np.diff(array.offsets.to_numpy())
        width = int(lengths[0]) if len(lengths) else 0
        if len(lengths) and (lengths != width).any():
            return None, [_ragged(lengths, column)]
        shape.append(width)
        array = array.flatten()
    if array.null_count:
        return None, _nulls(array, column, depth=len(shape) - 1)
    if isinstance(array, (pa.BinaryArray, pa.LargeBinaryArray)):
        ends = offsets(array)
        lengths = np.diff(ends)
        width = int(lengths[0]) if len(lengths) else 0
        if len(lengths) and (lengths != width).any():
            return None, [_ragged(lengths, column)]
        shape.append(width)
        data = array.buffers()[2] or b""
        values = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
    elif pa.types.is_decimal(array.type):
        values = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
    else:
        values = array.to_numpy(zero_copy_only=False)
    return values.reshape(shape), []


def _vectors(array: pa.StructArray, column: Column) -> tuple[Any, list[Problem]]:
    """(n, width) of Spark's vectors; `Sparse` where nearly all numbers are 0."""
    if array.null_count:
        return None, [Problem("null", column.where[0], array.null_count)]
    values, is_dense = array.field("values"), array.field("type").to_numpy() == 1
    counts = np.diff(values.offsets.to_numpy())
    sizes = array.field("size").fill_null(0).to_numpy(zero_copy_only=False)
    lengths = np.where(is_dense, counts, sizes)
    if len(lengths) and (lengths != lengths[0]).any():
        return None, [_ragged(lengths, column)]
    width = int(lengths[0]) if len(lengths) else 0
    numbers = values.flatten().to_numpy(zero_copy_only=False)
    if is_dense.all():
        made = numbers.reshape(len(array), width)
        found = Sparse.of(made) if width >= WIDE else None
        return found if found is not None and found.pays else made, []
    ends = np.r_[0, np.cumsum(counts, dtype=np.int64)]
    places = (np.arange(ends[-1]) - np.repeat(ends[:-1], counts)).astype(np.int32)
    places[np.repeat(~is_dense, counts)] = array.field("indices").flatten().to_numpy()
    rows = Sparse(ends, places, numbers, width).trimmed()
    return rows if rows.pays else rows.dense(), []


def offsets(array: pa.Array) -> np.ndarray:
    """(n + 1,) where each value of a binary array of n begins, and the last one ends."""
    kind = np.int32 if isinstance(array, pa.BinaryArray) else np.int64
    found = np.frombuffer(array.buffers()[1], kind)
    return found[array.offset : array.offset + len(array) + 1]


def _nulls(array: pa.Array, column: Column, depth: int) -> list[Problem]:
    if not column.packed:
        flat = depth == 1 and not pa.types.is_boolean(array.type)
        kind = "null" if not depth else "null inside" if flat else "null deep"
        return [Problem(kind, column.where[0], array.null_count)]
    missing = array.is_null().to_numpy(zero_copy_only=False).reshape(-1, len(column.names))
    counts = zip(column.where, missing.sum(axis=0), strict=True)
    return [Problem("null", where, int(n)) for where, n in counts if n]


def _ragged(lengths: np.ndarray, column: Column) -> Problem:
    return Problem("ragged", column.where[0], 1, float(lengths.min()), float(lengths.max()))


def _joined(pieces: list[Any], stacked: bool) -> Any:
    if not stacked:
        return pieces[0]
    flat = [piece.reshape(len(piece), int(np.prod(piece.shape[1:]))) for piece in pieces]
    return flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1)
