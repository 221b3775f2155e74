"""How many threads a matrix product may use: the bits of a sum hang on it.

The setting belongs to the process, but newer versions of threadpoolctl heed the one thread that set
it first and ignore all others: here, whoever asks is heard.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

Setting = list[tuple[Any, int]]  # a library and its number of threads


def limit(threads: int) -> Setting:
    """For the whole process; returns what was set before."""
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    before = [(library, library.get_num_threads()) for library in libraries]
    restore([(library, threads) for library in libraries])
    return before


def restore(setting: Setting) -> None:
    for library, threads in setting:
        release = getattr(library, "clear_controlling_thread", None)
        if release is not None:
            release(force=True)
        library.set_num_threads(threads)


class _OneThread:
    """A single BLAS thread from the first `enter` to the last `leave`."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._before: Setting = []

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = limit(1)
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                restore(self._before)


one_thread = _OneThread()
