"""Which shard a row belongs to: a function of the row's content alone.

Each row gets a 64-bit hash of all its values; the hash names the shard and the row's place inside
it. So the same rows give the same shards whatever the partitioning, the cluster, the order after a
shuffle or a retry, and whether they come as a DataFrame or as arrays. Integers and booleans are
hashed by value, whatever their width; floats by their float32 bits, and by value where a whole
number has none.

Copies of a row share its hash, and so its shard: data of very few different rows fills its shards
unevenly, and is trained on all the same.

Executor and driver; needs NumPy alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from dpnn.data.sparse import Sparse

_SALT = np.uint64(0x9E3779B97F4A7C15)  # what a split depends on is not what a shard depends on
_CHUNK = 1 << 15  # values hashed at a time: they stay in the cache
_RUNS = 4096  # of rows with hashes that begin alike, up to which each is sorted by itself


def row_hashes(arrays: Mapping[str, Any]) -> np.ndarray:
    """(n,) uint64 from arrays (n, …) by name; the order of the names does not matter.

    The sum over all values of value · odd random constant, mod 2^64, mixed by splitmix64. Zeros add
    nothing, left out (`Sparse`) or not.
    """
    rows = len(next(iter(arrays.values())))
    total = np.zeros(rows, np.uint64)
    for name, array in arrays.items():
        if isinstance(array, Sparse):
            sums = np.cumsum(_as_integers(array.values) * _factors(name, array.width)[array.places])
            sums = np.r_[np.uint64(0), sums]
            total += sums[array.ends[1:]] - sums[array.ends[:-1]]
            continue
        values = array.reshape(rows, -1) if rows else array.reshape(0, 1)
        factors = _factors(name, values.shape[1])
        step = max(1, _CHUNK // max(1, values.shape[1]))
        for start in range(0, rows, step):
            part = _as_integers(values[start : start + step])
            total[start : start + step] += np.einsum("nk,k->n", part, factors)
    return _mix(total)


def place(hashes: np.ndarray, num_shards: int) -> np.ndarray:
    """(n,) int64: the shard of each row."""
    return (hashes % np.uint64(num_shards)).astype(np.int64)


def held_by_content(hashes: np.ndarray, share: float) -> np.ndarray:
    """(n,) bool: a share of the rows, whatever shard they are in; copies of a row go together."""
    return _mix(hashes ^ _SALT) < np.uint64(share * 2**64)


def content_order(hashes: np.ndarray) -> np.ndarray:
    """(n,) int64: the rows of one shard sorted by content, copies of a row as they came.

    Hashes whose last bits give way to the row's number are sorted in a quarter of the time. Runs
    of rows that their first bits do not tell apart are sorted once more, by all bits.
    """
    bits = np.uint64(max(len(hashes) - 1, 1).bit_length())
    keys = (hashes >> bits << bits) | np.arange(len(hashes), dtype=np.uint64)
    keys.sort()
    rows = (keys & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
    keys >>= bits
    differs = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1], True])
    runs = np.flatnonzero(np.diff(differs) > 1)
    if len(runs) > _RUNS:
        return np.argsort(hashes, kind="stable")
    for start, end in zip(differs[runs], differs[runs + 1], strict=True):
        run = rows[start:end]
        rows[start:end] = run[np.argsort(hashes[run], kind="stable")]
    return rows


def checksum(hashes: np.ndarray) -> int:
    """Sum of the row hashes mod 2^64: the same for the same rows in any order."""
    return int(hashes.sum(dtype=np.uint64))


def add_checksums(a: int, b: int) -> int:
    return (a + b) & 0xFFFF_FFFF_FFFF_FFFF


def _as_integers(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f":
        narrow = np.ascontiguousarray(values, np.float32)
        # Round floats differ in high bits only, which a product mod 2^64 would push out: swap.
        found = narrow.view(np.uint32).byteswap().astype(np.uint64)
        if values.dtype.itemsize > 4:  # whole numbers that float32 has not, as integers
            whole = (narrow != values) & (np.abs(values) < 2**53) & (values == np.floor(values))
            found[whole] = values[whole].astype(np.int64).astype(np.uint64)
        return found
    return values.astype(np.uint64)


@lru_cache(maxsize=64)
def _factors(name: str, width: int) -> np.ndarray:
    rng = np.random.Generator(np.random.Philox(zlib.crc32(name.encode())))
    return rng.integers(0, 2**64, width, np.uint64) | np.uint64(1)


def _mix(x: np.ndarray) -> np.ndarray:
    """The splitmix64 finaliser."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
