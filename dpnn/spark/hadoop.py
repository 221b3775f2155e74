"""Paths on any Hadoop file system, by way of the JVM of the running session. Driver.

Whatever is published there is written beside its place first, under a hidden name, and renamed: a
reader sees the old content or the new, never a part.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from dpnn.spark import slots

STALE = 600  # seconds after which nobody works at a part of a file any more


class HadoopPath:
    """One path, e.g. hdfs://…, s3a://…; OSError in one line where it cannot be reached."""

    def __init__(self, uri: str) -> None:
        from pyspark import SparkContext

        self.uri = uri
        sc: Any = SparkContext._active_spark_context
        if sc is None:
            raise RuntimeError(f"{uri} needs a running Spark session: start one, or use file:")
        self._gateway, self._jvm = sc._gateway, sc._jvm
        self._hadoop = sc._jvm.org.apache.hadoop.fs
        self._conf = sc._jsc.hadoopConfiguration()
        with self._told():
            self._path = self._hadoop.Path(uri)
            self._fs = self._path.getFileSystem(self._conf)
            self._path = self._fs.makeQualified(self._path)

    def exists(self) -> bool:
        with self._told():
            return bool(self._fs.exists(self._path))

    def is_folder(self) -> bool:
        with self._told():
            return self.exists() and bool(self._fs.getFileStatus(self._path).isDirectory())

    def names(self) -> list[str]:
        with self._told():
            if not self.exists():
                return []
            return sorted(status.getPath().getName() for status in self._fs.listStatus(self._path))

    def delete(self) -> None:
        with self._told():
            self._fs.delete(self._path, False)

    def fetch(self, to: Path) -> Path:
        """Copy the file to a path on this machine."""
        with self._told():
            if not self.exists():
                raise FileNotFoundError(f"no such file: {self.uri}")
            if self._is_slots():
                to.write_bytes(slots.read(self._session(), self.uri) or b"")
                return to
            self._refuse_folder()
            self._fs.copyToLocalFile(False, self._path, self._hadoop.Path(f"file:{to}"), True)
        return to

    def write(self, data: bytes) -> None:
        """By a local file, ten times as fast as handing the bytes to the JVM, and a rename."""
        if self._is_slots():
            slots.write(self._session(), self.uri, data)
            return
        with tempfile.TemporaryDirectory(prefix="dpnn-") as scratch, self._told():
            self._refuse_folder()
            source = Path(scratch) / "file"
            source.write_bytes(data)
            self._fs.mkdirs(self._path.getParent())
            here = self._hadoop.Path(f"file:{source}")
            with self._part(".") as part:
                self._fs.copyFromLocalFile(False, True, here, part)
                self._replace(part)

    def write_table(self, frame: Any, overwrite: bool) -> None:
        """Parquet in this place, once it is whole; what is there goes, if it may."""
        with self._part("_") as part:
            frame.write.parquet(part.toString())
            with self._told():
                if overwrite:
                    self._fs.delete(self._path, True)
                if not self._fs.rename(part, self._path):
                    raise OSError(f"cannot write {self.uri}: renaming {part.toString()} failed")

    def sweep(self) -> None:
        """Remove the parts of a file that writers left who were killed."""
        folder, begin = self._path.getParent(), f".{self._path.getName()}."
        with self._told():
            for status in self._fs.listStatus(folder) if self._fs.exists(folder) else ():
                old = time.time() - status.getModificationTime() / 1000 > STALE
                if old and status.getPath().getName().startswith(begin):
                    self._fs.delete(status.getPath(), False)

    def _is_slots(self) -> bool:
        """Whether it was written over Spark Connect."""
        return self.is_folder() and any(name.startswith("slot=") for name in self.names())

    def _session(self) -> Any:
        from dpnn.spark.session import Session

        return Session.active()

    def _refuse_folder(self) -> None:
        if self.is_folder():
            raise IsADirectoryError(f"{self.uri} is a directory: name a file in it")

    @contextmanager
    def _part(self, hidden: str) -> Iterator[Any]:
        """A path beside this one, under a name that readers skip; nothing is left of it."""
        name = f"{hidden}{self._path.getName()}.{uuid4().hex}"
        part = self._hadoop.Path(self._path.getParent(), name)
        try:
            yield part
        finally:
            self._fs.delete(part, True)

    def _replace(self, part: Any) -> None:
        """Rename over what is there; FileSystem.rename would refuse."""
        rename = getattr(self._jvm, "org.apache.hadoop.fs.Options$Rename")
        options = self._gateway.new_array(rename, 1)
        options[0] = rename.OVERWRITE
        context = self._hadoop.FileContext.getFileContext(self._path.toUri(), self._conf)
        context.rename(part, self._path, options)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Java's errors as one OSError line."""
        from py4j.protocol import Py4JJavaError

        try:
            yield
        except Py4JJavaError as error:
            reason = str(error.java_exception.toString()).splitlines()[0]
            raise OSError(f"cannot reach {self.uri}: {reason}") from None
