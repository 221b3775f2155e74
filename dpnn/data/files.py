"""A shard on the local disk of the host that made it: one raw file per array, mapped on demand.

A shard's directory has a folder for each of its splits, with a file of raw values for each array
and one of `order` (int64); the rows of a large one lie in that order, so that who goes through them
run by run (`visits`) reads the disk in long stretches. It lies under Spark's private local
directory, so it is gone when the application ends. One copy a host: every Python worker maps the
same pages.

What the files should hold is said by the handle: their sizes and checksums. A process looks at a
file's checksum when it first opens it and when it was written to since, at its size each time.

Executor, or driver on the same host; needs NumPy alone.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import shutil
import socket
import tempfile
import uuid
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dpnn.data.array_files import PARTS, ArrayFile, SparseFiles, file_of
from dpnn.data.ordering import sort_rows, write_order
from dpnn.data.placement import add_checksums, checksum
from dpnn.data.shards import Layout, Shape, Shard, Split, as_split
from dpnn.data.sparse import Sparse
from dpnn.data.visits import LARGE

SMALL = 1 << 18  # bytes up to which an array is read: a map would keep its file open
_SORTED = 1 << 23  # bytes of rows that are sorted at once: malloc keeps such pieces for the next
_SORTS = 1 << 10  # such pieces at most, of very large shards: writes grow with their square
_ORDER, _HASH = "order", "hash"  # no array has such a name
_NOTES = "notes.json"

# When a file was last written to whose checksum this process has seen to be right.
_proved: dict[Path, int] = {}


class MissingShard(RuntimeError):
    """A shard's files are gone, cut short or damaged. `SparkShards.repair` makes them again."""


@dataclass(frozen=True)
class Piece:
    """What one split of a shard has on disk.

    checksum  sum of the row hashes mod 2^64
    files     array (or "order") -> its dtype there, and the crc32 of the file
    size      bytes of the arrays
    """

    rows: int = 0
    checksum: int = 0
    files: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    size: int = 0


@dataclass(frozen=True)
class Handle:
    """Where a shard lies and what is in it. Small: Spark caches it in place of the rows."""

    shard: int
    path: str
    host: str
    pieces: Mapping[str, Piece]
    layouts: Mapping[str, Layout] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(piece.rows for piece in self.pieces.values())


def home(run: str, number: int) -> Path:
    """Executor. The folder for what an ingest lays down here, one of each local disk in turn."""
    roots = _roots()
    path = roots[number % len(roots)] / f"dpnn-{run}"
    path.mkdir(0o700, parents=True, exist_ok=True)
    return path


class ShardWriter:
    """Executor. Appends rows to the files of one shard."""

    def __init__(self, run: str, shard: int) -> None:
        name = f"{shard:05d}-{uuid.uuid4().hex[:12]}"  # never met by a zombie's retry
        self.path = home(run, shard) / name
        self.path.mkdir(0o700)
        self.shard = shard
        self._splits: dict[str, _SplitWriter] = {}

    def append(self, split: str, hashes: np.ndarray, arrays: Mapping[str, Any]) -> None:
        """Rows by their hashes, and the values of each array by its name: flat, or `Sparse`."""
        if split not in self._splits:
            self._splits[split] = _SplitWriter(self.path / split)
        self._splits[split].append(hashes, arrays)

    def note(self, content: Any) -> None:
        """Keep what is to be said of the rows beside them, as JSON: `notes_of`."""
        (self.path / _NOTES).write_text(json.dumps(content), "utf-8")

    def close(self) -> Handle:
        """Finish the files; from now on the shard counts."""
        pieces = {split: writer.close() for split, writer in self._splits.items()}
        return Handle(self.shard, str(self.path), socket.gethostname(), pieces)

    def discard(self) -> None:
        for writer in self._splits.values():
            writer.discard()
        shutil.rmtree(self.path, ignore_errors=True)


