"""Memory that the processes of one host share: rows of float32, all of one length.

On Linux a memfd: it has no name in any file system, so nothing can be left behind, it is not bound
to the size of /dev/shm, and a task that comes late opens it through /proc while its maker lives.
Elsewhere a private file in the temp folder, removed with its maker. A random mark at the front
tells the right memory from one that happens to have the same number.
"""

from __future__ import annotations

import mmap
import os
import secrets
import tempfile
import weakref
from pathlib import Path

import numpy as np

FRONT = 4096  # bytes before the first row: the mark
_FLAGS = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)


class Arena:
    """`rows` (rows, size) float32 in shared memory. `path` and `mark` let another process in."""

    def __init__(self, rows: np.ndarray, path: str, mark: bytes, file: int | None) -> None:
        self.rows = rows
        self.path = path
        self.mark = mark
        self._close = weakref.finalize(self, _forget, file, path) if file is not None else None

    @classmethod
    def create(cls, rows: int, size: int) -> Arena:
        stride = _stride(size)
        length = FRONT + rows * stride * 4
        if hasattr(os, "memfd_create"):
            file = os.memfd_create("dpnn")
            path = f"/proc/{os.getpid()}/fd/{file}"
        else:
            file, path = tempfile.mkstemp(prefix="dpnn-")
        try:
            os.posix_fallocate(file, 0, length)
            memory = mmap.mmap(file, length, flags=_FLAGS)
        except BaseException:
            _forget(file, path)
            raise
        mark = secrets.token_bytes(32)
        memory[: len(mark)] = mark
        return cls(_view(memory, rows, size), path, mark, file)

    @classmethod
    def attach(cls, path: str, mark: bytes, rows: int, size: int, writable: bool) -> Arena:
        """Another process's arena. Raises OSError where it can't be reached."""
        length = FRONT + rows * _stride(size) * 4
        file = os.open(path, os.O_RDWR if writable else os.O_RDONLY)
        try:
            if os.fstat(file).st_size != length:
                raise OSError(f"{path} isn't the shared memory of this fit: another size")
            prot = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
            memory = mmap.mmap(file, length, flags=_FLAGS, prot=prot)
        finally:
            os.close(file)
        if memory[: len(mark)] != mark:
            raise OSError(f"{path} isn't the shared memory of this fit: another mark")
        return cls(_view(memory, rows, size), path, mark, None)

    def close(self) -> None:
        """Nobody can join any more; the memory goes with the last view of it."""
        if self._close is not None:
            self._close()


def _stride(size: int) -> int:
    return -(-size // 16) * 16  # rows begin on cache lines


def _view(memory: mmap.mmap, rows: int, size: int) -> np.ndarray:
    stride = _stride(size)
    flat = np.frombuffer(memory, np.float32, rows * stride, FRONT)
    return flat.reshape(rows, stride)[:, :size]


def _forget(file: int, path: str) -> None:
    os.close(file)
    if not path.startswith("/proc/"):
        Path(path).unlink()


def host_key() -> str:
    """Equal in two processes only if they can share memory: same boot, process ids and user."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        boot, space = os.uname().nodename, 0
    return f"{boot}/{space}/{os.getuid()}"
