"""Paths on a Connect server's file systems, by Spark's own readers and writers. Driver."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpnn.spark import slots
from dpnn.spark.errors import first_line
from dpnn.spark.hadoop import HadoopPath

if TYPE_CHECKING:
    from dpnn.spark.session import Session

_SLOT = "slot="


def reach(uri: str) -> HadoopPath | RemotePath:
    """A path by way of the running session, of whichever kind."""
    from dpnn.spark.connect import ConnectSession
    from dpnn.spark.session import Session

    try:
        session = Session.active()
    except RuntimeError:
        raise RuntimeError(f"{uri} needs a running Spark session: start one or use file:") from None
    if isinstance(session, ConnectSession):
        return RemotePath(uri, session)
    return HadoopPath(uri)


class RemotePath:
    """As `HadoopPath`, without a JVM; a file that is written there is one of `slots`."""

    def __init__(self, uri: str, session: Session) -> None:
        self.uri, self._session = uri.rstrip("/"), session

    def exists(self) -> bool:
        return bool(self._below())

    def is_folder(self) -> bool:
        return any(self._below())

    def names(self) -> list[str]:
        """Without those that begin with a dot or a line, which Spark skips."""
        return sorted({path.split("/")[0] for path in self._below()} - {""})

    def delete(self) -> None:
        raise OSError(f"cannot delete {self.uri} over Spark Connect: delete it by other means")

    def fetch(self, to: Path) -> Path:
        """Copy the file to a path on this machine."""
        below = self._below()
        if not below:
            raise FileNotFoundError(f"no such file: {self.uri}")
        with self._told():
            if not any(below):
                to.write_bytes(self._content())
                return to
            is_slots = any(path.startswith(_SLOT) for path in below)
            data = slots.read(self._session, self.uri) if is_slots else None
        if data is None:
            raise IsADirectoryError(f"{self.uri} is a directory: name a file in it")
        to.write_bytes(data)
        return to

    def write(self, data: bytes) -> None:
        below = self._below()
        if below and not any(below):
            raise OSError(
                f"{self.uri} is a file, which Spark Connect cannot replace: name another path"
            )
        if any(not path.startswith(_SLOT) for path in below):
            raise IsADirectoryError(f"{self.uri} is a directory: name a file in it")
        with self._told():
            slots.write(self._session, self.uri, data)

    def sweep(self) -> None:
        """Nothing: Spark removes what it did not commit."""

    def write_table(self, frame: Any, overwrite: bool) -> None:
        """Parquet in this place, which Spark commits as a whole."""
        if overwrite:
            frame = frame.localCheckpoint()  # what fails, fails before the old rows are gone
        frame.write.mode("overwrite" if overwrite else "error").parquet(self.uri)

    def _files(self, path: str) -> Any:
        reader = self._session.spark.read.format("binaryFile")
        return reader.option("recursiveFileLookup", "true").load(path)

    def _below(self) -> list[str]:
        """The files there, by their paths beneath this one: "" for itself; none where none is."""
        from pyspark.errors import AnalysisException

        with self._told():
            try:
                found = self._files(self.uri).select("path").collect()
            except AnalysisException as error:
                if "PATH_NOT_FOUND" in str(error):
                    return []
                raise
        return [_after(row.path, self.uri) for row in found]

    def _content(self) -> bytes:
        """Of a file, piece by piece."""
        from pyspark.sql import functions as F

        size = F.greatest(F.length("content") - 1, F.lit(0))
        places = F.explode(F.sequence(F.lit(0), (size / slots.ROW).cast("int"))).alias("part")
        parts = self._files(self.uri).select("content", places)
        piece = F.expr(f"substring(content, part * {slots.ROW} + 1, {slots.ROW})").alias("piece")
        table = parts.select("part", piece).orderBy("part").toArrow()
        return b"".join(piece.as_py() for piece in table.column("piece"))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Spark's errors as one OSError line."""
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        try:
            yield
        except (PySparkException, Py4JError) as error:
            raise OSError(f"cannot reach {self.uri}: {first_line(error)}") from None


def _after(path: str, uri: str) -> str:
    """What of a file's full path lies beneath `uri`, whose host and scheme Spark may spell out."""
    bare = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]+:", "", uri).lstrip("/")
    found = re.search(f"/{re.escape(bare)}(?:/(.*))?$", path)
    return (found[1] or "") if found else path
