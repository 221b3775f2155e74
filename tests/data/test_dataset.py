"""Dataset: one read, named splits, any number of fits; the same rows from arrays and DataFrames."""

import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from dpnn import Dataset, Trainer, nn
from dpnn.data.checks import DataError

RNG = np.random.default_rng(7)
X = RNG.standard_normal((300, 3)).astype(np.float32)
Y = (X.sum(axis=1) > 0).astype(np.int32)
MODEL = nn.Sequential(nn.Dense(4), nn.ReLU(), nn.Dense(2))


@pytest.fixture(scope="module")
def df(spark_session):
    table = pa.table({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": Y, "held": X[:, 0] > 1})
    return spark_session.createDataFrame(table).repartition(3)


def fit(data, model=MODEL, engine="auto", **told):
    trainer = Trainer(model, nn.SoftmaxCrossEntropy(), epochs=1, progress=False, engine=engine)
    return trainer.fit(data, **told)


def inputs_of(data, split):
    """All rows of a split, in an order of their own."""
    rows = np.concatenate([shard[split].x for shard in data.local().shards])
    return rows[np.lexsort(rows.T)]


def test_ten_fits_of_one_read(df, job_listing):
    sc = df.sparkSession.sparkContext
    sc.setJobGroup("ten", "one dataset")
    try:
        with Dataset(df, ["a", "b", "c"], "y", validation="held", num_shards=2) as data:
            before = job_listing().getJobIdsForGroup("ten")
            weights = [
                fit(data, nn.Sequential(nn.Dense(n), nn.Dense(2)), "local").model.weights.size
                for n in range(1, 11)
            ]
            after = job_listing().getJobIdsForGroup("ten")
    finally:
        sc.setLocalProperty("spark.jobGroup.id", None)
    assert len(set(weights)) == 10
    assert before == after
    assert len(before) <= 3  # of one read


@pytest.mark.connect
def test_facts(df, capsys):
    with Dataset(df, ["a", "b", "c"], "y", validation="held", num_shards=2) as data:
        held = int((X[:, 0] > 1).sum())
        assert data.rows == {"train": 300 - held, "validation": held}
        assert sum(data.rows_of_shards) == 300 - held
        assert (data.num_shards, data.input_shape) == (2, (3,))
        assert data.has("validation")
        assert data.source["rows"] == 300 - held
        assert data.labels("train") == (0, 1, None)
        assert repr(data) == f"Dataset({300 - held} train, {held} validation rows in 2 shards)"
        paths = [Path(handle.path) for handle in data.spark().handles]
        assert all(path.stat().st_mode & 0o77 == 0 for one in paths for path in (one, one.parent))
    assert not any(path.exists() for path in paths)
    told = capsys.readouterr().err
    assert "dpnn: 300 rows, 0.0 MB, read into 2 shards in " in told
    assert told.endswith(" s, through Spark\n")
    assert told.count("\n") == 1
    Dataset(df, ["a"], "y", num_shards=1, progress=False).close()
    assert capsys.readouterr().err == ""


@pytest.mark.connect
def test_a_share_of_the_rows_is_the_same_on_any_cluster(df):
    """By content: whatever the partitions and the shards, as arrays, tables and DataFrames."""
    names, y = ["a", "b", "c"], "y"
    frame = pd.DataFrame(X, columns=names).assign(y=Y)
    with (
        Dataset((X, Y), validation=0.3, num_shards=3) as arrays,
        Dataset((X[::-1], Y[::-1]), validation=0.3, num_shards=1) as reversed_rows,
        Dataset(frame, names, y, validation=0.3, num_shards=3) as pandas,
        Dataset(pa.Table.from_pandas(frame), names, y, validation=0.3, num_shards=3) as arrow,
        Dataset(df.repartition(5), names, y, validation=0.3, num_shards=3) as spark,
    ):
        assert 60 < arrays.rows["validation"] < 120
        for other in (reversed_rows, pandas, arrow, spark):
            for split in ("train", "validation"):
                assert np.array_equal(inputs_of(arrays, split), inputs_of(other, split))
            assert arrays.checksum == other.checksum
        weights = fit(arrays).model.weights
        assert all(np.array_equal(fit(d, engine="local").model.weights, weights)
                   for d in (pandas, arrow, spark))  # fmt: skip
        assert fit(pandas).model.columns.label == "y"


@pytest.mark.connect
def test_all_ways_to_say_validation_are_one(df):
    names, held = ["a", "b", "c"], X[:, 0] > 1
    frame = pd.DataFrame(X, columns=names).assign(y=Y, held=held, text=held.astype(str))
    told = {"inputs": names, "label": "y", "num_shards": 2}
    with (
        Dataset(df, **told, validation="held") as one,
        Dataset(df.where("not held"), **told, validation=df.where("held")) as two,
        Dataset(frame, **told, validation="held") as three,
        Dataset(frame, **told, validation="text") as four,
        Dataset(frame[~held], **told, validation=frame[held]) as five,
        Dataset((X[~held], Y[~held]), validation=(X[held], Y[held]), num_shards=2) as six,
    ):
        for other in (two, three, four, five, six):
            assert other.checksum == one.checksum
            for split in ("train", "validation"):
                assert np.array_equal(inputs_of(other, split), inputs_of(one, split))


@pytest.mark.classic("it looks for files of Spark's shuffles, which only a classic session deletes")
def test_two_frames_are_one_shuffle_and_may_differ_in_type(df, spark_session):
    other = df.where("held").select(
        *(F.col(n).cast("double") for n in "abc"), F.col("y").cast("long")
    )
    began = time.time()
    with Dataset(df, ["a", "b", "c"], "y", validation=other, num_shards=2) as data:
        shard = data.local().shards[0]
        assert shard["train"].y.dtype == np.int32
        assert shard["validation"].y.dtype == np.int64
        root = Path(data.spark().handles[0].path).parents[1]

    def left():
        files = list(root.glob("*/shuffle_*"))
        with suppress(FileNotFoundError):  # gone just now
            return any(file.stat().st_mtime > began for file in files)
        return True

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not left():
            break
        time.sleep(0.1)
    else:
        pytest.fail("shuffle files are left")


BIG = 20_000_001
WHOLE = np.array([BIG, BIG + 1, BIG + 2, 5, 7] * 20, np.float64)


@pytest.mark.parametrize("kind", ["double", "decimal(12,0)", "decimal(38,10)", "bigint"])
@pytest.mark.parametrize("beside", [None, "half"])
def test_whole_numbers_stay_whole(spark_session, kind, beside):
    """float32 would make one of 20,000,001 and 20,000,000; other values are rounded as ever."""
    half = np.linspace(0.1, 0.9, 100)
    table = pa.table({"id": WHOLE, "half": half, "y": np.arange(100)})
    frame = spark_session.createDataFrame(table).withColumn("id", F.col("id").cast(kind))
    names = ["id", beside] if beside else ["id"]
    columns = {"id": WHOLE, "half": half}
    x = np.stack([columns[n] for n in names], 1)
    with (
        Dataset(frame, names, "y", num_shards=2, validation=0.3) as spark,
        Dataset((x, table["y"].to_numpy()), num_shards=2, validation=0.3) as arrays,
    ):
        found = np.concatenate([inputs_of(spark, s) for s in ("train", "validation")])
        assert sorted(found[:, 0].tolist()) == sorted(WHOLE.tolist())
        if beside:
            assert set(found[:, 1]) == set(half.astype(np.float32).astype(float))
        if kind in ("double", "decimal(38,10)") or beside:
            assert found.dtype == np.float64
            for split in ("train", "validation"):
                assert np.array_equal(inputs_of(spark, split), inputs_of(arrays, split))


def test_numbers_that_float32_cannot_tell_apart_are_told_apart_by_a_model():
    ids = np.array([[2.0**24], [2.0**24 + 1]] * 50)
    y = (ids[:, 0] % 2).astype(np.int32)
    model = nn.Sequential(nn.Normalization(), nn.Dense(2))
    trainer = Trainer(model, nn.SoftmaxCrossEntropy(), nn.Adam(0.1), epochs=30, progress=False)
    result = trainer.fit((ids, y), num_shards=2)
    assert result.history["accuracy"][-1] == 1
    assert (result.model.predict(ids).argmax(axis=1) == y).all()


def test_what_does_not_fit_hears_why(df):
    for told, words in (
        ({"label": F.col("y")}, "label must name a column, got .*: say label='…'"),
        ({"label": "y", "validation": 1.5}, "validation=1.5: a share of the rows is between 0"),
        ({"label": "y", "validation": 7}, "validation=7: a share"),
        ({"label": "y", "validation": (X, Y)}, "validation must be a DataFrame like the data"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            Dataset(df, ["a"], **told)
    with pytest.raises(DataError, match="validation: validation=1e-09 leaves it no rows"):
        Dataset((X, Y), validation=1e-9)
    with pytest.raises(TypeError, match="a Dataset knows its columns"), Dataset((X, Y)) as data:
        fit(data, num_shards=3)
    frame = pd.DataFrame({"a": X[:, 0], "y": Y})
    with pytest.raises(ValueError, match="no column 'b' in the data"):
        Dataset(frame, ["b"], "y")
    with pytest.raises(ValueError, match="needs inputs=… and label=…"):
        Dataset(frame)
