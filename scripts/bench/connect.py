"""What a step costs without compute on each engine, on a classic session and over Spark Connect.

scripts/bench.sh connect [--rounds 10] [--sizes 10000 1000000 …]

local[2], 2 shards, steps whose shards have no rows: weights down, gradients back, the canonical
sum. Medians in milliseconds a step. Each kind of session has a process of its own; over Connect the
server is a third one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

from dpnn import nn
from dpnn.data.ingest import ingest
from dpnn.engines.open import open_engine
from dpnn.engines.protocol import Kind, Plan
from dpnn.engines.worker import Program

SHAPES = {10_000: (99, 100), 250_000: (499, 500), 1_000_000: (999, 1000), 10_000_000: (9999, 1000)}
ENGINES = {"classic": ("resident", "job", "frames"), "connect": ("frames",)}
NO_ROWS = Plan(Kind.TRAIN, epoch=1, step=0, steps=1000)  # of a shard of fewer than 1000 rows


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--kind", choices=list(ENGINES), help="this one alone, as JSON")
    args = parser.parse_args()
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    if args.kind:
        print(json.dumps(measure(args.kind, args.sizes, args.rounds)))
        return
    sizes = [str(size) for size in args.sizes]
    options = ["--rounds", str(args.rounds), "--sizes", *sizes]
    print(f"{'ms a step':24}" + "".join(f"{size:>14,}" for size in args.sizes))
    for kind in ENGINES:
        command = [sys.executable, __file__, "--kind", kind, *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        for name, figures in json.loads(done.stdout.splitlines()[-1]).items():
            print(f"{kind + ' ' + name:24}" + "".join(f"{figure:14.1f}" for figure in figures))


if __name__ == "__main__":
    main()
