"""Which dtype an array keeps on its way to the layer that needs it.

Integers stay as they are, booleans become uint8, floats float32. But whole numbers stay whole: a
column of doubles may be ids, or times in seconds, that float32 would make one of. Such values are
kept exactly, in an array of float64; all the others in it are rounded to float32 all the same. So
a value is what it is whatever lies beside it, in whichever batch, shard or cluster.

Executor and driver; needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dpnn.data.shards import Layout

_EXACT = 2.0**24  # float32 holds every whole number up to here
_WHOLE = 2.0**53  # and float64 up to here: what lies beyond is measured, not counted


def kept(name: str, values: np.ndarray) -> np.ndarray:
    """The array of this name as a shard keeps it; labels and weights need no more than float32."""
    exact = name.startswith("x") or values.dtype.kind != "f"
    return compact(values) if exact else single(values)


def compact(values: np.ndarray) -> np.ndarray:
    """The same values in the dtype that a shard keeps."""
    if values.dtype == bool:
        return values.view(np.uint8)
    if values.dtype.kind != "f":
        return values
    narrow = single(values)
    if values.dtype.itemsize <= 4 or _all_within(values):
        return narrow
    size = np.abs(values)
    exact = (size > _EXACT) & (size < _WHOLE) & (values == np.floor(values)) & (values != narrow)
    if not exact.any():
        return narrow
    return np.where(exact, values, narrow).astype(np.float64)


def single(values: np.ndarray) -> np.ndarray:
    """Floats as float32, what is too large as infinity; anything else as it is."""
    if values.dtype.kind != "f":
        return values
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)


def joint(layouts: Iterable[Layout]) -> Layout | None:
    """The layout that holds the arrays of all of these; None where their rows differ in shape."""
    first, *others = layouts
    for other in others:
        if [(name, shape) for name, _, shape in first] != [(n, shape) for n, _, shape in other]:
            return None
        first = tuple(
            (name, wider(dtype, theirs), shape)
            for (name, dtype, shape), (_, theirs, _) in zip(first, other, strict=True)
        )
    return first


def agreed(layouts: dict[str, Layout]) -> dict[str, Layout]:
    """Layouts of splits by name, in which floats of the same array are of the same width."""
    found: dict[str, str] = {}
    for layout in layouts.values():
        for name, dtype, _ in layout:
            if np.dtype(dtype).kind == "f":
                found[name] = wider(found.get(name, dtype), dtype)
    return {
        split: tuple(
            (name, found[name] if np.dtype(dtype).kind == "f" else dtype, shape)
            for name, dtype, shape in layout
        )
        for split, layout in layouts.items()
    }


def wider(a: str, b: str) -> str:
    """The dtype that holds the values of both."""
    return np.result_type(np.dtype(a), np.dtype(b)).str


def _all_within(values: np.ndarray) -> bool:
    """Whether float32 has all their whole numbers; NaN says no."""
    return not values.size or bool(values.min() >= -_EXACT and values.max() <= _EXACT)
