"""The array seam: NumPy or CuPy, read from the data itself. The only file that imports CuPy.

No layer names an array library: it asks its context for `xp`, which comes from the weights. Put
the weights on the GPU, and the same lines run there.
"""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # numpy.ndarray, cupy.ndarray, or whatever module follows their interface
BLOCK = 65536  # numbers that a core works on at once: 256 kB of float32 stay in its cache
PRODUCT = 10**6  # multiply-adds of a matrix product that BLAS does without packing its factors


def array_module(x: Array) -> ModuleType:
    """The module that made `x`: numpy or cupy."""
    return sys.modules[type(x).__module__.partition(".")[0]]


def blocks(xp: ModuleType, rows: int, width: int = 1) -> Iterator[slice]:
    """Slices of rows of `width` numbers that fit the CPU's cache; a GPU takes all at once."""
    size = max(BLOCK // max(width, 1), 1) if xp is np else max(rows, 1)
    return (slice(i, min(i + size, rows)) for i in range(0, rows, size))


def parts(xp: ModuleType, size: int, work: int, least: int) -> int:
    """Into how many equal parts, of at least `least`, to cut a product of size x work numbers.

    Products of up to a million are quicker: BLAS multiplies them where they lie, in one thread.
    """
    if xp is not np:
        return 1
    fit = (n for n in range(1, size // least + 1) if size % n == 0 and size // n * work <= PRODUCT)
    return next(fit, 1)


def to_device(x: np.ndarray, device: str) -> Array:
    """`x` on "cpu" (as it is) or copied to "gpu". ModuleNotFoundError says how to get CuPy."""
    if device == "cpu":
        return x
    try:
        import cupy
    except ImportError:
        cure = "pip install 'dpnn[gpu12]' (CUDA 12) or 'dpnn[gpu13]' (CUDA 13)"
        raise ModuleNotFoundError(f"device 'gpu' needs CuPy: {cure}") from None
    return cupy.asarray(x)


def to_host(x: Array) -> np.ndarray:
    """`x` as a NumPy array: itself, or a copy from the GPU."""
    return x if isinstance(x, np.ndarray) else x.get()
