"""Shows a long Spark job in a terminal while it runs. Driver."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pyspark import SparkContext

EVERY = 0.2  # seconds between two pictures
_WIDTH = 24
_CLEAR = "\r\x1b[K"


@contextmanager
def shown(sc: SparkContext, tag: str, what: str, show: bool) -> Iterator[None]:
    """The jobs with a tag as one live line, taken away at the end; nothing where none looks."""
    if not show or not sys.stderr.isatty():
        yield
        return
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(sc, tag, what, ended), daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join(10)


def line(what: str, done: int, tasks: int) -> str:
    """What stands there: "dpnn: reading ━━━━━━        3 of 12 tasks"."""
    full = _WIDTH * done // max(tasks, 1)
    return f"dpnn: {what} {'━' * full}{' ' * (_WIDTH - full)} {done} of {tasks} tasks"


def _watch(sc: SparkContext, tag: str, what: str, ended: threading.Event) -> None:
    while not ended.wait(EVERY):
        with suppress(Exception):  # the context may be gone
            done, tasks = _progress(sc, tag)
            if tasks:
                sys.stderr.write(_CLEAR + line(what, done, tasks))
                sys.stderr.flush()
    sys.stderr.write(_CLEAR)
    sys.stderr.flush()


def _progress(sc: SparkContext, tag: str) -> tuple[int, int]:
    """(tasks done, tasks) of the stages that run now."""
    context: Any = sc._jsc.sc()
    jobs = set(context.statusTracker().getJobIdsForTag(tag))
    tracker = sc.statusTracker()
    infos = [info for job in jobs if (info := tracker.getJobInfo(job)) is not None]
    active = set(tracker.getActiveStageIds()) & {s for info in infos for s in info.stageIds}
    stages = [stage for s in active if (stage := tracker.getStageInfo(s)) is not None]
    return sum(s.numCompletedTasks for s in stages), sum(s.numTasks for s in stages)
