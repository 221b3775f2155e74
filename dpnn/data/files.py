"""A shard on the local disk of the host that made it: one raw file per array, mapped on demand.

A shard's directory holds `order` (int64) and a file of raw values for each array, and at last
`complete`, which names the rows and the checksum: without it the directory does not count. It
lies under Spark's private local directory, so it is gone when the application ends. One copy a
host: every Python worker maps the same pages.

Executor, or driver on the same host; needs NumPy alone.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dpnn.data.placement import add_checksums, checksum, content_order
from dpnn.data.shards import Shape, Shard, as_shard

Layout = tuple[tuple[str, str, Shape], ...]  # (name, dtype, shape of a row) of each array


SMALL = 1 << 18  # bytes up to which an array is read: a map would keep its file open


class MissingShard(RuntimeError):
    """A shard's files are gone, cut short or another's. `SparkShards.repair` makes them again."""


@dataclass(frozen=True)
class Handle:
    """Where a shard lies and what is in it. Small: Spark caches it in place of the rows."""

    shard: int
    rows: int
    checksum: int  # sum of the row hashes mod 2^64
    path: str
    host: str
    layout: Layout = ()

    @property
    def seal(self) -> str:
        return f"{self.rows} {self.checksum:016x}\n"


class ShardWriter:
    """Executor. Appends rows to the files of one shard."""

    def __init__(self, run: str, shard: int) -> None:
        roots = _roots()
        name = f"{shard:05d}-{uuid.uuid4().hex[:12]}"  # a retry never meets a zombie's files
        self.path = roots[shard % len(roots)] / f"dpnn-{run}" / name
        self.shard = shard
        self._hashes: list[np.ndarray] = []
        self._files = contextlib.ExitStack()
        self._open: dict[str, BinaryIO] = {}
        self.path.mkdir(parents=True)

    def append(self, hashes: np.ndarray, blobs: Mapping[str, memoryview]) -> None:
        """Rows by their hashes, and the raw values of each array by its name."""
        self._hashes.append(hashes.copy())
        for name, values in blobs.items():
            if name not in self._open:
                self._open[name] = self._files.enter_context(_file(self.path, name).open("wb"))
            self._open[name].write(values)

    def close(self) -> Handle:
        """Finish the files; from now on the shard counts."""
        self._files.close()
        total = 0
        for hashes in self._hashes:
            total = add_checksums(total, checksum(hashes))
        hashes = np.concatenate([np.empty(0, np.uint64), *self._hashes])
        content_order(hashes).astype(np.int64).tofile(self.path / "order")
        handle = Handle(self.shard, len(hashes), total, str(self.path), socket.gethostname())
        (self.path / "complete").write_text(handle.seal, "ascii")
        return handle

    def discard(self) -> None:
        self._files.close()
        shutil.rmtree(self.path, ignore_errors=True)


def open_shard(handle: Handle) -> Shard:
    """Map a shard's arrays, read-only. Raises MissingShard unless its files are there and whole."""
    try:
        if (Path(handle.path) / "complete").read_text("ascii") != handle.seal:
            raise OSError("the seal is another's")
        order = _mapped(handle, "order", "<i8", ())
        arrays = {name: _mapped(handle, name, dtype, shape) for name, dtype, shape in handle.layout}
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):  # the files are all right
            error.add_note("\nA fit keeps a file open for each large array: raise `ulimit -n`.")
            raise
        here = socket.gethostname()
        raise MissingShard(
            f"shard {handle.shard} of {handle.rows} rows, written on {handle.host} at "
            f"{handle.path}, is not whole on {here}: {error}"
        ) from error
    return as_shard(arrays, order)


def is_whole(handle: Handle) -> bool:
    try:
        open_shard(handle)
    except MissingShard:
        return False
    return True


def delete_run(run: str, handle: Handle | None = None) -> None:
    """Executor. All that an ingest has laid down here, by writers that were killed as well; and
    where a handle says. Processes that have it mapped keep their pages.
    """
    for root in _roots() + ([] if handle is None else [Path(handle.path).parents[1]]):
        shutil.rmtree(root / f"dpnn-{run}", ignore_errors=True)


def _roots() -> list[Path]:
    return [Path(p) for p in os.environ.get("SPARK_LOCAL_DIRS", tempfile.gettempdir()).split(",")]


def _file(folder: Path, name: str) -> Path:
    """Of an array; an input's name may have slashes."""
    return folder / name.replace("%", "%25").replace("/", "%2F")


def _mapped(handle: Handle, name: str, dtype: str, shape: Shape) -> np.ndarray:
    kind = np.dtype((dtype, shape))
    size = handle.rows * kind.itemsize
    if size == 0:
        return np.empty((handle.rows, *shape), dtype)
    with _file(Path(handle.path), name).open("rb") as file:
        found = os.fstat(file.fileno()).st_size
        if found != size:
            raise OSError(f"{name} has {found} bytes in place of {size}")
        if size < SMALL:
            values = np.fromfile(file, dtype).reshape(handle.rows, *shape)
            values.flags.writeable = False
            return values
        pages = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    return np.frombuffer(pages, dtype).reshape(handle.rows, *shape)
