"""Rows to arrays and back: ingest, transform and evaluate of a table beside what bounds them.

scripts/bench.sh data [--rows 2500000] [--rounds 3] [--cold 1] [--mnist FOLDER] [--cache FOLDER]

The table, 28 float32 columns and a label in 16 partitions `day=…`, is made once by a fixed seed and
kept in the cache folder. local[2]. Warm: the contestants take turns within a round, after one round
to warm up; medians of seconds are printed, and of the ratios of each round. Cold: the first call in
a process of its own, the session started and the files in the page cache. Memory: of the cold
calls, and of the same calls on a quarter of the rows. FOLDER of MNIST has train/ as Parquet.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _data import OURS, Table, digits, make_model
from _memory import Peaks
from _table import BATCH, DAYS, EPOCHS, table
from _torch_table import warmed, whole
from threadpoolctl import threadpool_info

MNIST_ROWS = 60_000

# What stands beside what, and the aim: at most, or at least where it is the other's seconds.
RATIOS = [
    ("ingest from files", "pyarrow, one matrix", "<= 2"),
    ("ingest of Spark's rows", "mapInArrow, consuming", "<= 1.5"),
    ("ingest from files", "MLlib, assemble and persist", ""),
    ("MLlib, transform", "transform", ">= 2.5"),
    ("transform", "NumPy, predict", ""),
    ("evaluate", "mapInArrow, consuming", "<= 1.5"),
    ("MLlib, evaluate", "evaluate", ""),
    ("MNIST, MLlib, transform", "MNIST, transform", ">= 5"),
    ("MNIST, MLlib, transform", "MNIST, transform of vectors", ">= 5"),
    ("end to end", "torch, end to end", "< 1"),
]


def first(path: str, model: str, name: str, days: int) -> None:
    """In a process of its own: the seconds and memory of one call, as JSON on the last line."""
    task = Table(path, model, days).ours()[name]
    with Peaks() as peaks:
        start = time.perf_counter()
        task()
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, **peaks.mb}))


def in_own_process(path: str, model: str, name: str, days: int) -> dict[str, float]:
    given = [sys.executable, __file__, "--first", path, model, name, str(days)]
    done = subprocess.run(given, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def warm(path: str, model: str, mnist: str | None, rounds: int) -> dict[str, list[float]]:
    """Seconds of each task by round."""
    found = Table(path, model)
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # torch's threads stay its own
        pool.apply(warmed)
        tasks = {**found.ours(), "torch, end to end": lambda: pool.apply(whole, (path,))}
        took = measure({**tasks, **found.others()}, rounds)
    if mnist:
        took |= measure(digits(found.spark, mnist), rounds)
    found.spark.stop()
    return took


def measure(tasks: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(1 + rounds):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            seconds = time.perf_counter() - start
            took[name] += [seconds] * (number > 0)
            print(f"round {number}: {name} {seconds:.2f} s", file=sys.stderr, flush=True)
    return took


def told(took: dict[str, list[float]], rows: int) -> None:
    print(f"\nwarm, medians of {len(next(iter(took.values())))}")
    for name, seconds in took.items():
        middle = statistics.median(seconds)
        count = MNIST_ROWS if name.startswith("MNIST") else rows
        print(f"  {name:<30}{middle:8.2f} s {count / middle / 1e6:8.2f} million rows/s")
    print("\nratios of their seconds, medians of the rounds', and the aims")
    for name, beside, aim in RATIOS:
        if name in took:
            ratio = statistics.median(a / b for a, b in zip(took[name], took[beside], strict=True))
            print(f"  {f'{name} / {beside}':<54}{ratio:8.2f}   {aim}")


def cold(path: str, model: str, rounds: int) -> None:
    print(f"\ncold, medians of {rounds}; MB of memory: all rows, and a quarter of them")
    print(f"  {'':<28}{'':>12}{'driver':>16}{'a worker':>16}{'JVM':>16}")
    for name in OURS:
        found = [in_own_process(path, model, name, DAYS) for _ in range(rounds)]
        few = in_own_process(path, model, name, DAYS // 4)
        line = f"  {name:<28}{statistics.median(one['seconds'] for one in found):>10.2f} s"
        for what in ("driver", "worker", "JVM"):
            line += f"{max(one[what] for one in found):>10.0f}{few[what]:>6.0f}"
        print(line, flush=True)


def main() -> None:
    if sys.argv[1:2] == ["--first"]:
        path, model, name, days = sys.argv[2:]
        first(path, model, name, int(days))
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=int, default=2_500_000)
    parser.add_argument("--rounds", type=int, default=3, help="0: nothing warm")
    parser.add_argument("--cold", type=int, default=1, help="rounds; 0: nothing cold")
    parser.add_argument("--mnist", help="a folder with train/ as Parquet")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()))
    args = parser.parse_args()
    path = table(args.cache, args.rows)
    print(f"{args.rows:,} rows, local[2], BLAS kernel {', '.join(kernels())}; end to end: read,")
    print(f"{EPOCHS} epochs of batches of {BATCH:,}, evaluate", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        model = f"{folder}/model"
        make_model(path, model)
        if args.cold:
            cold(path, model, args.cold)
        if args.rounds:
            told(warm(path, model, args.mnist, args.rounds), args.rows)


def kernels() -> list[str]:
    found = threadpool_info()
    return sorted({info["architecture"] for info in found if "architecture" in info})


if __name__ == "__main__":
    main()
