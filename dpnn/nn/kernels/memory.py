"""Memory: buffers that are reused from pass to pass, and blocks that fit the cache.

Fresh memory costs more than most arithmetic: its pages are zeroed when they are first touched. And
what has left the cache between two passes over it is read again from memory, ten times slower.
"""

import threading
from collections.abc import Callable, Iterator
from math import prod
from types import ModuleType
from typing import Any

import numpy as np

from dpnn.nn.kernels.arrays import Array

BLOCK = 65536  # numbers that a core works on at once: 256 kB of float32 stay in its cache


class Buffers:
    """Arrays by tag: what it gives is valid until the same tag is asked for again."""

    def __init__(self, xp: ModuleType, dtype: np.dtype) -> None:
        self.xp, self.dtype = xp, dtype
        self._memory: dict[Any, Array] = {}
        self._views: dict[Any, Array] = {}

    def empty(self, tag: str, shape: tuple[int, ...], dtype: Any = None) -> Array:
        """The buffer `tag`, uninitialised. Plainly: xp.empty(shape, dtype)."""
        view = self._views.get((tag, shape, dtype))
        if view is None:
            size, memory = prod(shape), self._memory.get((tag, dtype))
            if memory is None or memory.size < size:
                memory = self.xp.empty(size, self.dtype if dtype is None else dtype)
                self._memory[tag, dtype] = memory
                self._views.clear()
            elif len(self._views) > 256:  # batches of ever new sizes
                self._views.clear()
            self._views[tag, shape, dtype] = view = memory[:size].reshape(shape)
        return view

    def like(self, x: Array, tag: str) -> Array:
        """The buffer `tag`, uninitialised, in the shape of x."""
        return self.empty(tag, x.shape)

    def copy(self, x: Array, tag: str) -> Array:
        """`x`, also a view of any strides, as one piece of memory: the buffer `tag`."""
        out = self.empty(tag, x.shape)
        self.xp.copyto(out, x, casting="unsafe")
        return out

    def floats(self, x: Array, tag: str = "floats") -> Array:
        """`x`, or where its dtype is another (integers, float64) a converted copy in a buffer."""
        return x if x.dtype == self.dtype else self.copy(x, tag)

    def total(self, rows: Array) -> Any:
        """Σ of losses (B,), one a row. Who adds without rounding errors has them as they are."""
        return float(rows.sum())


def blocks(xp: ModuleType, rows: int | slice, width: int = 1) -> Iterator[slice]:
    """Slices of rows of `width` numbers that fit the CPU's cache; a GPU takes all at once."""
    start, stop = (rows.start, rows.stop) if isinstance(rows, slice) else (0, rows)
    size = max(BLOCK // max(width, 1), 1) if xp is np else max(stop - start, 1)
    return (slice(i, min(i + size, stop)) for i in range(start, stop, size))


def joined(rows: list[tuple[int, int, float]]) -> np.ndarray:
    """Rows (start, stop, factor), (n, 3): neighbours of the same factor become one; none of 0."""
    found: list[list[float]] = []
    for start, stop, factor in rows:
        if factor == 0:
            continue
        if found and found[-1][1:] == [start, factor]:
            found[-1][1] = stop
        else:
            found.append([start, stop, factor])
    return np.array(found, float).reshape(-1, 3)


def spans(table: np.ndarray) -> Iterator[tuple[slice, float]]:
    """From rows (start, stop, factor): the slices of a vector and their factors."""
    for start, stop, factor in table.tolist():
        yield slice(int(start), int(stop)), factor


def in_blocks(xp: ModuleType, *arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Arrays of one shape, block by block, each as a vector: several passes over a block in turn
    find it in the cache.
    """
    flat = tuple(x.reshape(-1) for x in arrays)
    if flat[0].size <= BLOCK:
        yield flat
        return
    for some in blocks(xp, flat[0].size):
        yield tuple(x[some] for x in flat)


class PerThread:
    """One object for each thread: `own` for the one that makes this, else made on first use."""

    def __init__(self, own: Any, make: Callable[[], Any]) -> None:
        self._own, self._make = own, make
        self._thread, self._others = threading.get_ident(), threading.local()

    def __call__(self) -> Any:
        if threading.get_ident() == self._thread:
            return self._own
        if not hasattr(self._others, "found"):
            self._others.found = self._make()
        return self._others.found
