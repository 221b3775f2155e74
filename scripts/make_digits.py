"""Write the digits data set of the package from scikit-learn's copy: needed to make it anew only.

1,797 images of 8x8 pixels, split for good into 1,437 training and 360 test rows, each class in
the same proportion, by a fixed seed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

OUT = Path(__file__).resolve().parents[1] / "dpnn" / "datasets" / "digits"
SEED = 0
TEST_ROWS = 360
PARTS = {"train": 4, "test": 2}


def split(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Row numbers by part; stratified: every k-th row of each class, shuffled, is a test row."""
    rng = np.random.Generator(np.random.PCG64(SEED))
    order = rng.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    ticks = np.arange(len(labels)) * TEST_ROWS // len(labels)
    held = np.diff(ticks, prepend=-1) > 0
    return {"train": rng.permutation(by_class[~held]), "test": rng.permutation(by_class[held])}


def main() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels, labels = digits.data.astype(np.int16), digits.target.astype(np.int32)
    for name, rows in split(labels).items():
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        for part, some in enumerate(np.array_split(rows, PARTS[name])):
            offsets = np.arange(len(some) + 1, dtype=np.int32) * 64
            lists = pa.ListArray.from_arrays(offsets, pa.array(pixels[some].reshape(-1)))
            table = pa.table({"pixels": lists, "label": pa.array(labels[some])})
            pq.write_table(table, folder / f"part-{part:05d}.parquet", compression="zstd")
        print(f"{folder}: {len(rows)} rows in {PARTS[name]} files")


if __name__ == "__main__":
    main()
