"""The order of a shard's rows, sorted in parts on disk."""

import zlib

import numpy as np
import pytest

from dpnn.data.files import ShardWriter, open_shard
from dpnn.data.ordering import write_order


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 100, 1001])
@pytest.mark.parametrize("copies", [1, 5])
def test_it_is_that_of_one_sort_in_memory(tmp_path, rows, copies):
    hashes = np.random.default_rng(rows).integers(0, 2**64, rows, np.uint64)
    hashes = np.repeat(hashes, copies)[:rows]
    hashes.tofile(tmp_path / "hash")
    crc = write_order(tmp_path / "hash", rows, tmp_path / "order", part=8)
    found = np.fromfile(tmp_path / "order", np.int64)
    assert np.array_equal(found, np.argsort(hashes, kind="stable"))
    assert crc == zlib.crc32(found.tobytes())


def test_wider_values_widen_a_file(tmp_path, monkeypatch):
    """Floats come first, then numbers that only float64 holds, then floats again."""
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path))
    writer = ShardWriter("test", 0)
    parts = [np.array([0.5, 1.5], "f4"), np.array([20_000_001.0, 2.0]), np.array([3.5], "f4")]
    for i, part in enumerate(parts):
        hashes = np.arange(len(part), dtype=np.uint64) + np.uint64(10 * i)
        writer.append("train", hashes, {"x": part})
    made = writer.close()
    layouts = {"train": (("x", "<f8", ()),)}
    shard = open_shard(type(made)(0, made.path, made.host, made.pieces, layouts))["train"]
    assert shard.x.tolist() == [0.5, 1.5, 20_000_001, 2, 3.5]
    assert shard.order.tolist() == [0, 1, 2, 3, 4]
