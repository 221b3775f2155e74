"""Raw columns from a table to a trained model's scores: the same bits on every way."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

import dpnn
from dpnn import Dataset, Trainer, nn
from dpnn.data.checks import DataError

RNG = np.random.default_rng(0)
ROWS = 600
COLUMNS = {
    "age": pa.array(RNG.integers(17, 90, ROWS)),
    "pay": pa.array(RNG.lognormal(3, 1, ROWS), mask=RNG.random(ROWS) < 0.2),
    "job": pa.array(RNG.choice(["a", "b", "c"], ROWS), mask=RNG.random(ROWS) < 0.1),
    "city": pa.array(RNG.integers(0, 200, ROWS)),
    "member": pa.array(RNG.random(ROWS) < 0.5),
    "joined": pa.array([dt.date(2020, 1, 1) + dt.timedelta(days=i % 700) for i in range(ROWS)]),
    "seen": pa.array(
        [dt.datetime(2021, 1, 1) + dt.timedelta(minutes=977 * i) for i in range(ROWS)],
        pa.timestamp("us"),
    ),
    "held": pa.array(RNG.random(ROWS) < 0.2),
    "y": pa.array(np.where(RNG.random(ROWS) < 0.4, "yes", "no")),
}
TABLE = pa.table(COLUMNS)
WISHES = dpnn.columns(
    numeric=["age", dpnn.Number("pay", "quantile")],
    categorical=["job", dpnn.Category("city", most=50), "member"],
    date=["joined", "seen"],
)
MODEL = nn.Sequential(
    nn.Concatenate(
        nn.Sequential(nn.Input("numbers"), nn.Dense(8)),
        nn.Sequential(nn.Input("categories"), nn.Embedding(60, 2), nn.Flatten()),
    ),
    nn.ReLU(),
    nn.Dense(2),
)


def trainer(engine):
    loss = nn.SoftmaxCrossEntropy()
    return Trainer(MODEL, loss, epochs=2, batch_size=64, engine=engine, progress=False)


@pytest.fixture(scope="module")
def frame(spark_session):
    return spark_session.createDataFrame(TABLE).repartition(3)


@pytest.fixture(scope="module")
def here():
    with Dataset(TABLE, WISHES, "y", validation="held", num_shards=2) as data:
        return data, trainer("local").fit(data)


def test_a_table_and_a_frame_make_the_same_shards_and_encoders(frame, here):
    data, _ = here
    with Dataset(frame, WISHES, "y", validation="held", num_shards=2) as spark:
        assert spark.encoders == data.encoders
        assert spark.encoders.classes == ("no", "yes")
        assert spark.checksum == data.checksum
        for theirs, ours in zip(spark.local().shards, data.local().shards, strict=True):
            for split in ("train", "validation"):
                a, b = theirs[split], ours[split]
                for name, array in a.arrays.items():
                    np.testing.assert_array_equal(array[a.order], b.arrays[name][b.order])


@pytest.mark.parametrize("engine", ["job", "resident", "frames"])
def test_the_same_bits_on_every_engine(frame, here, engine):
    with Dataset(frame, WISHES, "y", validation="held", num_shards=2) as data:
        result = trainer(engine).fit(data)
    np.testing.assert_array_equal(result.model.weights, here[1].model.weights)


def test_a_table_has_the_same_bits_on_an_engine_of_spark(engines, here):
    with Dataset(TABLE, WISHES, "y", validation="held", num_shards=2) as data:
        result = trainer(engines[0]).fit(data)
    np.testing.assert_array_equal(result.model.weights, here[1].model.weights)


def test_the_same_score_on_every_way(frame, here, tmp_path):
    strange = TABLE.set_column(2, "job", pa.array(["never seen", None] * (ROWS // 2)))
    model = here[1].model
    model.save(tmp_path / "m.safetensors")
    again = dpnn.load(tmp_path / "m.safetensors")
    assert again.columns == model.columns
    expected = model.predict(strange)
    np.testing.assert_array_equal(again.predict(strange), expected)
    np.testing.assert_array_equal(again.predict(strange.to_pandas()), expected)
    spark = frame.sparkSession.createDataFrame(strange).coalesce(1)
    rows = again.transform(spark, outputs={"raw": "raw"}).select("raw").collect()
    np.testing.assert_array_equal(np.array([row.raw for row in rows], np.float32), expected)
    assert again.evaluate(spark)["accuracy"] == model.evaluate(strange)["accuracy"]


def test_nothing_named_is_by_type(frame):
    for data in (TABLE, frame):
        with Dataset(data, dpnn.columns(), "y", validation="held", num_shards=2) as made:
            wishes = made.encoders.wishes
        assert [w.name for w in wishes.numbers] == ["age", "pay", "city"]
        assert [w.name for w in wishes.categories] == ["job", "member"]
        assert [w.name for w in wishes.dates] == ["joined", "seen"]


def test_what_the_frame_cannot_be_is_told_before_any_job(frame):
    with pytest.raises(ValueError, match="column 'job' is string, not numbers"):
        Dataset(frame, dpnn.columns(numeric=["job"]), "y")
    with pytest.raises(ValueError, match="column 'age' is bigint, not a date"):
        Dataset(frame, dpnn.columns(date=["age"]), "y")
    with pytest.raises(ValueError, match=r"no column 'agee'.*'age'"):
        Dataset(frame, dpnn.columns(numeric=["agee"]), "y")


def test_a_label_that_training_has_not_is_named(here):
    other = TABLE.set_column(8, "y", pa.array(["maybe"] * ROWS))
    with pytest.raises(DataError, match="600 values that are none of the model's classes: no, yes"):
        here[1].model.evaluate(other)


def test_encoded_shards_are_made_again(frame, here, engines):
    """Their files are lost, and those of the raw shards beneath them, too."""
    import shutil
    from pathlib import Path

    with Dataset(frame, WISHES, "y", validation="held", num_shards=2) as data:
        shards = data.spark()
        for handle in (*shards.handles, *shards._beneath.handles):
            shutil.rmtree(Path(handle.path))
        result = trainer(engines[0]).fit(data)
    np.testing.assert_array_equal(result.model.weights, here[1].model.weights)
