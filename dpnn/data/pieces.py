"""The pieces of shards that lie in a file between `split` and `write`, past Spark's shuffle.

Where all tasks run on one machine, values need not go through its JVM, out of one Python worker and
into another: a task of `split` appends them to a file of its own, and what Spark shuffles is word
of where they are. When the shards are written the files go, and the shuffle that told of them with
them (`spark.shuffles`): what is lost later is read from the source again.

Executor, but for what says else; needs NumPy alone.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from dpnn.data.files import MissingShard, home

_FOLDER = "pieces"  # beside the shards


class PieceWriter:
    """The file of one task. Made with the first piece."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._file: BinaryIO | None = None
        self._end = 0

    def append(self, columns: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[dict[str, Any]]:
        """Columns with the bytes at which their blocks begin, and end: where the blocks lie."""
        if self._file is None:
            name = uuid.uuid4()
            folder = home(self._run, name.int) / _FOLDER
            folder.mkdir(0o700, exist_ok=True)
            self._file = (folder / name.hex).open("xb")
        spans = []
        for column, bounds in columns:
            data = column.reshape(-1).view(np.uint8)
            spans.append(self._end + bounds)
            self._file.write(data.data)
            self._end += len(data)
        ends = np.stack(spans, axis=1).tolist()
        path = self._file.name
        return [{"path": path, "starts": a, "ends": b} for a, b in pairwise(ends)]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class PieceReader:
    """Pieces by where they lie. Keeps the file that it read last open; close it."""

    def __init__(self) -> None:
        self._file: BinaryIO | None = None

    def read(self, place: Mapping[str, Any]) -> list[memoryview]:
        """The bytes of each column. MissingShard where they are gone."""
        path = place["path"]
        try:
            if self._file is None or self._file.name != path:
                self.close()
                self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115
            return [self._at(*span) for span in zip(place["starts"], place["ends"], strict=True)]
        except OSError as error:
            raise MissingShard(f"pieces of shards are gone: {error}") from error

    def _at(self, start: int, end: int) -> memoryview:
        assert self._file is not None
        self._file.seek(start)
        data = self._file.read(end - start)
        if len(data) < end - start:
            raise OSError(f"{self._file.name} is cut short")
        return memoryview(data)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def delete_pieces(run: str, disks: Iterable[Path]) -> None:
    """Driver, of the same machine. All of an ingest, by tasks that were killed as well."""
    for disk in disks:
        folder = disk / f"dpnn-{run}"
        shutil.rmtree(folder / _FOLDER, ignore_errors=True)
        with suppress(OSError):  # there are shards in it, or it is not there
            folder.rmdir()
