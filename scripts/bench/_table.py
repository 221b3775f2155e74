"""The table of scripts/bench/data.py, and the network that it is for."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

COLUMNS = [f"c{i:02d}" for i in range(28)]
DAYS = 16
HIDDEN = 64
BATCH = 8192
EPOCHS = 5


def table(cache: Path, rows: int) -> str:
    """Where the table lies, partitions `day=…` of a fixed seed; made unless it is there."""
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


def matrix(path: str) -> np.ndarray:
    """All columns and the label, by pyarrow alone: (n, 29) float32."""
    read = pads.dataset(path, partitioning="hive").to_table([*COLUMNS, "label"])
    out = np.empty((len(read), len(COLUMNS) + 1), np.float32)
    for i, column in enumerate(read.columns):
        out[:, i] = column.to_numpy()
    return out
