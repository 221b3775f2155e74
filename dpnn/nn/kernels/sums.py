"""Sums along the rows or the columns of a matrix, as matrix products.

NumPy's own sum takes one row after the other, in one thread, and is 3 to 10 times slower than a
product with ones (256 x 256 float32: 21 us against 4). N rows, C columns.
"""

from math import gcd
from typing import Any

import numpy as np

from dpnn.nn.kernels.arrays import Array, array_module

LONG = 1024  # rows that are added one after another before rounding errors show
WIDE = 512  # numbers in a row from which on NumPy's inner loops are as quick as they get
NARROW = 8  # numbers in a row below which NumPy adds them one after another
COLUMN = 25  # rows that NumPy's own loop takes while one column is joined to another


def sum_rows(x: Array, out: Array) -> Array:
    """Σ over the rows of x (N, C) into out (C,), which is returned.

    A product adds row after row: of more than LONG rows, several are laid side by side (as far as
    powers of two divide their number), so that rounding errors don't pile up.
    """
    xp, rows = array_module(x), len(x)
    beside = gcd(rows, 1 << max(rows.bit_length() - LONG.bit_length() + 1, 0))
    wide = x.reshape(rows // beside if rows else 0, beside * out.size)
    parts = xp.dot(xp.ones(len(wide), x.dtype), wide)
    return parts.reshape(beside, out.size).sum(0, out=out)


def plain_sum_rows(x: Array, out: Array) -> Array:
    return x.sum(axis=0, out=out)


def mean_columns(x: Array, weights: Array | None = None) -> Array:
    """Σ_c weights_c x_c / C of each row of x (N, C): (N, 1)."""
    if weights is None:
        weights = array_module(x).ones(x.shape[1], x.dtype)
    return array_module(x).dot(x, (weights / len(weights))[:, None])


def plain_mean_columns(x: Array, weights: Array | float = 1) -> Array:
    return (x * weights).mean(axis=1, keepdims=True)


def mean_rows(x: Array) -> Array:
    """The mean over the rows of x (N, C): (C,)."""
    total = sum_rows(x, array_module(x).empty(x.shape[1], x.dtype))
    return total / max(len(x), 1)


def plain_mean_rows(x: Array) -> Array:
    return x.mean(axis=0)


def max_columns(x: Array) -> Array:
    """The largest of each row of x (…, C): (…, 1)."""
    return _by_column(np.maximum, x) if _is_narrow(x) else x.max(axis=-1, keepdims=True)


def add_columns(x: Array) -> Array:
    """Σ_c x_c of each row of x (…, C): (…, 1)."""
    return _by_column(np.add, x) if _is_narrow(x) else x.sum(axis=-1, keepdims=True)


def _is_narrow(x: Array) -> bool:
    """NumPy begins anew in each row: 4,096 x 2 take 168 us, and 8 column by column."""
    columns = x.shape[-1]
    return array_module(x) is np and 0 < columns < NARROW and x.size > COLUMN * columns * columns


def _by_column(join: Any, x: Array) -> Array:
    """In the order of NumPy's own loop, and so to the same bits."""
    joined = x[..., :1].copy()
    for c in range(1, x.shape[-1]):
        join(joined, x[..., c : c + 1], out=joined)
    return joined


def over_rows(f: Any, x: Array, v: Array, out: Array) -> Array:
    """out = f(x, v) of each row of x (N, C) and v (C,): a ufunc such as xp.subtract.

    NumPy is slow on short rows: several are taken side by side, and v as often.
    """
    rows, channels = x.shape
    beside = gcd(rows, max(WIDE // channels, 1))
    wide = (rows // beside, beside * channels)
    f(x.reshape(wide), array_module(v).tile(v, beside), out=out.reshape(wide))
    return out


def plain_over_rows(f: Any, x: Array, v: Array, out: Array) -> Array:
    return f(x, v, out=out)
