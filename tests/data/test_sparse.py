"""Rows without their zeros: the same rows, the same shards and hashes, in less memory."""

import numpy as np
import pyarrow as pa
import pytest

from dpnn.data.arrow import Column, Part, Spec, decode
from dpnn.data.checks import ranges
from dpnn.data.files import ShardWriter, open_shard
from dpnn.data.ingest_tasks import split, write
from dpnn.data.placement import row_hashes
from dpnn.data.shards import Batches, as_split, rows_at_once
from dpnn.data.sparse import WIDE, Sparse
from dpnn.data.splits import Whole
from dpnn.data.vectors import TYPE

RNG = np.random.default_rng(7)
WIDTH = WIDE + 3


def numbers(rows, share=0.01):
    x = RNG.normal(size=(rows, WIDTH)).astype(np.float32)
    return np.where(RNG.random(x.shape) < share, x, 0).astype(np.float32)


def vectors(x, dense=()):
    """Rows as Spark's vectors in Arrow; `dense` rows with their zeros."""
    told = []
    for i, row in enumerate(x.astype(float)):
        if i in dense:
            told.append({"type": 1, "size": None, "indices": None, "values": row.tolist()})
        else:
            places = np.flatnonzero(row)
            some = {"indices": places.tolist(), "values": row[places].tolist()}
            told.append({"type": 0, "size": len(row), **some})
    return pa.array(told, TYPE)


SPEC = Spec((Part("x", (Column(("features",)),)),))


def decoded(column):
    return decode(pa.RecordBatch.from_arrays([column], names=["c0"]), SPEC)


def test_rows_are_taken_like_an_arrays():
    x = numbers(20)
    some = Sparse.of(x)
    np.testing.assert_array_equal(some.dense(), x)
    for rows in (slice(3, 9), slice(5, 5), slice(0, 20, 3), np.array([4, 4, 0]), x[:, 0] == 0):
        np.testing.assert_array_equal(some[rows].dense(), x[rows])
    assert (some.shape, some.dtype, len(some)) == (x.shape, x.dtype, 20)


@pytest.mark.parametrize("dense", [(), (0, 5), tuple(range(12))])
def test_vectors_of_either_kind_become_the_same_rows(dense):
    x = numbers(12)
    column = vectors(x, dense)
    for some, rows in ((column, x), (column.slice(3, 7), x[3:10])):
        arrays, problems = decoded(some)
        assert isinstance(arrays["x"], Sparse)
        assert not problems
        np.testing.assert_array_equal(arrays["x"].dense(), rows)
        np.testing.assert_array_equal(row_hashes(arrays), row_hashes({"x": rows}))


def test_rows_that_are_narrow_or_full_keep_their_zeros():
    narrow, full = numbers(4)[:, :8], numbers(4, share=0.5)
    for x in (narrow, full):
        np.testing.assert_array_equal(decoded(vectors(x))[0]["x"], x)


def test_what_is_wrong_with_vectors_is_told():
    x = numbers(3)
    short = vectors(x[:, :-1])
    (ragged,) = decoded(pa.concat_arrays([vectors(x), short]))[1]
    assert (ragged.kind, ragged.low, ragged.high) == ("ragged", WIDTH - 1, WIDTH)
    x[1, 4] = np.inf
    (infinite,) = decoded(vectors(x))[1]
    assert (infinite.kind, infinite.count) == ("nonfinite inside", 1)
    (null,) = decoded(pa.concat_arrays([short, pa.nulls(2, short.type)]))[1]
    assert (null.kind, null.count) == ("null", 2)


def test_large_whole_numbers_stay_whole():
    x = numbers(3).astype(float)
    x[0, 0] = 2.0**40 + 1
    arrays, _ = decoded(vectors(x))
    assert arrays["x"].dtype == np.float64
    assert arrays["x"].dense()[0, 0] == 2.0**40 + 1
    for found, due in zip(ranges(arrays)["x"], (x.min(axis=0), x.max(axis=0)), strict=True):
        np.testing.assert_allclose(found, due, rtol=1e-7)


@pytest.mark.parametrize("first", ["sparse", "dense"])
def test_a_shard_of_both_kinds_of_batches(tmp_path, monkeypatch, first):
    """Written as the first batch came; the rows are the same."""
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path))
    few, many = numbers(30), numbers(30, share=0.5)
    batches = [few, many] if first == "sparse" else [many, few]
    parts = [pa.RecordBatch.from_arrays([vectors(x)], names=["c0"]) for x in batches]
    (fact,) = write(split(parts, SPEC, Whole(), 1), SPEC, "run", 0)
    assert '"rows": 60' in fact
    (folder,) = (tmp_path / "dpnn-run").iterdir()
    names = {path.name for path in (folder / "train").iterdir()}
    assert ("places.x" in names) == (first == "sparse")
    assert ("x" in names) == (first == "dense")


def test_written_opened_and_gathered(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path))
    x = numbers(40)
    writer = ShardWriter("run", 0)
    writer.append("train", row_hashes({"x": x}), {"x": Sparse.of(x)})
    handle = writer.close()
    layouts = {"train": (("x", "<f8", (WIDTH,)),)}
    split = open_shard(type(handle)(0, handle.path, handle.host, handle.pieces, layouts))["train"]
    assert isinstance(split.x, Sparse)
    assert split.x.dtype == np.float64
    rows = np.array([3, 0, 39])
    taken, expected = (Batches(s, 0, 0).take(rows).x for s in (split, as_split({"x": x}, rows)))
    np.testing.assert_array_equal(taken, expected)


def test_passes_of_very_wide_rows_are_short():
    assert rows_at_once((784,), 1024) == 1024
    assert rows_at_once({"numbers": (50_000,), "places": (3,)}, 1024) == 335
    assert rows_at_once((1 << 30,), 1024) == 1
