"""The files of a shard as they grow: one of an array, three of rows without their zeros.

Executor; needs NumPy alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dpnn.data.dtypes import wider
from dpnn.data.sparse import Sparse

PARTS = ("counts.", "places.", "values.")  # of rows without zeros; no array begins so
_CHUNK = 1 << 24  # bytes of a file that is written anew at a time


def file_of(folder: Path, name: str) -> Path:
    """Of an array; an input's name may have slashes."""
    return folder / name.replace("%", "%25").replace("/", "%2F")


class ArrayFile:
    """The growing file of one array. It is written anew where wider values come."""

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self.path, self.dtype, self.crc = path, dtype, 0
        self.file = path.open("wb")

    @classmethod
    def of(cls, folder: Path, name: str, values: Any) -> ArrayFile:
        return cls(file_of(folder, name), values.dtype)

    def files(self, name: str) -> Iterator[tuple[str, tuple[str, int]]]:
        yield name, (self.dtype.str, self.crc)

    def close(self) -> None:
        self.file.close()

    def append(self, values: Any) -> None:
        if isinstance(values, Sparse):
            for start in range(0, len(values), step := max(_CHUNK // values.width, 1)):
                self.append(values[start : start + step].dense().reshape(-1))
            return
        if values.dtype != self.dtype:
            self._widen(np.dtype(wider(values.dtype.str, self.dtype.str)))
            values = values.astype(self.dtype)
        data = values.view(np.uint8).data
        self.crc = zlib.crc32(data, self.crc)
        self.file.write(data)

    def _widen(self, dtype: np.dtype) -> None:
        if dtype == self.dtype:
            return
        self.file.close()
        old = self.path.rename(self.path.with_name(f"{self.path.name}.narrow"))
        narrow, self.dtype, self.crc = self.dtype, dtype, 0
        self.file = self.path.open("wb")
        with old.open("rb") as file:
            while data := file.read(_CHUNK):
                self.append(np.frombuffer(data, narrow).astype(dtype))
        old.unlink()


class SparseFiles:
    """The growing files of rows without their zeros: how many numbers each has, places, values."""

    def __init__(self, parts: dict[str, ArrayFile], width: int) -> None:
        self._parts, self._width = parts, width

    @classmethod
    def of(cls, folder: Path, name: str, values: Sparse) -> SparseFiles:
        dtypes = zip(PARTS, ("<i4", "<i4", values.dtype.str), strict=True)
        parts = {
            part: ArrayFile(file_of(folder, part + name), np.dtype(dtype)) for part, dtype in dtypes
        }
        return cls(parts, values.width)

    def files(self, name: str) -> Iterator[tuple[str, tuple[str, int]]]:
        for part, column in self._parts.items():
            yield from column.files(part + name)

    def close(self) -> None:
        for column in self._parts.values():
            column.close()

    def append(self, values: Any) -> None:
        if not isinstance(values, Sparse):
            values = Sparse.of(values.reshape(-1, self._width))
        counts = np.diff(values.ends).astype(np.int32)
        arrays = (counts, values.places, values.values)
        for column, array in zip(self._parts.values(), arrays, strict=True):
            column.append(array)
