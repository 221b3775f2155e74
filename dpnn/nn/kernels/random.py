"""Random numbers: keyed, by the word, and in orthogonal matrices."""

import zlib
from typing import Any

import numpy as np

from dpnn.nn.kernels.arrays import Array, array_module

LEVELS = 1 << 16


def keep_mask(rng: np.random.Generator, rate: float, out: Array) -> Array:
    """out (…) = 0 with probability `rate`, else 1 / (1 - rate), for a rate to 1 / LEVELS.

    16 bits a number: a quarter of the time that a float64 for each takes.
    """
    xp = array_module(out)
    words = rng.bit_generator.random_raw(-(-out.size // 4))
    bits = xp.asarray(words.view("uint16")[: out.size].reshape(out.shape))
    threshold = min(round(rate * LEVELS), LEVELS - 1)
    xp.greater_equal(bits, threshold, out=out, casting="unsafe")
    out *= LEVELS / (LEVELS - threshold)
    return out


def plain_keep_mask(rng: Any, rate: float, out: Array) -> Array:
    out[...] = (rng.random(out.shape) >= rate) / (1 - rate)
    return out


def orthogonal(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """(rows, columns) with orthonormal rows or columns, whichever are fewer."""
    long, short = max(rows, columns), min(rows, columns)
    q, r = np.linalg.qr(rng.standard_normal((long, short)))
    q *= np.sign(np.diag(r))
    return q if rows >= columns else q.T


def keyed(key: tuple[int, ...], name: str) -> np.random.Generator:
    """Random numbers that depend on a key and a name alone."""
    words = (*key, zlib.crc32(name.encode()))
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))
