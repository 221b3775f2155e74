"""Spark's local folders, made again where somebody has deleted them.

Spark makes them when it starts and takes them for granted ever after: without its folders an
executor fails every job that shuffles. Driver, but for what says else.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pyspark import SparkContext


def make_folders(sc: SparkContext) -> None:
    """On every executor that runs a task now, and the driver's own."""
    if sc._temp_dir:
        Path(sc._temp_dir).mkdir(parents=True, exist_ok=True)
    count = int(sc.getConf().get("spark.diskStore.subDirectories", "64"))
    tasks = 2 * max(1, sc.defaultParallelism)  # likely to reach every executor
    sc.range(tasks, numSlices=tasks).foreachPartition(lambda numbers: _make(numbers, count))


def _make(numbers: Iterable[int], count: int) -> None:
    """Executor. Its local directories, with those that hold its files by their hash."""
    list(numbers)
    for root in os.environ.get("SPARK_LOCAL_DIRS", "").split(","):
        for number in range(count if root else 0):
            Path(root, f"{number:02x}").mkdir(parents=True, exist_ok=True)
