"""A Spark Connect session: a client without a JVM, which has DataFrames alone.

What a classic session asks of its SparkContext is asked of the server here, or done without: no
RDDs, no broadcasts, no static settings. Driver; needs pyspark[connect].
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from dpnn.spark import shipping
from dpnn.spark.reading import Progress
from dpnn.spark.sent import Inline, Uploaded
from dpnn.spark.session import Session
from dpnn.spark.waiting import answering

INLINE = 1 << 23  # bytes that go along in a closure; more are uploaded once, as a file
_UNITS = {"k": 10, "m": 20, "g": 30, "t": 40}
_SIZE = re.compile(r"(\d+)\s*([kmgt]?)b?", re.IGNORECASE)
_known: set[str] = set()  # ids of sessions whose server has answered
_most_ranges = 1 << 20  # rows of a range that is cut into as many tasks as the cluster likes


class ConnectSession(Session):
    """Cheap to make; all that it knows is on the server."""

    def __init__(self, spark: Any) -> None:
        self._spark = spark
        self._seen = Progress(0, 0)
        if spark.is_stopped:
            raise RuntimeError("the DataFrame's Spark session was stopped: read the data again")
        if spark.session_id not in _known:
            with answering(), self.translated():
                _ = spark.version
            _known.add(spark.session_id)

    @property
    def spark(self) -> Any:
        return self._spark

    @property
    def id(self) -> str:
        return self._spark.session_id

    def conf(self, key: str, default: str = "") -> str:
        with suppress(PySparkException):  # a platform may keep it to itself
            return self._spark.conf.get(key, None) or default
        return default

    @property
    def running(self) -> bool:
        return not self._spark.is_stopped

    @property
    def python(self) -> str:
        return "the server's"

    def expected_slots(self) -> int:
        """Into how many tasks the server cuts what nobody says: one a core, mostly."""
        with self.translated():
            numbers = self._spark.range(_most_ranges).select(F.spark_partition_id().alias("task"))
            return int(numbers.agg(F.max("task")).collect()[0][0]) + 1

    def largest_result(self) -> int:
        """Half of spark.driver.maxResultSize."""
        found = _SIZE.fullmatch(self.conf("spark.driver.maxResultSize", "1g").strip())
        most = int(found[1]) << _UNITS.get(found[2].lower(), 0) if found else 1 << 30
        return most // 2 or 1 << 40  # 0: no limit

    # Jobs

    def require_running(self) -> None:
        if not self.running:
            raise RuntimeError("the Spark session was stopped beneath the fit")

    def described(self, text: str) -> AbstractContextManager[None]:
        return nullcontext()  # the server describes jobs itself

    def ungrouped(self) -> AbstractContextManager[None]:
        return nullcontext()

    @contextmanager
    def tagged(self, tag: str) -> Iterator[None]:
        self._spark.addTag(tag)
        self._seen = Progress(0, 0)
        self._spark.registerProgressHandler(self._heard)
        try:
            yield
        finally:
            self._spark.removeProgressHandler(self._heard)
            with suppress(Exception):
                self._spark.removeTag(tag)

    def _heard(self, stages: Iterable[Any] | None, **_: Any) -> None:
        """What the server tells of the query that runs."""
        told = list(stages or ())
        done = sum(stage.num_completed_tasks for stage in told)
        size = sum(stage.num_bytes_read for stage in told)
        self._seen = Progress(done, sum(stage.num_tasks for stage in told), size=size)

    def cancel(self, tag: str) -> None:
        if self.running:
            self._spark.interruptTag(tag)

    def cancel_all(self) -> None:
        with suppress(Exception):
            self._spark.interruptAll()

    def mend(self) -> None:
        """Nothing: folders are the server's."""

    def progress(self, tag: str) -> Progress:
        return self._seen

    def ship(self) -> None:
        shipping.upload(self._spark)

    def sent(self, data: bytes) -> Any:
        """In the closure itself, or as a file of the session that executors fetch once."""
        if len(data) <= INLINE:
            return Inline(data)
        name = f"dpnn-{hashlib.sha256(data).hexdigest()[:24]}.bin"
        with tempfile.TemporaryDirectory(prefix="dpnn-") as folder, self.translated():
            path = Path(folder) / name
            path.write_bytes(data)
            self._spark.addArtifacts(str(path), file=True)
        return Uploaded(name)

    def tell_signals(self) -> None:
        """Nothing: the JVM is the server's."""

    def stop(self) -> None:
        self._spark.stop()
