"""Spark jobs of a fit, by their context. Driver."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from pyspark import SparkContext

from dpnn.spark.errors import raise_if_cancelled as raise_if_cancelled
from dpnn.spark.errors import require_running as require_running
from dpnn.spark.errors import translated as translated
from dpnn.spark.session import DESCRIPTION as DESCRIPTION
from dpnn.spark.session import UNGROUPED as UNGROUPED
from dpnn.spark.session import Session


def free_slots(sc: SparkContext, wanted: int = 1, patience: float = 0.0) -> int:
    """How many tasks can run at once; waits a little for executors that still register."""
    return Session(sc).slots(wanted, patience)


def slots(sc: SparkContext) -> int:
    """How many tasks can run at once; what Spark expects where no executor has come yet."""
    return Session(sc).expected_slots()


def job_properties(
    sc: SparkContext, values: Mapping[str, str | None]
) -> AbstractContextManager[None]:
    """Of the jobs that are run within; the user's own come back afterwards."""
    return Session(sc).properties(values)
