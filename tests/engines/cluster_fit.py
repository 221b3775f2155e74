"""A driver on a cluster: runs scenarios against the local engine, prints one JSON line for each.

python -m tests.engines.cluster_fit MASTER SCENARIO... [key=value...]
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession

from dpnn.engines.auto import choose
from dpnn.engines.job import JobEngine
from dpnn.engines.resident.engine import ResidentEngine
from tests.engines import scenarios
from tests.engines.test_resident_spark import PROGRAM, STEPS, locally, shards, train


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def executor(pid: int) -> int:
    """The JVM above a Python worker, which lies below pyspark's daemon."""
    while "java" not in Path(f"/proc/{pid}/comm").read_text():
        pid = parent(pid)
    return pid


class Kills:
    """Before given steps: a Python worker, an executor's JVM, or one after the other."""

    def __init__(self, engine: ResidentEngine, at: dict[int, str]) -> None:
        self.engine, self.at = engine, at
        self.rng = np.random.default_rng(len(at))

    def __call__(self, step: int, weights: np.ndarray) -> None:
        pids = [seat.pid for seat in self.engine._roster.seats.values()]
        what = self.at.get(step, "")
        if "worker" in what:
            os.kill(int(self.rng.choice(pids)), signal.SIGKILL)
        if "executor" in what:
            os.kill(executor(int(self.rng.choice(pids))), signal.SIGKILL)
        if "both" in what:
            for jvm in {executor(pid) for pid in pids}:
                os.kill(jvm, signal.SIGKILL)
        if what:
            time.sleep(0.3)  # these steps are so short that the dying would finish the fit


KILLS = {
    "quiet": {},
    "worker": {2: "worker", 5: "worker"},
    "executor": {3: "executor"},
    "one after the other": {2: "executor", 5: "worker", 6: "executor"},
    "both": {3: "both"},
}


def scenario(spark: SparkSession, name: str) -> dict:
    """name: engine/shards/kills, such as "resident/3/worker"."""
    engine_name, count, kills = name.split("/")
    with shards(spark, int(count)) as data, shards(spark, 3) as validation:
        reason = choose(data)
        expected, tails = locally(data, validation)
        kind = ResidentEngine if engine_name == "resident" else JobEngine
        start = time.monotonic()
        engine = kind(PROGRAM, data, validation)
        try:
            before = Kills(engine, KILLS[kills]) if engine_name == "resident" else None
            weights, found = train(engine, before=before)
            runs = getattr(engine, "_run", 0)
            tasks = len(engine._roster.seats) if engine_name == "resident" else 0
            lost = engine._roster.lost if engine_name == "resident" else 0
        finally:
            engine.close()
        return {
            "name": name,
            "equal": bool(np.array_equal(weights, expected)) and found == tails,
            "seconds": round(time.monotonic() - start, 2),
            "submissions": runs,
            "tasks": tasks,
            "lost": lost,
            "auto": reason,
            "steps": STEPS,
        }


if __name__ == "__main__":
    scenarios.run(scenario)
