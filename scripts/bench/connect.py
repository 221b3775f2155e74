"""What a step costs without compute on each engine, on a classic session and over Spark Connect;
and how long either takes to learn MNIST.

scripts/bench.sh connect [--rounds 10] [--sizes 10000 1000000 …]
scripts/bench.sh connect --mnist FOLDER

local[2], 2 shards. Steps whose shards have no rows: weights down, gradients back, the canonical
sum; medians in milliseconds a step. MNIST, 784-256-10: seconds from `fit` to 97.5 % of the test
rows, the read included, medians of 3 fits (3 seeds) after a first one. FOLDER holds train/ and
test/ as Parquet. Each kind of session has a process of its own; over Connect the server is a third.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dpnn import Trainer, nn
from dpnn.data.ingest import ingest
from dpnn.engines.open import open_engine
from dpnn.engines.protocol import Kind, Plan
from dpnn.engines.worker import Program

SHAPES = {10_000: (99, 100), 250_000: (499, 500), 1_000_000: (999, 1000), 10_000_000: (9999, 1000)}
ENGINES = {"classic": ("resident", "job", "frames"), "connect": ("frames",)}
NO_ROWS = Plan(Kind.TRAIN, epoch=1, step=0, steps=1000)  # of a shard of fewer than 1000 rows
GOAL = 0.975
DIGITS = nn.Sequential(nn.Rescale(1 / 255), nn.Dense(256), nn.ReLU(), nn.Dense(10))
# What takes each kind there soonest: synchronous steps, or a round an epoch.
LEARNING: dict[str, dict[str, Any]] = {
    "classic": {"engine": "resident", "optimizer": nn.Adam(8e-3), "batch_size": 512, "ema": 0.975},
    "connect": {
        "engine": "frames",
        "optimizer": nn.Adam(8e-3),
        "batch_size": 512,
        "local_steps": 1_000_000,
        "outer": nn.SGD(1.0),
    },
}


class Rows:
    """Shards as `open_engine` takes a dataset."""

    in_process = False

    def __init__(self, shards: Any) -> None:
        self._shards = shards

    def spark(self) -> Any:
        return self._shards


def session(kind: str) -> Any:
    from pyspark.sql import SparkSession

    builder: Any = SparkSession.builder.appName("dpnn bench")
    builder = builder.remote("local[2]") if kind == "connect" else builder.master("local[2]")
    builder = builder.config("spark.driver.memory", "4g")
    builder = builder.config("spark.python.unix.domain.socket.enabled", "true")
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    return builder.config("spark.ui.enabled", "false").getOrCreate()


def measure(kind: str, sizes: list[int], rounds: int) -> dict[str, list[float]]:
    """Milliseconds a step of each engine, for each size."""
    spark = session(kind)
    found: dict[str, list[float]] = {name: [] for name in ENGINES[kind]}
    for size in sizes:
        inputs, outputs = SHAPES[size]
        columns = f"array_repeat(cast(id as float), {inputs}) x", "cast(id % 2 as int) y"
        df = spark.range(20).selectExpr(*columns)
        program = Program(nn.Dense(outputs), (inputs,), nn.SoftmaxCrossEntropy())
        with ingest(df, "x", "y", num_shards=2) as shards:
            for name in ENGINES[kind]:
                engine = open_engine(name, program, Rows(shards))[0]  # type: ignore[arg-type]
                found[name].append(1000 * median(engine, size, rounds))
                engine.close()
    spark.stop()
    return found


def median(engine: Any, size: int, rounds: int) -> float:
    weights = engine.allocate((SHAPES[size][0] + 1) * SHAPES[size][1])
    seconds = []
    for _ in range(3 + rounds):
        start = time.perf_counter()
        engine.step(weights, NO_ROWS)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[3:])


class Goal:
    """Ends a fit that is good enough; when it began to train and when it was."""

    def on_fit_start(self, event: Any) -> None:
        self.began = time.perf_counter()

    def on_epoch(self, event: Any) -> None:
        self.epochs, self.ended = event.epoch, time.perf_counter()
        if event.figures["val_accuracy"] >= GOAL:
            event.stop("good enough")


def learn(kind: str, folder: str) -> dict[str, list[float]]:
    """Seconds of the read and of all until the goal, and epochs, of each fit after the first."""
    spark, found = session(kind), []
    train, test = (spark.read.parquet(f"{folder}/{part}") for part in ("train", "test"))
    for seed in (0, 0, 1, 2):
        goal, start = Goal(), time.perf_counter()
        trainer = Trainer(
            DIGITS,
            nn.SoftmaxCrossEntropy(),
            epochs=20,
            seed=seed,
            callbacks=[goal],
            progress=False,
            **LEARNING[kind],
        )
        result = trainer.fit(train, "pixels", "label", validation=test, num_shards=2)
        if result.stopped is None:
            raise RuntimeError(f"{kind}: not {GOAL:.1%} in {trainer.epochs} epochs")
        found.append((goal.began - start, goal.ended - start, goal.epochs))
    spark.stop()
    read, whole, epochs = zip(*found[1:], strict=True)
    return {"read": list(read), "whole": list(whole), "epochs": list(epochs)}


def run(kind: str, *options: str) -> Any:
    """What a process of its own has found."""
    command = [sys.executable, __file__, "--kind", kind, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def show_learning(folder: str) -> None:
    found = {kind: run(kind, "--mnist", folder) for kind in LEARNING}
    print(f"MNIST to {GOAL:.1%}: seconds, median of {len(found['classic']['whole'])}")
    for kind, each in found.items():
        read, whole, epochs = (
            statistics.median(each[name]) for name in ("read", "whole", "epochs")
        )
        name = f"{kind} {LEARNING[kind]['engine']}"
        print(f"{name:24}{whole:8.2f} s, {read:.2f} of it the read, {epochs:.0f} epochs")
    ours, theirs = (statistics.median(found[kind]["whole"]) for kind in ("connect", "classic"))
    print(f"over Connect {ours / theirs:.2f} times as long")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--mnist", metavar="FOLDER", help="measure learning instead")
    parser.add_argument("--kind", choices=list(ENGINES), help="this one alone, as JSON")
    args = parser.parse_args()
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    folder = args.mnist and str(Path(args.mnist).resolve())
    if args.kind:
        found = learn(args.kind, folder) if folder else measure(args.kind, args.sizes, args.rounds)
        print(json.dumps(found))
        return
    if folder:
        show_learning(folder)
        return
    sizes = [str(size) for size in args.sizes]
    options = ["--rounds", str(args.rounds), "--sizes", *sizes]
    print(f"{'ms a step':24}" + "".join(f"{size:>14,}" for size in args.sizes))
    for kind in ENGINES:
        for name, figures in run(kind, *options).items():
            print(f"{kind + ' ' + name:24}" + "".join(f"{figure:14.1f}" for figure in figures))


if __name__ == "__main__":
    main()
