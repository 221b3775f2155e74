"""A user's fit on a cluster while processes are killed; prints one JSON line for each scenario.

python -m tests.engines.fire MASTER SCENARIO... [key=value...], a scenario being engine/shards/what:
what is killed, in turn, while the fit runs ("worker", "executor", "worker+executor", "nothing"),
or "late": a third executor joins it.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pyspark import SparkContext
from pyspark.sql import SparkSession

from dpnn import Trainer, datasets, nn
from dpnn.training.events import StepDone
from tests.engines import scenarios

MODEL = nn.Sequential(nn.Rescale(1 / 16), nn.Dense(32), nn.ReLU(), nn.Dropout(0.1), nn.Dense(10))
EPOCHS = {"job": 4, "resident": 20, "local": 0}  # of 12 steps each
RNG = random.Random(0)


def processes() -> dict[int, tuple[int, str]]:
    """pid -> (parent, command line)."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_text().replace("\0", " ")
        except (OSError, ValueError, IndexError):
            continue
        found[int(entry.name)] = parent, command
    return found


def executors(app: str) -> list[int]:
    """The executors' JVMs of this application."""
    known = processes()
    return [
        pid
        for pid, (_, command) in known.items()
        if "CoarseGrainedExecutorBackend" in command and app in command and "java" in command
    ]


def workers(app: str) -> list[int]:
    """The Python workers below them: children of pyspark's daemons."""
    known, jvms = processes(), executors(app)
    daemons = {
        pid
        for pid, (parent, command) in known.items()
        if parent in jvms and "pyspark.daemon" in command
    }
    return [pid for pid, (parent, _) in known.items() if parent in daemons]


class Fire:
    """Kills, or adds, at steps spread over the fit."""

    def __init__(self, spark: SparkSession, what: str, steps: int) -> None:
        self.context, self.app = spark.sparkContext, spark.sparkContext.applicationId
        self.at = {}
        acts = [] if what == "nothing" else what.split("+")
        for i, act in enumerate(acts):
            self.at[(i + 1) * steps // (len(acts) + 1) + RNG.randrange(3)] = act
        self.step, self.done = 0, []

    def on_step(self, event: StepDone) -> None:
        self.step += 1
        act = self.at.get(self.step)
        if act == "late":
            self.done.append(act)
            add_worker(self.context)
        elif act:
            time.sleep(0.2 * RNG.random())
            self.kill(workers if act == "worker" else executors)
            self.done.append(act)
            time.sleep(0.3)  # a fit must not be over before the dying is

    def kill(self, find: Callable[[str], list[int]]) -> None:
        for _ in range(50):
            with contextlib.suppress(ProcessLookupError, IndexError):  # gone since, or none yet
                os.kill(RNG.choice(find(self.app)), signal.SIGKILL)
                return
            time.sleep(0.1)
        raise RuntimeError("nothing to kill")


def registered(sc: SparkContext) -> int:
    """Executors that the driver knows: all block managers but its own."""
    context: Any = sc._jsc.sc()
    return context.getExecutorMemoryStatus().size() - 1


def add_worker(sc: SparkContext) -> None:
    """A third one, and its executor, while the fit waits for them."""
    folder = os.environ["DPNN_LATE_WORKER"]
    spark_class = Path(os.environ["DPNN_SPARK"]) / "bin/spark-class"
    command = ["org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--cores", "1"]
    command += ["--memory", "1g", "--webui-port", "0", "--work-dir", folder, sc.master]
    with Path(folder, "log").open("w") as log:
        started = subprocess.Popen([str(spark_class), *command], stdout=log, stderr=log)
    Path(folder, "pid").write_text(str(started.pid))
    deadline = time.monotonic() + 120
    while registered(sc) < 3:
        if time.monotonic() > deadline:
            raise TimeoutError("no third executor has come")
        time.sleep(0.1)


def fit(
    train: object, engine: str, epochs: int, num_shards: int, fire: Fire | None = None
) -> np.ndarray:
    trainer = Trainer(
        MODEL,
        nn.SoftmaxCrossEntropy(),
        nn.Adam(1e-3),
        batch_size=128,
        epochs=epochs,
        engine=engine,
        callbacks=[] if fire is None else [fire],
        progress=False,
    )
    result = trainer.fit(train, inputs="pixels", label="label", num_shards=num_shards)
    assert result.engine == engine, result.engine
    return result.model.weights


def copies(sc: SparkContext, stages: int = 500) -> int:
    """Speculative tasks that Spark has started since the session began."""
    context: Any = sc._jsc.sc()
    found = (context.statusStore().speculationSummary(stage, 0) for stage in range(stages))
    return sum(summary.get().numTasks() for summary in found if summary.isDefined())


def scenario(spark: SparkSession, name: str) -> dict:
    engine, shards, what = name.split("/")
    train, epochs = spark.read.parquet(datasets.digits()[0]), EPOCHS[engine]
    expected = fit(train, "local", epochs, int(shards))
    fire = Fire(spark, what, 12 * epochs)
    start = time.monotonic()
    weights = fit(train, engine, epochs, int(shards), fire)
    return {
        "name": name,
        "equal": bool(np.array_equal(weights, expected)),
        "done": fire.done,
        "seconds": round(time.monotonic() - start, 1),
        "executors": registered(spark.sparkContext),
        "copies": copies(spark.sparkContext),
    }


if __name__ == "__main__":
    scenarios.run(scenario)
