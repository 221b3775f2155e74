"""jobs/train.py with a clock at each of its parts; prints their seconds as JSON on the last line.

BEGAN, in the environment, is the time when the command was given.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

STARTED = time.time()
PARTS = [
    ("dpnn.runs.cli", "session", "the session"),
    ("dpnn.runs.cli", "read", "the tables' schemas"),
    ("dpnn.data.dataset", "_ingested", "ingest: Spark's plans and jobs, first Python workers"),
    ("dpnn.spark.shipping", "ship", "ingest: the package as a zip"),
    ("dpnn.data.ingest", "_sources", "ingest: columns chosen"),
    ("dpnn.data.from_files", "plan_of", "ingest: files listed, footers read"),
    ("dpnn.training.runner", "open_engine", "the engine"),
    ("dpnn.training.runner", "Runner.step", "steps"),
    ("dpnn.training.trainer", "Fit.close", "the engine's end"),
    ("dpnn.data.dataset", "Dataset.close", "the shards' end"),
    ("dpnn.models.model", "TrainedModel.save", "the model saved"),
    ("dpnn.runs.cli", "stop", "the session's end"),
]
took: dict[str, float] = {}
_open: list[float] = []  # seconds of the parts within, of each part that runs


def timed(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Adds the seconds of its calls, less those of the parts within."""

    def call(*given: Any, **named: Any) -> Any:
        start = time.perf_counter()
        _open.append(0.0)
        first = name != "steps" or "the first step" in took
        told = name if first else "the first step"
        try:
            return function(*given, **named)
        finally:
            all_of_it = time.perf_counter() - start
            took[told] = took.get(told, 0.0) + all_of_it - _open.pop()
            if _open:
                _open[-1] += all_of_it

    return call


def watch() -> None:
    for module, path, name in PARTS:
        holder: Any = import_module(module)
        *within, last = path.split(".")
        for step in within:
            holder = getattr(holder, step)
        setattr(holder, last, timed(getattr(holder, last), name))


def main() -> None:
    took["the command: spark-submit, the JVM, Python"] = STARTED - float(os.environ["BEGAN"])
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "jobs"))
    start = time.perf_counter()
    job: Any = import_module("train")
    took["imports: dpnn and pyspark"] = time.perf_counter() - start
    watch()
    timed(job.main, "the rest of the job")(sys.argv[1:])
    print(json.dumps(took))


if __name__ == "__main__":
    main()
