"""Spark jobs of a fit: their names and groups, and what ends them from outside. Driver."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from py4j.protocol import Py4JError
from pyspark import SparkContext

_REGISTERING = 2.0  # seconds to wait for executors that still register
DESCRIPTION = "spark.job.description"  # a job's name in the Spark UI
# What cleans up belongs to no group and has no tags: to cancel those may include future jobs.
UNGROUPED = dict.fromkeys(("spark.jobGroup.id", "spark.job.interruptOnCancel", "spark.job.tags"))


@contextmanager
def translated(sc: SparkContext) -> Iterator[None]:
    """What ends a Spark job from outside, in one line, and Ctrl-C as what it is."""
    outer = sys.exc_info()[1]  # what the caller is handling already
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and cause is not outer:
            if isinstance(cause, KeyboardInterrupt):  # py4j's clean-up has failed, too, and hid it
                raise KeyboardInterrupt from error
            cause = cause.__context__
        require_running(sc)
        raise_if_cancelled(error)
        raise


def require_running(sc: SparkContext) -> None:
    """RuntimeError where somebody has stopped it."""
    try:
        stopped = sc._jsc is None or sc._jsc.sc().isStopped()
    except (Py4JError, AttributeError, OSError):  # it is being stopped just now
        stopped = True
    if stopped:
        raise RuntimeError("the Spark context was stopped beneath the fit")


def free_slots(sc: SparkContext, wanted: int = 1, patience: float = 0.0) -> int:
    """How many tasks can run at once; waits a little for executors that still register."""
    end = time.monotonic() + patience
    while True:
        require_running(sc)
        context: Any = sc._jsc.sc()
        profile = context.resourceProfileManager().defaultResourceProfile()
        slots = int(context.maxNumConcurrentTasks(profile))
        if slots >= wanted or time.monotonic() > end:
            return slots
        time.sleep(0.1)


def slots(sc: SparkContext) -> int:
    """How many tasks can run at once; what Spark expects where no executor has come yet."""
    return free_slots(sc, patience=_REGISTERING) or sc.defaultParallelism


def raise_if_cancelled(error: Exception | None) -> None:
    """RuntimeError where a job's error says that somebody wanted it, and so the fit, to end."""
    if said := re.search(r"Job \d+ cancelled.*", str(error or "")):
        raise RuntimeError(f"the fit's Spark job was cancelled: {said[0]}") from error
    if re.search(r"^: java\.lang\.InterruptedException", str(error or ""), re.MULTILINE):
        raise RuntimeError("the fit's Spark job was interrupted: its thread was stopped") from error


@contextmanager
def job_properties(sc: SparkContext, values: Mapping[str, str | None]) -> Iterator[None]:
    """Driver. Of the jobs that are run within; the user's own come back afterwards."""
    before = {name: sc.getLocalProperty(name) for name in values}
    _set(sc, values)
    try:
        yield
    finally:
        with suppress(Exception):  # the context may be gone
            _set(sc, before)


def _set(sc: SparkContext, values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        sc.setLocalProperty(name, value)  # type: ignore[arg-type]  # None takes it away
