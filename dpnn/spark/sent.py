"""Bytes for tasks where there are no broadcasts: read by their `value`, as a broadcast's are.

Executor, and the driver that makes them.
"""

from __future__ import annotations

from pathlib import Path


class Inline:
    """Bytes in a closure, read as a broadcast's."""

    def __init__(self, value: bytes) -> None:
        self.value = value


class Uploaded:
    """A file of the session, read as a broadcast."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def value(self) -> bytes:
        """Executor."""
        from pyspark import SparkFiles

        return Path(SparkFiles.get(self._name)).read_bytes()
