"""The running Spark session, as all the rest of dpnn sees it.

`Session.of(df)` is the session of a DataFrame, `Session.active()` the one that runs: a
`ClassicSession`, or over Spark Connect a `ConnectSession`. They are told apart here and nowhere
else. A session says what the cluster is, takes what is private to Spark upon itself, and readies
the executors.

Driver.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

from dpnn.spark import errors
from dpnn.spark.reading import Progress

NO_RDDS = (
    "Spark Connect has no RDDs, which the engines 'job' and 'resident' need: take "
    "engine='frames', or 'auto'"
)


class ConnectUnsupported(TypeError):
    """A Spark Connect session was given where only a classic one will do."""


class Session(ABC):
    """What both kinds offer."""

    @classmethod
    def of(cls, df: Any) -> Session:
        """The session of a DataFrame. RuntimeError where it was stopped."""
        return cls.over(df.sparkSession)

    @classmethod
    def over(cls, spark: Any) -> Session:
        """Of a SparkSession, errors as `of`."""
        if is_connect(spark):
            from dpnn.spark.connect import ConnectSession

            return ConnectSession(spark)
        from dpnn.spark.classic import ClassicSession

        return ClassicSession(spark.sparkContext)

    @classmethod
    def active(cls) -> Session:
        """The one that runs in this process. RuntimeError without one, else errors as `of`."""
        from pyspark import SparkContext
        from pyspark.sql import SparkSession

        sc = SparkContext._active_spark_context
        if sc is not None and sc._jsc is not None:
            from dpnn.spark.classic import ClassicSession

            return ClassicSession(sc)
        spark = SparkSession.getActiveSession()
        if spark is None:
            raise RuntimeError("no Spark session runs here: start one first")
        return cls.over(spark)

    @classmethod
    def made(cls) -> Session:
        """The one that runs, or a new one."""
        from pyspark.sql import SparkSession

        try:
            return cls.active()
        except RuntimeError:
            return cls.over(SparkSession.builder.getOrCreate())

    # What the cluster is

    @property
    @abstractmethod
    def spark(self) -> Any:
        """The SparkSession itself."""

    @property
    @abstractmethod
    def id(self) -> str:
        """Of what the executors' modules and broadcasts belong to."""

    @abstractmethod
    def conf(self, key: str, default: str = "") -> str:
        """A setting."""

    def is_on(self, key: str) -> bool:
        return self.conf(key).lower() == "true"

    @property
    def threads(self) -> int:
        """Cores of a task."""
        return int(float(self.conf("spark.task.cpus", "1")))

    @property
    @abstractmethod
    def running(self) -> bool:
        """Whether nobody has stopped it."""

    @property
    @abstractmethod
    def python(self) -> str:
        """The tasks' interpreter, as far as known."""

    @abstractmethod
    def expected_slots(self) -> int:
        """How many tasks can run at once, or are expected to."""

    @abstractmethod
    def largest_result(self) -> int:
        """Bytes of a job's results that the driver can take."""

    # Jobs

    def translated(self) -> AbstractContextManager[None]:
        """Errors of the jobs within in one line each; see `errors`."""
        return errors.translated(self)

    @abstractmethod
    def require_running(self) -> None:
        """RuntimeError where somebody has stopped it."""

    @abstractmethod
    def described(self, text: str) -> AbstractContextManager[None]:
        """What the Spark UI calls the jobs within."""

    @abstractmethod
    def ungrouped(self) -> AbstractContextManager[None]:
        """Of jobs that clean up: no cancelled group or tag takes them along."""

    @abstractmethod
    def tagged(self, tag: str) -> AbstractContextManager[None]:
        """The jobs within can be cancelled by `cancel(tag)`."""

    @abstractmethod
    def cancel(self, tag: str) -> None:
        """The jobs of a tag."""

    @abstractmethod
    def cancel_all(self) -> None:
        """What runs now; fails silently."""

    @abstractmethod
    def mend(self) -> None:
        """Make again what somebody has deleted beneath Spark; fails silently."""

    @abstractmethod
    def progress(self, tag: str) -> Progress:
        """How far a tag's jobs are; no tasks where nothing is known."""

    @abstractmethod
    def ship(self) -> None:
        """Make `import dpnn` work on every executor, now and on those that come later."""

    @abstractmethod
    def sent(self, data: bytes) -> Any:
        """An object for task closures, whose `value` is the data there."""

    @abstractmethod
    def tell_signals(self) -> None:
        """Let the JVM say in one line of its log why it is ended."""

    @abstractmethod
    def stop(self) -> None:
        """End the session."""


def is_connect(of: Any) -> bool:
    """Whether a session or DataFrame is of Spark Connect; asks without importing it."""
    return type(of).__module__.startswith("pyspark.sql.connect")
