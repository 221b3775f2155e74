"""Shards: the arrays of one logical slice of a data set, and which rows a step takes of them.

Executor and driver; needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Arrays = np.ndarray | dict[str, np.ndarray]  # one input, or several by name
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Shard:
    """The rows of one shard. Arrays may be memory-mapped; dtypes are as compact as the source's.

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
    def arrays(self) -> dict[str, np.ndarray]:
        """By flat names, as `as_shard` takes them."""
        xs = {f"x.{k}": v for k, v in self.x.items()} if isinstance(self.x, dict) else {"x": self.x}
        return xs | {k: v for k, v in (("y", self.y), ("w", self.w)) if v is not None}


class Rows(NamedTuple):
    """Some rows of a shard, gathered: x, y and w as in `Shard`."""

    x: Arrays
    y: np.ndarray | None
    w: np.ndarray | None


class Batches:
    """Cuts one shard into the steps of an epoch and gathers rows into buffers that it reuses.

    One per shard and thread: it remembers the permutation of the epoch that it was last asked for.
    """

    def __init__(self, shard: Shard, seed: int, index: int) -> None:
        self.shard = shard
        self._key = (seed, index)
        self._epoch: int | None = None
        self._perm = shard.order
        self._buffers: dict[str, np.ndarray] = {}

    def rows(self, epoch: int, step: int, steps: int) -> np.ndarray:
        """The row numbers of a step: perm[⌊t·n/T⌋ : ⌊(t+1)·n/T⌋], so every row once an epoch."""
        if epoch != self._epoch:
            seed, index = self._key
            self._perm = epoch_rows(self.shard, seed, epoch, index)
            self._epoch = epoch
        n = self.shard.rows
        return self._perm[step * n // steps : (step + 1) * n // steps]

    def all_rows(self) -> np.ndarray:
        """Every row, in content order: for sums that must not hang on the order of arrival."""
        return self.shard.order

    def take(self, rows: np.ndarray) -> Rows:
        """The rows of these numbers, in this order, dtypes kept. Valid until the next call."""
        s = self.shard
        x: Arrays
        if isinstance(s.x, dict):
            x = {name: self._gather(f"x.{name}", array, rows) for name, array in s.x.items()}
        else:
            x = self._gather("x", s.x, rows)
        y = None if s.y is None else self._gather("y", s.y, rows)
        w = None if s.w is None else self._gather("w", s.w, rows)
        return Rows(x, y, w)

    def _gather(self, name: str, array: np.ndarray, rows: np.ndarray) -> np.ndarray:
        buffer = self._buffers.get(name)
        if buffer is None or len(buffer) < len(rows):
            buffer = self._buffers[name] = np.empty((len(rows), *array.shape[1:]), array.dtype)
        out = buffer[: len(rows)]
        if len(rows):
            np.take(array, rows, axis=0, out=out, mode="clip")  # "raise" would copy once more
        return out


def step_rows(shard: Shard, seed: int, epoch: int, index: int, step: int, steps: int) -> np.ndarray:
    """The row numbers that shard `index` gives to a step; `Batches.rows` for a single question."""
    return Batches(shard, seed, index).rows(epoch, step, steps)


def epoch_rows(shard: Shard, seed: int, epoch: int, index: int) -> np.ndarray:
    """All row numbers of a shard in the order of this epoch, which hangs on these numbers only."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, epoch, index))))
    return shard.order[rng.permutation(shard.rows)]


def as_shard(arrays: Mapping[str, np.ndarray], order: np.ndarray) -> Shard:
    """A shard of flat names: "x" or "x.NAME" …, and "y", "w" where there are any."""
    x: Arrays
    if "x" in arrays:
        x = arrays["x"]
    else:
        x = {name[2:]: array for name, array in arrays.items() if name.startswith("x.")}
    return Shard(x, arrays.get("y"), arrays.get("w"), order)
