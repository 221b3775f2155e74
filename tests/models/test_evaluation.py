"""Evaluation: the same figures to the last bit on any cluster, in any order, of any table."""

import numpy as np
import pyarrow as pa
import pytest

from dpnn import TrainedModel, nn
from dpnn.data.roles import Columns
from dpnn.models.evaluation import Tally

ROWS = 3001
RNG = np.random.default_rng(3)
X = RNG.standard_normal((ROWS, 4)) * RNG.gamma(1, 2, (ROWS, 1))
TABLE = pa.table(
    {
        "x": pa.array(X.tolist()),
        "classes": RNG.integers(0, 3, ROWS),
        "binary": RNG.random(ROWS) < 0.3,
        "values": np.exp(X[:, 0]),
        "outputs": pa.array((X[:, :2] ** 3).tolist()),
        "w": RNG.gamma(0.3, 1, ROWS),
    }
)
KINDS = {
    "classes": (nn.SoftmaxCrossEntropy(class_weights=(1.0, 0.3, 7.0)), 3),
    "binary": (nn.BinaryCrossEntropy(), 1),
    "values": (nn.Poisson(), 1),
    "outputs": (nn.Huber(), 2),
}


def model_of(kind):
    loss, units = KINDS[kind]
    network = nn.Sequential(nn.Dense(16), nn.Tanh(), nn.Dense(units)).build((4,), seed=2)
    return TrainedModel(network, loss, Columns("x", kind))


@pytest.fixture(scope="module")
def frame(spark_session):
    return spark_session.createDataFrame(TABLE).cache()


@pytest.mark.connect
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weight", [None, "w"])
def test_however_a_frame_is_partitioned(frame, kind, weight):
    model = model_of(kind)
    expected = model.evaluate(TABLE, weight=weight)
    assert model.evaluate(TABLE.to_pandas(), weight=weight) == expected
    assert model.evaluate(frame.coalesce(1), weight=weight) == expected
    assert model.evaluate(frame.orderBy("w").repartition(7), weight=weight) == expected
    if kind == "binary":
        threshold = model.best_threshold(TABLE, "f1", weight=weight)
        assert model.best_threshold(frame.repartition(5), "f1", weight=weight) == threshold


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [1, 37, 1000])
def test_whatever_the_order_and_the_batches(kind, batch):
    """Also of rows that weigh nothing."""
    model, order = model_of(kind), RNG.permutation(ROWS)
    y = np.array(TABLE[kind].to_pylist())
    w = np.array(TABLE["w"]) * (RNG.random(ROWS) < 0.9)
    expected = model.evaluate((X, y, w))
    tally = Tally(model._scorer())
    tally.rows = batch
    x, y = X[order].astype(np.float32), y[order].astype(np.float32)
    tally.add(model.network, x, y, w[order].astype(np.float32))
    assert tally.result() == expected
    assert expected["rows"] == ROWS
    assert expected != model.evaluate((X[:-1], y[:-1], w[:-1]))


def test_figures_that_overflow_show_wherever_the_row_is():
    model = model_of("values")
    x, y = np.zeros((10, 4)), np.ones(10)
    x[3] = 1e30
    model.network.weights[...] = 1e30
    found = model.evaluate((x, y))
    assert found["mae"] == np.inf
    assert repr(model.evaluate((x[::-1], y))) == repr(found)
