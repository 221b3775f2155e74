"""Shards: the arrays of one logical slice of a data set, and which rows a step takes of them.

A shard holds named splits, "train" and perhaps "validation": the rows that a fit learns from, and
those that it is judged by. All of them were cut by the same rule, so they have the same shards.

Executor and driver; needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple, Protocol

import numpy as np

from dpnn.data.checks import Ranges, Span
from dpnn.data.encoders.encoders import Encoders
from dpnn.data.paging import fetch
from dpnn.data.sparse import Sparse
from dpnn.data.visits import ByRow, ByRun, Visit, visits

SPLITS = ("train", "validation")
_NUMBERS = 1 << 24  # of the inputs of a pass

Arrays = Any  # of one input an array, which may be `Sparse`; of several {name: array}
Shape = tuple[int, ...]
Layout = tuple[tuple[str, str, Shape], ...]  # (name, dtype, shape of a row) of each array


@dataclass(frozen=True)
class Split:
    """The rows of one shard in one split. Arrays may be memory-mapped; dtypes are compact.

    x      (n, …) or {name: (n, …)}: the inputs
    y      (n,) or (n, …), or None where there is no label
    w      (n,) float32 row weights, or None for ones
    order  (n,) the rows sorted by content hash: the same for the same rows, however they arrived
    """

    x: Arrays
    y: np.ndarray | None
    w: np.ndarray | None
    order: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.order)

    @property
    def row_bytes(self) -> int:
        """Of a row with all its zeros, however it is kept."""
        arrays = self.arrays.values()
        return sum(array.dtype.itemsize * prod(array.shape[1:]) for array in arrays)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """By flat names, as `as_split` takes them."""
        xs = {f"x.{k}": v for k, v in self.x.items()} if isinstance(self.x, dict) else {"x": self.x}
        return xs | {k: v for k, v in (("y", self.y), ("w", self.w)) if v is not None}


Shard = dict[str, Split]  # by the names of the splits


@dataclass(frozen=True)
class Facts:
    """What is known of one split over all shards.

    rows      of each shard
    layout    of its arrays
    labels    their span (lowest, highest, one that is not whole); None without a label
    checksum  the same for the same rows, wherever they lie
    ranges    of the inputs that float32 may round: see `checks.ranges`
    """

    rows: list[int]
    layout: Layout
    labels: Span | None
    checksum: int
    ranges: Ranges = field(default_factory=dict)


class Shards(Protocol):
    """The shards of a dataset, wherever they lie.

    facts     of each split that there is, by name
    source    what the rows came from, for the record: paths, filter, schema, rows
    encoders  what made the inputs of raw columns; None where they are as they were
    """

    facts: dict[str, Facts]
    source: dict[str, Any]
    encoders: Encoders | None

    def close(self) -> None:
        """Give back what holds them. May be called twice."""


@dataclass
class LocalShards:
    """Shards in this process.

    hashes  of each split's rows, by shard, where they are not those of the arrays: rows that were
            encoded lie where their raw columns put them
    """

    shards: list[Shard]
    facts: dict[str, Facts]
    source: dict[str, Any]
    encoders: Encoders | None = None
    hashes: dict[str, list[np.ndarray]] | None = None

    def close(self) -> None:
        """Nothing: memory goes with the last who looks at it."""


class Rows(NamedTuple):
    """Some rows of a split, gathered: x, y and w as there."""

    x: Arrays
    y: np.ndarray | None
    w: np.ndarray | None


class Batches:
    """Cuts the split of one shard into the steps of an epoch; gathers rows into its own buffers.

    One per split and thread: it remembers the visits of the epoch that it was last asked for.
    """

    def __init__(self, split: Split, seed: int, index: int) -> None:
        self.split = split
        self._key = (seed, index)
        self._visits: ByRow | ByRun | None = None
        self._epoch: int | None = None
        self._buffers: dict[str, np.ndarray] = {}

    def rows(self, epoch: int, step: int, steps: int) -> np.ndarray:
        """The row numbers of a step: visits ⌊t·n/T⌋ to ⌊(t+1)·n/T⌋, so every row once an epoch."""
        split = self.split
        if self._visits is None or epoch != self._epoch:
            seed, index = self._key
            self._visits = visits(Visit(seed, epoch, index), split.rows, split.row_bytes)
            self._epoch = epoch
        mine = step * split.rows // steps, (step + 1) * split.rows // steps
        if spans := self._visits.ahead(*mine):
            for array in (split.order, *split.arrays.values()):
                fetch(array, spans)
        return split.order[self._visits.places(*mine)]

    def all_rows(self) -> np.ndarray:
        """Every row, in content order: for sums that must not depend on the order of arrival."""
        return self.split.order

    def take(self, rows: np.ndarray) -> Rows:
        """The rows of these numbers, in this order, dtypes kept. Valid until the next call."""
        s = self.split
        x: Arrays
        if isinstance(s.x, dict):
            x = {name: self._gather(f"x.{name}", array, rows) for name, array in s.x.items()}
        else:
            x = self._gather("x", s.x, rows)
        y = None if s.y is None else self._gather("y", s.y, rows)
        w = None if s.w is None else self._gather("w", s.w, rows)
        return Rows(x, y, w)

    def _gather(self, name: str, array: Any, rows: np.ndarray) -> np.ndarray:
        buffer = self._buffers.get(name)
        if buffer is None or len(buffer) < len(rows):
            buffer = self._buffers[name] = np.empty((len(rows), *array.shape[1:]), array.dtype)
        out = buffer[: len(rows)]
        if isinstance(array, Sparse):
            array[rows].dense(out)
        elif len(rows):
            np.take(array, rows, axis=0, out=out, mode="clip")  # "raise" would copy once more
        return out


def rows_at_once(shape: Shape | dict[str, Shape], most: int) -> int:
    """How many rows a pass takes, at most so many: of very wide rows fewer, in bounded memory."""
    widest = max(map(prod, shape.values())) if isinstance(shape, dict) else prod(shape)
    return max(min(most, _NUMBERS // max(widest, 1)), 1)


def step_rows(split: Split, seed: int, epoch: int, index: int, step: int, steps: int) -> np.ndarray:
    """The row numbers that shard `index` gives to a step; `Batches.rows` for a single question."""
    return Batches(split, seed, index).rows(epoch, step, steps)


def as_split(arrays: Mapping[str, np.ndarray], order: np.ndarray) -> Split:
    """A split of flat names: "x" or "x.NAME" …, and "y", "w" where there are any."""
    x: Arrays
    if "x" in arrays:
        x = arrays["x"]
    else:
        x = {name[2:]: array for name, array in arrays.items() if name.startswith("x.")}
    return Split(x, arrays.get("y"), arrays.get("w"), order)
