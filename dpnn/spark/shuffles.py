"""Shuffle files that a finished fit leaves: Spark keeps them until the JVM collects garbage, which
may be after the disk is full. Driver.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pyspark import RDD

_OF_SQL = "UnsafeRowSerializer"  # what a DataFrame's shuffles are written by


def remove_shuffles(rdd: RDD, of_sql: bool = True) -> None:
    """Have the files of the shuffles beneath an RDD removed, in Spark's own time.

    Those that Spark made for a DataFrame's plan (of_sql), or those of RDDs; never what lies beneath
    a persisted RDD of the user's. Spark would make again what somebody should still need.
    """
    with suppress(Exception):  # the context may be gone; they go with the application
        cleaner = rdd.ctx._jsc.sc().cleaner()
        if cleaner.isEmpty():
            return
        for shuffle in _shuffles(rdd._jrdd.rdd(), of_sql):
            cleaner.get().doCleanupShuffle(shuffle, False)


def _shuffles(top: Any, of_sql: bool) -> list[int]:
    found: set[int] = set()
    seen: set[int] = set()
    todo = [top]
    while todo:
        rdd = todo.pop()
        if rdd.id() in seen or (rdd.id() != top.id() and _is_kept(rdd)):
            continue
        seen.add(rdd.id())
        dependencies = rdd.dependencies()
        for i in range(dependencies.size()):
            dependency = dependencies.apply(i)
            if dependency.getClass().getSimpleName() == "ShuffleDependency":
                ours = _OF_SQL in dependency.serializer().getClass().getName()
                found |= {dependency.shuffleId()} if ours == of_sql else set()
            todo.append(dependency.rdd())
    return sorted(found)


def _is_kept(rdd: Any) -> bool:
    level = rdd.getStorageLevel()
    return bool(level.useMemory() or level.useDisk())
