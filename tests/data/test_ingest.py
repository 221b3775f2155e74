"""DataFrames to shards: the same rows as arrays give, and every kind of column."""

import numpy as np
import pytest
from pyspark.ml.linalg import Vectors
from pyspark.sql import functions as F

from dpnn.data.arrays import from_arrays
from dpnn.data.dataset import _row_shape
from dpnn.data.ingest import ingest

ROWS = 90


@pytest.fixture(scope="module")
def df(spark_session):
    """x = 0 … 89, and columns of many types made of it."""
    return spark_session.range(ROWS, numPartitions=3).selectExpr(
        "cast(id as int) as id",
        "cast(id % 10 as int) as label",
        "cast(id as double) / 7 as dbl",
        "cast(id as float) as flt",
        "cast(id as decimal(10, 2)) as dec",
        "cast(id as tinyint) as tiny",
        "id % 2 = 0 as even",
        "array(id, id + 1, id + 2) as arr",
        "array(array(id, 1), array(2, id), array(3, 4)) as nested",
        "cast(cast(id as string) as binary) as ragged_bytes",
        "unhex(lpad(hex(id), 4, '0')) as bytes",
        "cast(id as string) as str",
        "cast(id + 1 as double) as weight",
    )


def rows_of(local):
    """The training rows of each shard."""
    return [shard["train"] for shard in local.shards]


def input_shape(shards):
    return _row_shape(shards.facts["train"].layout)


def by_id(shards, name="x"):
    """All rows over all shards, sorted by their first value."""
    rows = np.concatenate([getattr(s, name) for s in rows_of(shards)])
    return rows[np.argsort(rows.reshape(len(rows), -1)[:, 0], kind="stable")]


@pytest.mark.parametrize("num_shards", [1, 3, 8])
@pytest.mark.parametrize("partitions", [1, 5])
def test_same_shards_as_arrays_of_the_same_rows(df, num_shards, partitions):
    frame = df.orderBy(F.rand(1)).repartition(partitions)
    local = np.array([[r.flt, r.dbl] for r in df.collect()], np.float64)
    ids = np.arange(ROWS, dtype=np.int32)
    expected = from_arrays(local, ids % 10, ids + 1.0, num_shards=num_shards)
    with ingest(frame, ["flt", "dbl"], "label", "weight", num_shards) as shards:
        assert sum(shards.facts["train"].rows) == ROWS
        assert input_shape(shards) == (2,)
        assert shards.facts["train"].labels == (0, 9, None)
        found = rows_of(shards.fetch())
    assert len(found) == num_shards
    for a, b in zip(expected, found, strict=True):
        for name in ("x", "y", "w"):
            left, right = getattr(a, name)[a.order], getattr(b, name)[b.order]
            assert left.dtype == right.dtype
            np.testing.assert_array_equal(left, right)


IDS = np.arange(ROWS)


@pytest.mark.parametrize(
    ("inputs", "dtype", "expected"),
    [
        ("flt", "float32", IDS),
        (["flt"], "float32", IDS[:, None]),
        ("dec", "float32", IDS),
        ("tiny", "int8", IDS),
        (["id", "tiny"], "int32", np.stack([IDS, IDS], 1)),
        (["id", "flt", "even"], "float32", np.stack([IDS, IDS, IDS % 2 == 0], 1)),
        ("arr", "int64", IDS[:, None] + [0, 1, 2]),
        (["tiny", "arr"], "int64", IDS[:, None] + [0, 0, 1, 2]),
        (["flt", "arr"], "float32", IDS[:, None] + [0, 0, 1, 2]),
        ("bytes", "uint8", np.stack([0 * IDS, IDS], 1)),
        (["id", "bytes"], "int32", np.stack([IDS, 0 * IDS, IDS], 1)),
    ],
)
def test_columns(df, inputs, dtype, expected):
    with ingest(df, inputs, "label", num_shards=2) as shards:
        found = by_id(shards.fetch())
        assert input_shape(shards) == expected.shape[1:]
    assert found.dtype == dtype
    order = np.lexsort(found.reshape(ROWS, -1).T[::-1])
    np.testing.assert_array_equal(found[order], expected.astype(dtype))