class _SplitWriter:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(0o700)
        self._folder = folder
        self._rows = self._checksum = 0
        self._hashes = ArrayFile(file_of(folder, _HASH), np.dtype(np.uint64))
        self._columns: dict[str, ArrayFile | SparseFiles] = {}

    def append(self, hashes: np.ndarray, arrays: Mapping[str, Any]) -> None:
        self._rows += len(hashes)
        self._checksum = add_checksums(self._checksum, checksum(hashes))
        self._hashes.append(hashes)
        for name, values in arrays.items():
            if name not in self._columns:
                kind = SparseFiles if isinstance(values, Sparse) else ArrayFile
                self._columns[name] = kind.of(self._folder, name, values)
            self._columns[name].append(values)

    def close(self) -> Piece:
        self.discard()
        files = {k: v for name, column in self._columns.items() for k, v in column.files(name)}
        size = sum(file_of(self._folder, name).stat().st_size for name in files)
        order = file_of(self._folder, _ORDER)
        crc: int
        if size < LARGE or not all(isinstance(c, ArrayFile) for c in self._columns.values()):
            crc = write_order(self._hashes.path, self._rows, order)
        else:
            part = max(max(_SORTED, size // _SORTS) * self._rows // size, 1)
            paths = [file_of(self._folder, name) for name in files]
            *crcs, crc = sort_rows(self._hashes.path, self._rows, paths, order, part)
            files = {k: (files[k][0], new) for k, new in zip(files, crcs, strict=True)}
        self._hashes.path.unlink()
        return Piece(self._rows, self._checksum, {**files, _ORDER: ("<i8", crc)}, size)

    def discard(self) -> None:
        for column in (self._hashes, *self._columns.values()):
            column.close()


def open_shard(handle: Handle) -> Shard:
    """Map a shard's arrays, read-only. Raises MissingShard unless its files are there and whole."""
    try:
        return {split: _open(handle, split, layout) for split, layout in handle.layouts.items()}
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):  # the files are all right
            error.add_note("\nA fit keeps a file open for each large array: raise `ulimit -n`.")
            raise
        here = socket.gethostname()
        raise MissingShard(
            f"shard {handle.shard} of {handle.rows} rows, written on {handle.host} at "
            f"{handle.path}, is not whole on {here}: {error}"
        ) from error


def notes_of(handle: Handle) -> Any:
    """What the writer of a shard has noted of it; None where it has not."""
    path = Path(handle.path) / _NOTES
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def is_whole(handle: Handle) -> bool:
    """Whether a shard can be opened."""
    try:
        open_shard(handle)
    except MissingShard:
        return False
    return True


def delete_run(run: str, paths: Iterable[str] = ()) -> None:
    """Executor. All that an ingest has laid down here, by writers that were killed as well; and
    beside the shards at `paths`. Processes that have it mapped keep their pages.
    """
    for root in {*_roots(), *(Path(path).parents[1] for path in paths)}:
        shutil.rmtree(root / f"dpnn-{run}", ignore_errors=True)


def _roots() -> list[Path]:
    return [Path(p) for p in os.environ.get("SPARK_LOCAL_DIRS", tempfile.gettempdir()).split(",")]


def _open(handle: Handle, split: str, layout: Layout) -> Split:
    piece = handle.pieces.get(split, Piece())
    arrays: dict[str, Any] = {}
    for name, dtype, shape in layout:
        if PARTS[0] + name in piece.files:
            arrays[name] = _sparse(handle, split, piece, name, dtype, shape[0])
            continue
        arrays[name] = _mapped(handle, split, piece, name, shape).astype(dtype, copy=False)
        arrays[name].flags.writeable = False
    order = _mapped(handle, split, piece, _ORDER, ())
    if piece.rows and not 0 <= order.min() <= order.max() < piece.rows:
        raise OSError(f"the order of {split} is not one of {piece.rows} rows")
    return as_split(arrays, order)


def _sparse(handle: Handle, split: str, piece: Piece, name: str, dtype: str, width: int) -> Sparse:
    counts, places, values = (part + name for part in PARTS)
    ends = np.r_[0, np.cumsum(_mapped(handle, split, piece, counts, ()), dtype=np.int64)]
    some, numbers = (
        _mapped(handle, split, piece, part, (), int(ends[-1])) for part in (places, values)
    )
    return Sparse(ends, some, numbers.astype(dtype, copy=False), width)


def _mapped(
    handle: Handle, split: str, piece: Piece, name: str, shape: Shape, rows: int | None = None
) -> np.ndarray:
    dtype, crc = piece.files.get(name, ("u1", 0))
    rows = piece.rows if rows is None else rows
    size = rows * np.dtype((dtype, shape)).itemsize
    if size == 0:
        return np.empty((rows, *shape), dtype)
    path = file_of(Path(handle.path) / split, name)
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        if found.st_size != size:
            raise OSError(f"{name} has {found.st_size} bytes in place of {size}")
        if size < SMALL:
            values = np.fromfile(file, dtype)
        else:
            pages = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
            values = np.frombuffer(pages, dtype)
    if _proved.get(path) != found.st_mtime_ns:
        if zlib.crc32(values.view(np.uint8).data) != crc:
            raise OSError(f"{name} is damaged: its checksum is another")
        _proved[path] = found.st_mtime_ns
    return values.reshape(rows, *shape)
