"""What is read of a mapped file before it is needed.

Executor and driver; needs NumPy alone.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from typing import Any

import numpy as np


def fetch(array: Any, spans: Iterable[tuple[int, int]]) -> None:
    """Let the system read these rows, from one to before another, in its own time.

    Of an array that no file is mapped to, nothing.
    """
    base, pages = array, None
    while isinstance(base, np.ndarray):
        base, pages = base.base, base
    if isinstance(base, memoryview):
        base = base.obj
    if pages is None or not isinstance(base, mmap.mmap):
        return
    width = array.strides[0]
    first = array.ctypes.data - pages.ctypes.data
    for start, stop in spans:
        begin = first + start * width
        begin -= begin % mmap.PAGESIZE
        base.madvise(mmap.MADV_WILLNEED, begin, first + stop * width - begin)
