"""What Spark says in a hundred lines, in one: what failed, where, the cure. Driver.

`translated` wraps whatever runs a Spark job for the Python API; the jobs print `one_line` of what
reaches them. Both ask the same table of what is known. Of anything else that an executor raises,
the last line of its own trace is told.
"""

from __future__ import annotations

import logging
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark import SparkContext
from pyspark.errors import PySparkException


class Host(Protocol):
    """What runs the jobs: a session."""

    @property
    def python(self) -> str: ...

    def require_running(self) -> None: ...

    def cancel_all(self) -> None: ...

    def mend(self) -> None: ...


class SparkFailure(RuntimeError):
    """Why Spark could not run a job: one line, with its cure."""


class WorkersDied(SparkFailure):
    """Python workers or whole executors were killed beneath a job: the same job may work again."""


class FolderLost(SparkFailure):
    """A local folder of Spark's was deleted."""


class _Known(NamedTuple):
    """A pattern of Spark's text, and what is told of it: \\1 is what the pattern has found."""

    pattern: str
    kind: type[SparkFailure]
    told: str


_MEMORY = (
    "killed perhaps for want of memory: give the executors more (spark.executor.memoryOverhead), "
    "or cut the data into more shards (num_shards)"
)
_SEND = "send it to the executors, with --py-files, sc.addPyFile or spark.addArtifacts"
_KNOWN = [
    _Known(
        r"No space left on device",
        SparkFailure,
        "a disk of Spark's is full: free some space, or name a larger one with spark.local.dir "
        "before the session starts",
    ),
    _Known(
        r"java\.lang\.OutOfMemoryError: (?:Java heap space|GC overhead|Requested array size)"
        r"|TaskResultLost",
        SparkFailure,
        "Spark's JVM has run out of memory: give it more before the session starts, with "
        "spark.driver.memory (spark.executor.memory on a cluster)",
    ),
    _Known(
        r"is bigger than (?:local:)?spark\.driver\.maxResultSize \(?([^)\s]+ ?\w*)",
        SparkFailure,
        r"the tasks' results are larger than spark.driver.maxResultSize, \1: raise it",
    ),
    _Known(
        r"(?:NoSuchFileException|Failed to create (?:local dir|a temp directory)|"
        r"FileNotFoundError: \[Errno 2\] No such file or directory:|FileNotFoundException:)"
        r"[^\n]*?(/[^\s':]*(?:blockmgr|spark|pyspark)-[0-9a-f-]{36})",
        FolderLost,
        r"a local folder of Spark's, \1, was deleted beneath the job: it has been made again, so "
        "try once more; keep whatever cleans up away from spark.local.dir",
    ),
    _Known(
        r"PYTHON_VERSION_MISMATCH[^\n]*different version: ([\d.]+) than that in driver: ([\d.]+)",
        SparkFailure,
        r"the executors' Python, {python}, is version \1 and the driver's \2: set "
        "PYSPARK_PYTHON=… to one of the driver's version before the session starts",
    ),
    _Known(
        r"Cannot run program \"([^\"]+)\"",
        SparkFailure,
        r"the executors have no Python at \1: set PYSPARK_PYTHON=… to one that has numpy and "
        "pyarrow before the session starts",
    ),
    _Known(
        r"(?:No module named '(numpy|pyarrow|pandas|pyspark)\b"
        r"|PACKAGE_NOT_INSTALLED\] (\w+) [^\n]*must be installed)",
        SparkFailure,
        r"the executors' Python, {python}, has no \1\2: install it, or set PYSPARK_PYTHON=… "
        "to one that has numpy and pyarrow before the session starts",
    ),
    _Known(
        r"Python worker exited unexpectedly|Python worker failed to connect back",
        WorkersDied,
        f"a Python worker of Spark's died, {_MEMORY}",
    ),
    _Known(r"ExecutorLostFailure|Lost executor", WorkersDied, f"an executor was lost, {_MEMORY}"),
    _Known(
        r"message larger than max[^\n(]*\(?(\d[\d,]*)?",
        SparkFailure,
        r"a message of \1 bytes is larger than Spark Connect takes at once: fewer or narrower "
        "rows of arrays and tables, or on the server a higher "
        "spark.connect.grpc.maxInboundMessageSize",
    ),
    _Known(
        r"INVALID_HANDLE\.SESSION_|SESSION_CLOSED|SESSION_NOT_FOUND|SESSION_CHANGED",
        SparkFailure,
        "the Spark Connect session has ended on its server, and with it all that was kept there: "
        "make a session and read the data again; checkpoints=… lets a fit go on",
    ),
    _Known(
        r"StatusCode\.UNAVAILABLE|RETRIES_EXCEEDED|failed to connect to all addresses",
        SparkFailure,
        "the Spark Connect server does not answer: see that it runs and can be reached from here; "
        "checkpoints=… lets a fit go on from where it was",
    ),
    _Known(
        r"DEADLINE_EXCEEDED|EXECUTION_TIMEOUT|TIMEOUT_EXCEEDED",
        SparkFailure,
        "a query took longer than the Spark Connect server lets one take: give it shorter ones "
        "(fewer local_steps, a smaller batch_size), or a higher limit there; checkpoints=… lets a "
        "fit go on from where it was",
    ),
    _Known(
        r"ModuleNotFoundError: No module named '([^']+)'",
        SparkFailure,
        rf"the executors have no module \1: {_SEND}",
    ),
]
_OURS = (  # whose message says all without the kind's name
    *("DataError", "ShardError", "ShapeError", "SourceChanged", "MissingShard"),
    *("ValueError", "TypeError", "RuntimeError"),
)
# Of a Python trace: its file lines are indented, what follows them is the error.
_TRACE = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*(\S.*)")
_KIND = re.compile(r"^(?:\w+\.)*(\w+): (.+)$")


