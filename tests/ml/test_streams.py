"""Models with raw columns on streams: the same scores as on the same rows at rest."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpnn.ml import NeuralNetworkClassifier

ROWS = 200
RNG = np.random.default_rng(5)
P = RNG.normal(size=ROWS)
TABLE = pa.table(
    {
        "key": np.arange(ROWS),
        "p": pa.array(P, mask=RNG.random(ROWS) < 0.1),
        "job": pa.array(RNG.choice(["a", "b"], ROWS), mask=RNG.random(ROWS) < 0.1),
        "day": [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(ROWS)],
        "word": np.where(P > 0, "yes", "no"),
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two files: two micro batches."""
    folder = tmp_path_factory.mktemp("stream")
    for i in range(2):
        pq.write_table(TABLE.slice(i * ROWS // 2, ROWS // 2), folder / f"{i}.parquet")
    return str(folder)


@pytest.fixture(scope="module")
def model(spark_session, folder):
    classifier = NeuralNetworkClassifier(labelCol="word", engine="local", numShards=1)
    classifier.setNumericCols(["p"]).setCategoricalCols(["job"]).setDateCols(["day"])
    classifier.setLayers([4]).setMaxIter(2)
    return classifier.fit(spark_session.read.parquet(folder))


@pytest.fixture(scope="module")
def expected(spark_session, folder, model):
    return sorted(model.transform(spark_session.read.parquet(folder)).collect())


@pytest.fixture
def stream(spark_session, folder):
    frame = spark_session.read.parquet(folder)
    return spark_session.readStream.schema(frame.schema).parquet(folder)


def finished(writer, checkpoint):
    query = writer.option("checkpointLocation", checkpoint).trigger(availableNow=True).start()
    assert query.awaitTermination(60)


def test_transform_of_a_stream(spark_session, stream, model, expected, tmp_path):
    made = model.transform(stream)
    assert made.isStreaming
    writer = made.writeStream.format("memory").queryName("scored")
    query = writer.trigger(availableNow=True).start()
    assert query.awaitTermination(60)
    found = spark_session.table("scored")
    assert found.columns[-3:] == ["rawPrediction", "probability", "prediction"]
    assert sorted(found.collect()) == expected


def test_in_for_each_batch(spark_session, stream, model, expected, tmp_path):
    scores, figures = str(tmp_path / "scores"), str(tmp_path / "figures")

    def score(batch, number):  # over Spark Connect in a process of the server's
        model.transform(batch).write.mode("append").parquet(scores)
        rows = model.evaluate(batch)["rows"]
        batch.sparkSession.range(rows, rows + 1).write.mode("append").parquet(figures)

    limited = stream.repartition(2)
    finished(limited.writeStream.foreachBatch(score), str(tmp_path / "checkpoint"))
    assert sorted(spark_session.read.parquet(scores).collect()) == expected
    assert sum(row.id for row in spark_session.read.parquet(figures).collect()) == ROWS
