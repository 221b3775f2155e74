"""Shows a long Spark job in a terminal while it runs. Driver."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

from pyspark import SparkContext

EVERY = 0.2  # seconds between two pictures
_WIDTH = 24
_CLEAR = "\r\x1b[K"


class Reader(Protocol):
    """What runs the jobs: a session."""

    def progress(self, tag: str) -> Progress: ...


@contextmanager
def shown(session: Reader, tag: str, what: str, show: bool) -> Iterator[None]:
    """The jobs with a tag as one live line, taken away at the end; nothing where none looks."""
    if not show or not sys.stderr.isatty():
        yield
        return
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(session, tag, what, ended), daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join(10)


@dataclass(frozen=True)
class Progress:
    """Of some jobs' stages so far: tasks, and what Spark has read of files, in rows and bytes."""

    done: int
    tasks: int
    rows: int = 0
    size: int = 0


def line(what: str, now: Progress, seconds: float) -> str:
    """What stands there after so long:
    "dpnn: reading ━━━━━━        3 of 12 tasks, 1,500,000 rows, 24 MB, 9 s left".
    """
    full = _WIDTH * now.done // max(now.tasks, 1)
    told = [f"{now.done} of {now.tasks} tasks"]
    if now.rows:
        told.append(f"{now.rows:,} rows")
    if now.size:
        told.append(f"{now.size / 1e6:,.0f} MB")
    if 0 < now.done < now.tasks:
        told.append(f"{seconds * (now.tasks - now.done) / now.done:.0f} s left")
    return f"dpnn: {what} {'━' * full}{' ' * (_WIDTH - full)} {', '.join(told)}"


def _watch(session: Reader, tag: str, what: str, ended: threading.Event) -> None:
    start = perf_counter()
    while not ended.wait(EVERY):
        with suppress(Exception):  # the context may be gone
            now = session.progress(tag)
            if now.tasks:
                sys.stderr.write(_CLEAR + line(what, now, perf_counter() - start))
                sys.stderr.flush()
    sys.stderr.write(_CLEAR)
    sys.stderr.flush()


def progress(sc: SparkContext, tag: str) -> Progress:
    """Of the jobs with a tag. Tasks at work count with what they last told, every few seconds."""
    context: Any = sc._jsc.sc()
    jobs = context.statusTracker().getJobIdsForTag(tag)
    tracker = sc.statusTracker()
    infos = [info for job in jobs if (info := tracker.getJobInfo(job)) is not None]
    known = (
        context.statusStore().lastStageAttempt(stage)
        for stage in sorted({stage for info in infos for stage in info.stageIds})
    )
    stages = [stage for stage in known if stage.status().toString() != "SKIPPED"]
    return Progress(
        sum(stage.numCompleteTasks() for stage in stages),
        sum(stage.numTasks() for stage in stages),
        sum(stage.inputRecords() for stage in stages),
        sum(stage.inputBytes() for stage in stages),
    )
