"""Rows to arrays and back: ingest, transform and evaluate of a table beside what bounds them.

scripts/bench.sh data [--rows 2500000] [--rounds 3] [--cache FOLDER]

The table, 28 float32 columns and a label in 16 partitions `day=…`, is made once by a fixed seed and
kept in the cache folder. local[2]; the contestants take turns within a round, after one round to
warm up; medians of seconds are printed, and of the ratios of each round.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from _session import session
from threadpoolctl import threadpool_info

from dpnn import Trainer, nn
from dpnn.data.columns import choose
from dpnn.data.ingest import ingest

COLUMNS = [f"c{i:02d}" for i in range(28)]
DAYS = 16
MODEL = nn.Sequential(nn.Dense(64), nn.ReLU(), nn.Dense(2))
SHARDS = 2
BATCHES = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
    "spark.sql.execution.arrow.maxBytesPerBatch": "64m",
}
# What stands beside what.
RATIOS = [
    ("ingest from files", "pyarrow, one matrix"),
    ("ingest of Spark's rows", "mapInArrow, consuming"),
    ("ingest of Spark's rows", "ingest from files"),
    ("transform", "NumPy, predict"),
    ("evaluate", "NumPy, predict"),
    ("evaluate", "mapInArrow, consuming"),
]


def table(cache: Path, rows: int) -> str:
    """Where the table lies; made unless it is there."""
    folder = cache / f"dpnn-bench-data-{rows}"
    if folder.exists():
        return str(folder)
    rng = np.random.default_rng(0)
    making = Path(tempfile.mkdtemp(dir=cache))
    truth = rng.standard_normal(len(COLUMNS), np.float32)
    for day in range(DAYS):
        n = rows * (day + 1) // DAYS - rows * day // DAYS
        x = rng.standard_normal((n, len(COLUMNS)), np.float32)
        label = (x @ truth + rng.standard_normal(n, np.float32) > 0).astype(np.int32)
        columns = {name: x[:, i].copy() for i, name in enumerate(COLUMNS)} | {"label": label}
        place = making / f"day={day}"
        place.mkdir()
        pq.write_table(pa.table(columns), place / "part-0.parquet")
    making.rename(folder)
    return str(folder)


def contestants(path: str, spark: Any) -> dict[str, Callable[[], Any]]:
    df = spark.read.parquet(path)
    few = df.where("day = 0").limit(10_000)
    model = Trainer(MODEL, nn.SoftmaxCrossEntropy(), epochs=1, engine="local", progress=False)
    trained = model.fit(few, inputs=COLUMNS, label="label").model
    x = matrix(path)[:, : len(COLUMNS)].copy()
    chosen = df.select(*choose(df, COLUMNS, "label")[0])
    return {
        "ingest from files": lambda: read(df, "files"),
        "ingest of Spark's rows": lambda: read(df.where("abs(label) >= 0"), "spark"),
        "pyarrow, one matrix": lambda: matrix(path),
        "Spark, scan to nothing": lambda: nowhere(df.select(*COLUMNS, "label")),
        "mapInArrow, consuming": lambda: chosen.mapInArrow(counted, "n long").collect(),
        "transform": lambda: nowhere(trained.transform(df).select("prediction")),
        "evaluate": lambda: trained.evaluate(df),
        "NumPy, predict": lambda: trained.predict(x),
    }


def read(df: Any, reader: str) -> None:
    """Ingest, by the reader that its plan gets; a filter that computes is Spark's to apply."""
    with ingest(df, COLUMNS, "label", num_shards=SHARDS) as shards:
        if shards.source["reader"] != reader:
            raise RuntimeError(f"the data was read by {shards.source['reader']}, not by {reader}")


def matrix(path: str) -> np.ndarray:
    """All columns and the label, by pyarrow alone: (n, 29) float32."""
    read = pads.dataset(path, partitioning="hive").to_table([*COLUMNS, "label"])
    out = np.empty((len(read), len(COLUMNS) + 1), np.float32)
    for i, column in enumerate(read.columns):
        out[:, i] = column.to_numpy()
    return out


def nowhere(df: Any) -> None:
    df.write.format("noop").mode("overwrite").save()


def counted(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield pa.RecordBatch.from_pydict({"n": [sum(batch.num_rows for batch in batches)]})


def measure(tasks: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(1 + rounds):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if number:
                took[name].append(time.perf_counter() - start)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=int, default=2_500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()))
    args = parser.parse_args()
    path = table(args.cache, args.rows)
    kernels = {info["architecture"] for info in threadpool_info() if "architecture" in info}
    print(f"{args.rows:,} rows, local[2], BLAS kernel {', '.join(sorted(kernels))}")
    spark = session(BATCHES)
    took = measure(contestants(path, spark), args.rounds)
    spark.stop()
    for name, seconds in took.items():
        middle = statistics.median(seconds)
        print(f"  {name:<26}{middle:8.2f} s {args.rows / middle / 1e6:8.2f} million rows/s")
    for name, beside in RATIOS:
        ratio = statistics.median(a / b for a, b in zip(took[name], took[beside], strict=True))
        print(f"  {name} / {beside}: {ratio:.2f}")


if __name__ == "__main__":
    main()
