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
from dpnn.engines.resident.roster import Seat
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
    """Before given steps: a Python worker, an executor's JVM, one after the other, or a worker
    for whose task Spark runs a speculative copy."""

    def __init__(self, engine: ResidentEngine, at: dict[int, str]) -> None:
        self.engine, self.at = engine, at
        self.rng = np.random.default_rng(len(at))
        self.copies: list[Seat] = []

    def __call__(self, step: int, weights: np.ndarray) -> None:
        pids = [seat.pid for seat in self.engine._roster.seats.values()]
        what = self.at.get(step, "")
        if "worker" in what:
            os.kill(int(self.rng.choice(pids)), signal.SIGKILL)
        if "original" in what:
            copy = self.await_copy()
            self.copies.append(copy)
            os.kill(self.engine._roster.seats[copy.place].pid, signal.SIGKILL)
        if "executor" in what:
            os.kill(executor(int(self.rng.choice(pids))), signal.SIGKILL)
        if "both" in what:
            for jvm in {executor(pid) for pid in pids}:
                os.kill(jvm, signal.SIGKILL)
        if what:
            time.sleep(0.3)  # these steps are so short that the dying would finish the fit

    def await_copy(self) -> Seat:
        roster, deadline = self.engine._roster, time.monotonic() + 60
        while time.monotonic() < deadline:
            list(roster.frames(0.1))  # between two steps there are only newcomers
            for reserves in roster._reserves.values():
                if reserves:
                    return reserves[0]
        raise TimeoutError("Spark has started no copy")

    def stepped_in(self) -> list[bool]:
        """Whether each copy holds the place of its killed original."""
        return [self.engine._roster.seats[copy.place] is copy for copy in self.copies]


KILLS = {
    "quiet": {},
    "worker": {2: "worker", 5: "worker"},
    "one after the other": {2: "executor", 5: "worker", 6: "executor"},
    "both": {3: "both"},
    "original": {3: "original"},
}


def scenario(spark: SparkSession, name: str) -> dict:
    """name: engine/shards/kills, such as "resident/3/worker"."""
    engine_name, count, kills = name.split("/")
    with shards(spark, int(count)) as data:
        reason = choose(data)
        expected, tails = locally(data)
        kind = ResidentEngine if engine_name == "resident" else JobEngine
        start = time.monotonic()
        engine = kind(PROGRAM, data)
        try:
            before = Kills(engine, KILLS[kills]) if engine_name == "resident" else None
            weights, found = train(engine, before=before)
            runs = getattr(engine, "_run", 0)
            tasks = len(engine._roster.seats) if engine_name == "resident" else 0
            lost = engine._roster.lost if engine_name == "resident" else 0
            copies = before.stepped_in() if before else []
        finally:
            engine.close()
        return {
            "name": name,
            "equal": bool(np.array_equal(weights, expected)) and found == tails,
            "seconds": round(time.monotonic() - start, 2),
            "submissions": runs,
            "tasks": tasks,
            "lost": lost,
            "copies": copies,
            "auto": reason,
            "steps": STEPS,
        }


if __name__ == "__main__":
    scenarios.run(scenario)
