"""Spark's local folders, made again where somebody has deleted them.

Spark makes them when it starts and takes them for granted ever after: without its folders a driver
sends no task, and an executor fails every job that shuffles. Driver, but for what says else.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pyspark import SparkContext


def make_folders(sc: SparkContext) -> None:
    """The driver's own, and then those of every executor that runs a task now."""
    count = int(sc.getConf().get("spark.diskStore.subDirectories", "64"))
    for folder in block_manager(sc).diskBlockManager().localDirs():
        _make(Path(folder.getPath()), count)
    if sc._temp_dir:
        Path(sc._temp_dir).mkdir(parents=True, exist_ok=True)
    tasks = 2 * max(1, sc.defaultParallelism)  # likely to reach every executor
    sc.range(tasks, numSlices=tasks).foreachPartition(lambda numbers: _make_all(numbers, count))


def block_manager(sc: SparkContext) -> Any:
    """The driver's; by reflection, since py4j cannot list SparkEnv's methods."""
    jvm: Any = sc._jvm
    context: Any = sc._jsc
    field = jvm.java.lang.Class.forName("org.apache.spark.SparkEnv").getDeclaredField(
        "blockManager"
    )
    field.setAccessible(True)
    return field.get(context.sc().env())


def _make_all(numbers: Iterable[int], count: int) -> None:
    """Executor. Its local directories."""
    list(numbers)
    for root in filter(None, os.environ.get("SPARK_LOCAL_DIRS", "").split(",")):
        _make(Path(root), count)


def _make(root: Path, count: int) -> None:
    """With the folders that hold its files by their hash."""
    for number in range(count):
        (root / f"{number:02x}").mkdir(parents=True, exist_ok=True)