def test_nested_arrays_keep_their_shape(df):
    with ingest(df, "nested", num_shards=2) as shards:
        assert input_shape(shards) == (3, 2)
        assert shards.facts["train"].labels is None
        found = by_id(shards.fetch())
    np.testing.assert_array_equal(found[7], [[7, 1], [2, 7], [3, 4]])


def test_vectors_dense_and_sparse(spark_session):
    rows = [
        (
            Vectors.dense([float(i), 2.0, 0.0])
            if i % 2
            else Vectors.sparse(3, {0: float(i), 1: 2.0}),
        )
        for i in range(10)
    ]
    frame = spark_session.createDataFrame(rows, ["features"])
    with ingest(frame, "features", num_shards=2) as shards:
        found = by_id(shards.fetch())
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[i, 2, 0] for i in range(10)])


def test_several_inputs_by_name(df):
    inputs = {"num": ["dbl", "flt"], "id": "id"}
    with ingest(df, inputs, "label", num_shards=3) as shards:
        assert input_shape(shards) == {"num": (2,), "id": ()}
        (s, *_) = rows_of(shards.fetch())
    np.testing.assert_array_equal(s.x["num"][:, 1], s.x["id"])
    np.testing.assert_array_equal(s.y, s.x["id"] % 10)


@pytest.mark.parametrize("pieces", [2, 3])
def test_large_variable_width_types(df, pieces):
    """Spark may be told to use 64-bit offsets in Arrow: not a row may be lost."""
    conf = df.sparkSession.conf
    with ingest(df.repartition(pieces), ["id", "tiny"], "label", num_shards=2) as shards:
        expected = [shard.x[shard.order].tolist() for shard in rows_of(shards.fetch())]
    conf.set("spark.sql.execution.arrow.useLargeVarTypes", "true")
    try:
        with ingest(df.repartition(pieces), ["id", "tiny"], "label", num_shards=2) as shards:
            assert sum(shards.facts["train"].rows) == ROWS
            assert [shard.x[shard.order].tolist() for shard in rows_of(shards.fetch())] == expected
    finally:
        conf.unset("spark.sql.execution.arrow.useLargeVarTypes")


def test_input_names_that_no_file_could_have(df):
    with ingest(df, {"a/b": ["id"], "..": ["tiny"], "A/b": ["flt"]}, "label", None, 2) as shards:
        assert input_shape(shards) == {"a/b": (1,), "..": (1,), "A/b": (1,)}
        found = np.concatenate([shard.x["a/b"] for shard in rows_of(shards.fetch())])
    assert sorted(found[:, 0]) == list(range(ROWS))


def test_handles_lie_in_shard_order_empty_ones_too(df):
    with ingest(df.limit(2), "flt", "label", num_shards=6) as shards:
        assert [h.shard for h in shards.handles] == list(range(6))
        assert sum(h.rows for h in shards.handles) == 2
        found = shards.map(lambda handles: ((h.shard, h.rows) for h in handles))
        assert found == [(h.shard, h.rows) for h in shards.handles]
        assert all(s.x.dtype == np.float32 for s in rows_of(shards.fetch()))


def test_default_is_one_shard_a_slot(df):
    with ingest(df, "flt", "label") as shards:
        assert shards.num_shards == 2


def test_shards_are_read_only_and_outlive_close(df):
    with ingest(df, "arr", "label", num_shards=1) as shards:
        (s,) = rows_of(shards.fetch())
        with pytest.raises(ValueError, match="read-only"):
            s.x[0] = 1
    assert s.x.sum() == 3 * IDS.sum() + 3 * ROWS


def test_shards_of_other_hosts_are_brought_to_the_driver(df, monkeypatch):
    inputs = {"num": ["dbl", "flt"], "id": "id"}
    with ingest(df, inputs, "label", "weight", num_shards=3) as shards:
        mapped = rows_of(shards.fetch())
        monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
        brought = rows_of(shards.fetch())
    for a, b in zip(mapped, brought, strict=True):
        assert a.x.keys() == b.x.keys()
        np.testing.assert_array_equal(a.x["num"], b.x["num"])
        for name in ("y", "w", "order"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
