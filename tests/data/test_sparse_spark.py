"""Sparse vectors of a DataFrame: kept without their zeros, and the same bits as with them."""

import numpy as np
import pytest
from pyspark.ml.functions import vector_to_array
from pyspark.ml.linalg import Vectors

from dpnn import Dataset, Trainer, nn
from dpnn.data.sparse import WIDE, Sparse
from dpnn.ml import NeuralNetworkClassifier, NeuralNetworkRegressor

WIDTH, ROWS = WIDE + 1, 300


@pytest.fixture(scope="module")
def frames(spark_session):
    """The same rows as sparse vectors, and as arrays."""
    rng = np.random.default_rng(2)
    rows = []
    for i in range(ROWS):
        places = sorted(rng.choice(WIDTH, 5, replace=False).tolist())
        vector = Vectors.sparse(WIDTH, places, rng.integers(1, 9, 5).astype(float).tolist())
        y = int(vector[places[0]] > vector[places[1]])
        vector = Vectors.dense(vector.toArray()) if i % 50 == 0 else vector
        rows.append((vector, y, i % 5 == 0))
    frame = spark_session.createDataFrame(rows, ["features", "label", "held"]).coalesce(2)
    return frame.withColumn("array", vector_to_array("features")).cache()


def fitted(frame, column, engine):
    model = nn.Sequential(nn.Dense(4), nn.ReLU(), nn.Dense(2))
    settings = {"epochs": 2, "batch_size": 50, "engine": engine, "progress": False}
    trainer = Trainer(model, nn.SoftmaxCrossEntropy(), **settings)
    return trainer.fit(frame, column, "label", validation="held", num_shards=2)


def test_shards_have_no_zeros(frames):
    with Dataset(frames, "features", "label", validation="held", num_shards=2) as data:
        shards = data.local().shards
        assert data.input_shape == (WIDTH,)
    xs = [split.x for shard in shards for split in shard.values()]
    assert all(isinstance(x, Sparse) for x in xs)
    assert sum(len(x.values) for x in xs) == 5 * ROWS


@pytest.mark.parametrize("engine", ["local", "job", "resident", "frames"])
def test_the_same_bits_as_with_zeros(frames, engine):
    sparse, dense = fitted(frames, "features", engine), fitted(frames, "array", "local")
    np.testing.assert_array_equal(sparse.model.weights, dense.model.weights)
    assert sparse.history["val_loss"] == dense.history["val_loss"]
    if engine != "local":
        return
    a, b = (r.model.transform(frames).select("probability").collect() for r in (sparse, dense))
    assert a == b
    assert sparse.model.evaluate(frames) == dense.model.evaluate(frames)
    table = frames.select("features").toPandas()
    np.testing.assert_array_equal(
        sparse.model.predict_probability(table), [row.probability for row in a]
    )


def test_estimators_take_wide_sparse_features_as_they_are(frames):
    classifier = NeuralNetworkClassifier(maxIter=3, batchSize=50, numShards=2, engine="local")
    model = classifier.fit(frames.drop("array", "held"))
    assert (model.numFeatures, model.numClasses) == (WIDTH, 2)
    scored = model.transform(
        frames.withColumnRenamed("features", "x").drop("label"), {model.featuresCol: "x"}
    )
    row = scored.first()
    assert row.prediction == model.predict(row.x)
    assert model.evaluate(frames)["accuracy"] > 0.5
    regressor = NeuralNetworkRegressor(maxIter=2, batchSize=50, numShards=2, engine="local")
    far = frames.selectExpr("features", "1000 + 10 * label as label")
    assert regressor.fit(far).evaluate(far)["rmse"] < 20
