"""A client of a Spark Connect server whose executors are processes: fits beside the local engine.

python -m tests.engines.connect_fit URL FOLDER SCENARIO...; one JSON line for each scenario.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession

from dpnn import Trainer, nn

RNG = np.random.default_rng(7)
X = RNG.standard_normal((400, 6)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int32)
CLIENT = os.getpid()


class Mortal(nn.Layer):
    """y = x; in the sixth pass of a task's process something dies, once.

    what    "worker": the process itself, "executor": its JVM
    marks   a folder: a file of each death
    """

    what: str
    marks: str

    def forward(self, p, x, ctx):
        if os.getpid() != CLIENT:
            PASSES.append(1)
            if len(PASSES) == 6 and not any(Path(self.marks).iterdir()):
                Path(self.marks, str(time.time_ns())).touch()
                victim = os.getpid() if self.what == "worker" else jvm()
                os.kill(victim, signal.SIGKILL)
                time.sleep(10)  # with its JVM this process dies, too
        return x, None

    def backward(self, p, g, cache, dy, ctx):
        return dy


PASSES: list[int] = []


def jvm() -> int:
    """The executor above this process."""
    pid = os.getpid()
    while "java" not in Path(f"/proc/{pid}/comm").read_text():
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid


def fit(data, engine, shards, local_steps, model, **columns):
    trainer = Trainer(
        model,
        nn.SoftmaxCrossEntropy(),
        nn.Adam(1e-2),
        batch_size=40,
        epochs=1,
        local_steps=local_steps or None,
        engine=engine,
        progress=False,
    )
    return trainer.fit(data, num_shards=shards, **columns)


def scenario(spark: SparkSession, folder: Path, name: str) -> dict:
    """name: shards/local steps/what dies, such as "3/4/executor"."""
    shards, local_steps, what = name.split("/")
    marks = folder / name.replace("/", " ")
    marks.mkdir()
    model = nn.Sequential(Mortal(what, str(marks)), nn.Dense(8), nn.ReLU(), nn.Dense(2))
    rows = [(x.tolist(), int(y)) for x, y in zip(X, Y, strict=True)]
    df = spark.createDataFrame(rows, "x array<float>, y int")
    told = (int(shards), int(local_steps), model)
    start = time.monotonic()
    result = fit(df, "frames", *told, inputs="x", label="y", validation=df)
    seconds = time.monotonic() - start
    local = fit((X, Y), "local", *told, validation=(X, Y))
    return {
        "name": name,
        "equal": np.array_equal(result.model.weights, local.model.weights)
        and result.history["val_loss"] == local.history["val_loss"],
        "deaths": len(list(marks.iterdir())),
        "seconds": round(seconds, 2),
    }


if __name__ == "__main__":
    url, folder, *names = sys.argv[1:]
    session = SparkSession.builder.remote(url).getOrCreate()
    for name in names:
        print(json.dumps(scenario(session, Path(folder), name)), flush=True)
    session.stop()
