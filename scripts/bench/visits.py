"""The order of an epoch of shards larger than memory: what a disk gives, and what a loss says.

scripts/bench.sh visits [FOLDER] [--mb 2048] [--seconds 10] [--cache FOLDER]

First a shard in a file, in rows of 112 bytes, none of it in memory: the rows in their order, in
runs, and one by one as small shards are visited; each for so many seconds or one epoch. FOLDER of
MNIST has train/ and test/ as Parquet; with it, the loss on the test rows after each epoch of rows
visited one by one, and of runs of a thousandth of a shard: the means of three seeds, by how much
these differ in the end, and the accuracy then.
"""

from __future__ import annotations

import argparse
import mmap
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from dpnn import Trainer, nn
from dpnn.data import visits
from dpnn.data.shards import Batches, as_split

COLUMNS = 28
BATCH = 8192
ALL = 1 << 60  # bytes: more than any shard has, so that it is visited row by row
WAYS = {"rows in their order": None, "runs": 1, "single rows": ALL}
ROWS, EPOCHS, SEEDS = 20_000, 5, 3
MIXED = {"row by row": 0, "in runs, 64 mixed": 64, "in runs, 4 mixed": 4}


def written(path: Path, megabytes: int) -> int:
    """Fills the file; its rows."""
    rows = (megabytes << 20) // (4 * COLUMNS)
    block = np.random.default_rng(0).standard_normal((rows // 16, COLUMNS), np.float32)
    with path.open("wb") as file:
        for _ in range(16):
            block.tofile(file)
        file.flush()
        os.fsync(file.fileno())
    return rows // 16 * 16


def dropped(path: Path) -> None:
    """Leaves none of the file in memory."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def batches(path: Path, rows: int, large: int | None) -> Iterator[int]:
    """Gathers a batch at a time; the bytes of each.

    Of single rows memory forgets a batch at once: of a file that it cannot hold it would know too
    little to matter.
    """
    x = np.memmap(path, np.float32, "r", shape=(rows, COLUMNS))
    split = as_split({"x": x}, np.arange(rows))
    visited, steps = Batches(split, 0, 0), rows // BATCH
    visits.LARGE = large or visits.LARGE
    for step in range(steps):
        some = slice(step * rows // steps, (step + 1) * rows // steps)
        places = split.order[some] if large is None else visited.rows(0, step, steps)
        visited.take(places)
        if large == ALL:
            x._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
            dropped(path)
        yield len(places) * 4 * COLUMNS


def read(folder: Path, megabytes: int, seconds: float) -> None:
    path = folder / "dpnn-bench-visits"
    rows = written(path, megabytes)
    whole = rows * 4 * COLUMNS
    print(f"a shard of {whole / 1e9:.1f} GB, none of it in memory")
    for name, large in WAYS.items():
        dropped(path)
        size, start = 0, time.perf_counter()
        for more in batches(path, rows, large):
            size += more
            took = time.perf_counter() - start
            if took > seconds:
                break
        rate, epoch = size / took / 1e6, whole * took / size
        print(f"  {name:<22}{rate:8.1f} MB of rows/s, an epoch in {epoch:6.0f} s", flush=True)
    path.unlink()


def learn(folder: Path) -> None:
    """MNIST, 784-128-10, Adam 1e-3, batch 512, two shards."""
    x, y = digits(folder / "train")
    x, y, held = x[:ROWS], y[:ROWS], digits(folder / "test")
    layers = nn.Rescale(1 / 255), nn.Dense(128), nn.ReLU(), nn.Dense(10)
    print(f"\nMNIST, {ROWS:,} rows, the loss on the test rows after each epoch")
    epochs = "".join(f"{epoch + 1:8}" for epoch in range(EPOCHS))
    print(f"  {'':<20}{epochs}{'of seeds':>9}{'accuracy':>11}")
    row_bytes = x[0].nbytes + y[0].nbytes
    visits.RUN = ROWS // 2 // 1000 * row_bytes
    for name, mixed in MIXED.items():
        visits.LARGE, visits.MIXED = (1, mixed) if mixed else (ALL, visits.MIXED)
        losses, right = [], []
        for seed in range(SEEDS):
            trainer = Trainer(
                nn.Sequential(*layers),
                nn.SoftmaxCrossEntropy(),
                nn.Adam(1e-3),
                batch_size=512,
                epochs=EPOCHS,
                seed=seed,
                engine="local",
                progress=False,
            )
            found = trainer.fit((x, y), validation=held, num_shards=2).history
            losses.append(found["val_loss"])
            right.append(found["val_accuracy"][-1])
        middle = "".join(f"{loss:8.3f}" for loss in np.mean(losses, axis=0))
        spread = np.ptp(losses, axis=0)[-1]
        print(f"  {name:<20}{middle}{spread:9.3f}{np.mean(right):11.3f}", flush=True)


def digits(path: Path) -> tuple[np.ndarray, np.ndarray]:
    table = pq.read_table(path)
    pixels = table["pixels"].combine_chunks().flatten().to_numpy()
    return pixels.reshape(len(table), -1).astype(np.uint8), table["label"].to_numpy()


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="MNIST")
    parser.add_argument("--mb", type=int, default=2048)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()))
    given = parser.parse_args()
    read(given.cache, given.mb, given.seconds)
    if given.folder:
        learn(given.folder)


if __name__ == "__main__":
    main()
