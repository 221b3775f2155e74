"""Rows that are mostly zeros: the other numbers alone, and their places (compressed rows).

Executor and driver; needs NumPy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

WIDE = 1024  # numbers of a row from which on zeros are left out, …
_SHARE = 4  # … where one in so many is no zero, at most


@dataclass(frozen=True)
class Sparse:
    """(n, width) numbers.

    ends    (n + 1,) int64: row i has the places and values from ends[i] to ends[i + 1]
    places  (m,) int32, each once in a row
    values  (m,)
    """

    ends: np.ndarray
    places: np.ndarray
    values: np.ndarray
    width: int

    @classmethod
    def of(cls, array: np.ndarray) -> Sparse:
        """Of (n, width) numbers as they are."""
        rows, places = np.nonzero((array != 0) | np.signbit(array))
        ends = np.r_[0, np.cumsum(np.bincount(rows, minlength=len(array)))]
        return cls(ends, places.astype(np.int32), array[rows, places], array.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), self.width

    @property
    def dtype(self) -> np.dtype:
        return self.values.dtype

    @property
    def pays(self) -> bool:
        """Whether it is much smaller than as it would be with its zeros."""
        return self.width >= WIDE and _SHARE * len(self.values) <= len(self) * self.width

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, rows: Any) -> Sparse:
        """Rows by a slice, their numbers, or a mask."""
        if isinstance(rows, slice):
            rows = np.arange(len(self))[rows]
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        begins = self.ends[rows]
        counts = self.ends[rows + 1] - begins
        ends = np.r_[0, np.cumsum(counts)]
        where = np.arange(ends[-1]) + np.repeat(begins - ends[:-1], counts)
        return Sparse(ends, self.places[where], self.values[where], self.width)

    def dense(self, out: Any = None) -> np.ndarray:
        """(n, width), in `out` where it is given."""
        out = np.empty(self.shape, self.dtype) if out is None else out
        out[...] = 0
        out[np.repeat(np.arange(len(self)), np.diff(self.ends)), self.places] = self.values
        return out

    def range(self) -> tuple[np.ndarray, np.ndarray]:
        """(width,) the lowest and the highest number of each column."""
        full = np.bincount(self.places, minlength=self.width) == len(self)
        low, high = np.where(full, np.inf, 0.0), np.where(full, -np.inf, 0.0)
        np.minimum.at(low, self.places, self.values)
        np.maximum.at(high, self.places, self.values)
        return low, high

    def trimmed(self) -> Sparse:
        """Without the zeros among its values."""
        kept = (self.values != 0) | np.signbit(self.values)
        ends = np.r_[0, np.cumsum(kept)][self.ends]
        return Sparse(ends, self.places[kept], self.values[kept], self.width)

    def with_values(self, values: np.ndarray) -> Sparse:
        """With other numbers in the same places."""
        return Sparse(self.ends, self.places, values, self.width)

    def packed(self, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The bytes of the blocks of rows from each bound to the next, and where each begins."""
        blocks = [np.empty(0, np.uint8)]
        counts = np.diff(self.ends).astype(np.int32)
        for start, stop in pairwise(bounds):
            some = slice(self.ends[start], self.ends[stop])
            parts = counts[start:stop], self.places[some], self.values[some]
            blocks.append(np.concatenate([part.view(np.uint8) for part in parts]))
        return np.concatenate(blocks), np.cumsum([len(block) for block in blocks])

    @classmethod
    def unpacked(cls, block: memoryview, rows: int, dtype: str, width: int) -> Sparse:
        """The rows of a block of `packed`."""
        counts = np.frombuffer(block, np.int32, rows)
        ends = np.r_[0, np.cumsum(counts, dtype=np.int64)]
        places = np.frombuffer(block, np.int32, ends[-1], counts.nbytes)
        begin = counts.nbytes + places.nbytes
        values = np.frombuffer(bytes(block[begin:]), dtype)  # where it lies may fit no double
        return cls(ends, places, values, width)


def dense(array: np.ndarray | Sparse) -> np.ndarray:
    """With its zeros."""
    return array.dense() if isinstance(array, Sparse) else array
