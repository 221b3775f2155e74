"""Says that work on Spark waits, for a free slot or a server, which nobody would see else. Driver.

One thread looks every second; the work itself only notes when it began.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

FIRST = 5.0  # seconds of work before the first line; each further one after twice as long
EVERY = 1.0
NO_ANSWER = (
    "the Spark Connect server does not answer; pyspark tries again for ten minutes or more: see "
    "that it runs and can be reached from here, or end this with Ctrl-C"
)


@contextmanager
def answering(patience: float = FIRST) -> Iterator[None]:
    """A line where a Spark Connect server is silent for so many seconds of a first call."""
    timer = threading.Timer(patience, sys.stderr.write, [f"dpnn: {NO_ANSWER}\n"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Waiting:
    """A context in which a thread calls `say(line)` while work gets no slot; None: never."""

    def __init__(self, say: Callable[[str], None] | None, first: float = FIRST) -> None:
        self._say, self._first = say, first
        self._work: tuple[str, float] | None = None  # what goes on, and since when
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Waiting:
        if self._say is not None and "pyspark" in sys.modules:
            self._thread = threading.Thread(target=self._watch, name="dpnn-waiting", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        if self._thread is not None:
            self._thread.join(10)

    @contextmanager
    def over(self, what: str) -> Iterator[None]:
        """While `what` is done."""
        self.begin(what)
        try:
            yield
        finally:
            self.end()

    def begin(self, what: str) -> None:
        self._work = (what, monotonic())

    def end(self) -> None:
        self._work = None

    def _watch(self) -> None:
        seen, due = None, self._first
        while not self._closed.wait(min(EVERY, self._first)):
            work = self._work
            if work is not seen:
                seen, due = work, self._first
            if work is None or monotonic() - work[1] < due:
                continue
            due *= 2
            with suppress(Exception):  # the context may be gone
                if is_waiting(stages()) and self._work is work and self._say is not None:
                    lasted = f"{monotonic() - work[1]:.0f} s so far"
                    cause = "other jobs of this session hold them all"
                    self._say(f"{work[0]} waits for a free slot, {lasted}: {cause}")


def stages() -> list[Any]:
    """What Spark knows of the stages at work: numTasks, numActiveTasks, numCompletedTasks."""
    from pyspark import SparkContext

    sc = SparkContext._active_spark_context
    if sc is None:
        return []
    tracker = sc.statusTracker()
    found = (tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds())
    return [info for info in found if info is not None]


def busy_slots() -> int:
    """How many tasks are at work."""
    return sum(stage.numActiveTasks for stage in stages())


def is_waiting(stages: Iterable[Any]) -> bool:
    """Whether one of them has tasks to do and none at work."""
    return any(s.numActiveTasks == 0 and s.numCompletedTasks < s.numTasks for s in stages)
