"""How weights begin. Fans are read from the shape: (…, in, out), leading axes a kernel's window.

Variance 2 / (in + out): Glorot & Bengio 2010. 2 / in: He et al. 2015. 1 / in: LeCun et al. 1998.
Orthogonal: Saxe et al. 2013.
"""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from dpnn.nn.backend import Array

NAMES = ("auto", "glorot", "he", "lecun", "orthogonal", "zeros")


def fill(w: Array, rng: np.random.Generator, name: str, then: str = "") -> None:
    """Fill `w` in place; "auto" is He before a rectifier and Glorot elsewhere."""
    if name not in NAMES:
        raise ValueError(f"unknown initializer {name!r}: one of {', '.join(NAMES)}")
    if name == "auto":
        name = "he" if then == "relu" else "glorot"
    window = prod(w.shape[:-2])
    fan_in, fan_out = window * w.shape[-2], window * w.shape[-1]
    if name == "orthogonal":
        values = _orthogonal(rng, w.size // w.shape[-1], w.shape[-1])
    else:
        variance = {
            "glorot": 2 / (fan_in + fan_out),
            "he": 2 / fan_in,
            "lecun": 1 / fan_in,
            "zeros": 0,
        }
        bound = sqrt(3 * variance[name])
        values = rng.uniform(-bound, bound, w.shape)
    w[...] = values.reshape(w.shape)


def _orthogonal(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """(rows, columns) with orthonormal rows or columns, whichever are fewer."""
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))
    return q if rows >= columns else q.T