@contextmanager
def translated(host: Host) -> Iterator[None]:
    """Errors of the Spark jobs within as one line each, and Ctrl-C as what it is."""
    outer = sys.exc_info()[1]  # what the caller is handling already
    with _interruptible() as interrupted:
        try:
            yield
        except Exception as error:
            cause: BaseException | None = error
            while cause is not None and cause is not outer:
                if isinstance(cause, KeyboardInterrupt):  # py4j's clean-up failed and hid it
                    interrupted.append(True)
                cause = cause.__context__
            if interrupted:
                host.cancel_all()
                raise KeyboardInterrupt from None
            host.require_running()
            raise_if_cancelled(error)
            told = explained(error, host)
            if told is None:
                raise
            if isinstance(told, FolderLost):
                host.mend()
            raise told from None
        except KeyboardInterrupt:
            host.cancel_all()
            raise


def explained(error: BaseException, host: Host | None = None) -> SparkFailure | None:
    """What an error of Spark's means; None where it is not one of Spark's."""
    if not isinstance(error, (Py4JError, PySparkException)):
        return None
    text = str(error)
    python = host.python if host is not None else "python3"
    for known in _KNOWN:
        if found := re.search(known.pattern, text):
            return known.kind(_filled(found, known.told).replace("{python}", python))
    failure = SparkFailure(last_line(text) or first_line(error))
    if trace := _TRACE.search(text):
        failure.add_note(f"\nOn the executor:\n{trace[0]}")
    return failure


def one_line(error: BaseException) -> str:
    """What went wrong, without traces: an executor's own words where the error is Spark's."""
    failure = explained(error)
    text = str(error if failure is None else failure).strip()
    if failure is not None or (text and "\n" not in text and isinstance(error, _PLAIN)):
        return text
    first = text.splitlines()[0] if text else "no message"
    return f"{type(error).__name__}: {first} (--debug shows the trace)"


_PLAIN = (ValueError, TypeError, OSError, RuntimeError, MemoryError, ModuleNotFoundError)


def first_line(error: BaseException) -> str:
    """The message of a Spark error without its plan, position and trace."""
    said = error.java_exception.toString() if isinstance(error, Py4JJavaError) else str(error)
    text = said.strip().splitlines()
    return text[0].split(" SQLSTATE")[0] if text else type(error).__name__


def last_line(text: str) -> str:
    """What was raised in the end, on an executor: by Python, or else by Java; "" for neither."""
    raised = _TRACE.findall(text)
    if raised:
        line = raised[-1].strip()
        kind = _KIND.match(line)
        return kind[2] if kind and kind[1] in _OURS else line
    causes = re.findall(r"^Caused by: (.+)$", text, re.MULTILINE)
    causes = causes or re.findall(r"most recent failure: Lost task [^:]*: (.+)", text)
    return re.sub(r"^(?:[\w$]+\.)+", "", causes[-1]).strip() if causes else ""


def is_refused(error: PySparkException) -> bool:
    """Whether a platform does not offer what was asked, as in
    "[NOT_SUPPORTED_WITH_SERVERLESS] PERSIST TABLE is not supported on serverless compute".
    """
    text = str(error).lower()
    return any(word in text for word in ("not_supported", "not supported", "unsupported"))


def raise_if_cancelled(error: Exception | None) -> None:
    """RuntimeError where a job's error says that somebody wanted it, and so the fit, to end."""
    if said := re.search(r"Job \d+ cancelled.*|\[OPERATION_CANCELED\].*", str(error or "")):
        raise RuntimeError(f"the fit's Spark job was cancelled: {said[0]}") from None
    if re.search(r"^: java\.lang\.InterruptedException", str(error or ""), re.MULTILINE):
        raise RuntimeError("the fit's Spark job was interrupted: its thread was stopped") from None


def _filled(found: re.Match[str], told: str) -> str:
    """The text with \\1, \\2 … as found; a group that took no part is empty."""
    return re.sub(r"\\(\d)", lambda number: found[int(number[1])] or "", told)


@contextmanager
def _interruptible() -> Iterator[list[bool]]:
    """Ctrl-C raises KeyboardInterrupt and nothing else; the list is true where it came.

    Spark's own handler calls the JVM from the midst of another call, which fails in py4j with
    traces; and py4j tells an interrupt in full before it makes another error of it.
    """
    came: list[bool] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not _is_spark(before):
        yield came
        return

    def interrupt(*_: object) -> None:
        came.append(True)
        raise KeyboardInterrupt

    def quiet(record: logging.LogRecord) -> bool:
        return not (came and "while sending command" in record.getMessage())

    signal.signal(signal.SIGINT, interrupt)
    logging.root.addFilter(quiet)
    try:
        yield came
    finally:
        logging.root.removeFilter(quiet)
        signal.signal(signal.SIGINT, before)


def _is_spark(handler: Any) -> bool:
    return getattr(handler, "__module__", "") == SparkContext.__module__
