"""What a step of the job engine costs without compute, beside a bare Spark job of the same shape.

scripts/bench.sh engines [--rounds 12] [--spark-defaults FILE] [--sizes 10000 250000 …]

local[2], 2 shards, networks of 10 thousand to 10 million parameters. `job`: broadcast of the
weights, one task a shard whose step has no rows, gradients back, the canonical sum. `bare`: one
stage, two Python tasks that do nothing. `frozen`: the same, its workers spared the full garbage
collection that pyspark makes after every task, as the job engine's are: the harder rival. `naive`:
broadcast and collect of pickled arrays, summed. They take turns of a few steps each, and each has
Python workers of its own. Medians over the turns in milliseconds a step, and the medians of the
ratios of each turn.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dpnn import nn
from dpnn.data.ingest import ingest
from dpnn.engines.job import JobEngine
from dpnn.engines.protocol import Kind, Plan
from dpnn.engines.worker import Program

ROOT = Path(__file__).resolve().parents[2]
SHAPES = {10_000: (99, 100), 250_000: (499, 500), 1_000_000: (999, 1000), 10_000_000: (9999, 1000)}
TURN = 4  # steps in a row: what a worker still does after a task is part of the next step
NO_ROWS = Plan(Kind.TRAIN, epoch=1, step=0, steps=1000)  # of a shard of fewer than 1000 rows


def session(defaults: Path) -> Any:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").appName("dpnn bench engines")
    lines = (line.split("#")[0].split(None, 1) for line in defaults.read_text().splitlines())
    for key, value in (line for line in lines if line):
        builder = builder.config(key, value.strip())
    spark = builder.config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def nothing(items: Iterable[Any]) -> Iterator[int]:
    yield sum(1 for _ in items)


def nothing_frozen(items: Iterable[Any]) -> Iterator[int]:
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()
    yield sum(1 for _ in items)


def contestants(spark: Any, size: int) -> tuple[dict[str, Callable[[], Any]], list[Any]]:
    """{name: one step}, and what to close afterwards."""
    sc = spark.sparkContext
    inputs, units = SHAPES[size]
    rows = [([float(i)] * inputs, i) for i in range(4)]
    shards = ingest(spark.createDataFrame(rows, "x array<float>, y int"), "x", "y", num_shards=2)
    engine = JobEngine(
        Program(nn.Sequential(nn.Dense(units)), (inputs,), nn.SoftmaxCrossEntropy()), shards
    )
    weights = engine.allocate(size)
    weights[...] = np.random.default_rng(0).standard_normal(size)
    pair = sc.parallelize(range(2), 2).persist()
    pair.count()

    def naive() -> Any:
        flat = sc.broadcast(weights)

        def gradient(items: Iterable[Any]) -> Iterator[np.ndarray]:
            list(items)
            yield np.zeros_like(flat.value)

        one, two = pair.mapPartitions(gradient).collect()
        flat.destroy()
        return one + two

    steps = {
        "bare": with_workers(sc, "bare", lambda: pair.mapPartitions(nothing).collect()),
        "frozen": with_workers(sc, "frozen", lambda: pair.mapPartitions(nothing_frozen).collect()),
        "job": lambda: engine.step(weights, NO_ROWS),
        "naive": with_workers(sc, "naive", naive),
    }
    return steps, [engine, shards]


def with_workers(sc: Any, name: str, step: Callable[[], Any]) -> Callable[[], Any]:
    """Spark keeps Python workers apart by their environment."""

    def run() -> None:
        sc.environment["DPNN_BENCH"] = name
        try:
            step()
        finally:
            del sc.environment["DPNN_BENCH"]

    return run


def measure(steps: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """{name: milliseconds a step, of each round}, after a few rounds to warm up."""
    warm = max(2, rounds // 4)
    took: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(warm + rounds):
        for name, step in steps.items():
            time.sleep(0.05)  # the turn before is over on the other core as well
            start = time.perf_counter()
            for _ in range(TURN):
                step()
            if number >= warm:
                took[name].append(1e3 * (time.perf_counter() - start) / TURN)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--sizes", type=int, nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--spark-defaults", type=Path, default=ROOT / "conf/spark-defaults.conf")
    args = parser.parse_args()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYTHONPATH", str(ROOT))
    spark = session(args.spark_defaults)
    names = ("bare", "frozen", "job", "naive")
    print(f"{'parameters':>10}" + "".join(f"{n:>9}" for n in names) + "  job/bare  job/frozen")
    try:
        for size in args.sizes:
            steps, held = contestants(spark, size)
            took = measure(steps, args.rounds)
            for each in held:
                each.close()
            figures = "".join(f"{statistics.median(took[name]):9.1f}" for name in names)
            bare, frozen = (
                statistics.median(a / b for a, b in zip(took["job"], took[name], strict=True))
                for name in ("bare", "frozen")
            )
            print(f"{size:>10}{figures}{bare:10.2f}{frozen:12.2f}", flush=True)
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
