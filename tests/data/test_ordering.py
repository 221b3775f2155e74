"""The order of a shard's rows, sorted in parts on disk."""

import zlib

import numpy as np
import pytest

from dpnn.data import files
from dpnn.data.files import Handle, ShardWriter, open_shard
from dpnn.data.ordering import sort_rows, write_order
from dpnn.data.placement import row_hashes


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


@pytest.mark.parametrize("part", [8, 200])
def test_rows_themselves_are_sorted(tmp_path, part):
    rng = np.random.default_rng(0)
    hashes = np.repeat(rng.integers(0, 2**64, 50, np.uint64), 2)[rng.permutation(100)]
    x, y = rng.standard_normal((100, 3)).astype(np.float32), np.arange(100, dtype=np.uint8)
    for name, array in {"hash": hashes, "x": x, "y": y}.items():
        array.tofile(tmp_path / name)
    paths = [tmp_path / "x", tmp_path / "y", tmp_path / "order"]
    crcs = sort_rows(tmp_path / "hash", 100, paths[:2], paths[2], part)
    due = np.argsort(hashes, kind="stable")
    assert np.array_equal(np.fromfile(paths[0], np.float32).reshape(-1, 3), x[due])
    assert np.array_equal(np.fromfile(paths[1], np.uint8), y[due])
    assert np.array_equal(np.fromfile(paths[2], np.int64), np.arange(100))
    assert crcs == [zlib.crc32(file.read_bytes()) for file in paths]


def test_a_large_shard_gives_the_rows_of_a_small_one(tmp_path, monkeypatch):
    """Sorted or not: the same rows in the same order of content, and the files are whole."""
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path))
    x, y = np.random.default_rng(0).random((64, 2), np.float32), np.arange(64, dtype=np.int32)
    layouts = {"train": (("x", "<f4", (2,)), ("y", "<i4", ()))}
    found = []
    for number, large in enumerate((1 << 30, 64)):
        monkeypatch.setattr(files, "LARGE", large)
        writer = ShardWriter("test", number)
        writer.append("train", row_hashes({"x": x, "y": y}), {"x": x, "y": y})
        made = writer.close()
        found.append(
            open_shard(Handle(number, made.path, made.host, made.pieces, layouts))["train"]
        )
    small, sorted_ = found
    assert sorted_.order.tolist() == list(range(64)) != small.order.tolist()
    assert np.array_equal(sorted_.x, small.x[small.order])
    assert np.array_equal(sorted_.y, small.y[small.order])
