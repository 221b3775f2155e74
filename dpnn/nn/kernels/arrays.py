"""The array seam: NumPy or CuPy, read from the data itself. The only file that imports CuPy.

No layer names an array library: it asks its context for `xp`, which comes from the weights. Put
the weights on the GPU, and the same lines run there.
"""

import sys
from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # numpy.ndarray, cupy.ndarray, or whatever module follows their interface


def array_module(x: Array) -> ModuleType:
    """The module that made `x`: numpy or cupy."""
    return sys.modules[type(x).__module__.partition(".")[0]]


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
