"""Contract 2: the same weights, bit for bit, on every engine."""

import numpy as np
import pytest

from dpnn import Trainer, nn

RNG = np.random.default_rng(3)
MODEL = nn.Sequential(nn.Dense(24), nn.ReLU(), nn.Dropout(0.2), nn.Dense(3))


def frame(spark, rows, sort=False):
    x = RNG.standard_normal((rows, 5)).astype(np.float32)
    y = (np.abs(x).argmax(1) % 3).astype(np.int32)
    if sort:
        order = np.argsort(y, kind="stable")
        x, y = x[order], y[order]
    table = [(row.tolist(), int(label)) for row, label in zip(x, y, strict=True)]
    return spark.createDataFrame(table, "x array<float>, y int").coalesce(3), x, y


def fit(engine, data, num_shards, **columns):
    trainer = Trainer(
        MODEL,
        loss=nn.SoftmaxCrossEntropy(),
        optimizer=nn.Adam(1e-2),
        batch_size=64,
        epochs=2,
        seed=4,
        engine=engine,
        progress=False,
    )
    return trainer.fit(data, num_shards=num_shards, **columns)


@pytest.mark.parametrize(
    ("rows", "num_shards"), [(301, 1), (301, 2), (301, 3), (301, 5), (301, 8), (6, 8)]
)
def test_engines_agree(spark_session, rows, num_shards):
    """With 6 rows in 8 shards some are empty; 301 rows never divide evenly."""
    df, x, y = frame(spark_session, rows, sort=True)
    columns = {"inputs": "x", "label": "y", "validation": df}
    local = fit("local", df, num_shards, **columns)
    arrays = fit("local", (x, y), num_shards, validation=(x, y))
    assert np.array_equal(local.model.weights, arrays.model.weights)
    for engine in ("job", "resident"):
        result = fit(engine, df, num_shards, **columns)
        assert result.engine == engine
        assert np.array_equal(result.model.weights, local.model.weights), engine
        assert result.history["loss"] == local.history["loss"]
        assert result.history["val_loss"] == local.history["val_loss"]


def test_arrays_on_spark(spark_session):
    _, x, y = frame(spark_session, 100)
    images = x.reshape(100, 5, 1)
    model = nn.Sequential(nn.Flatten(), nn.Dense(3))
    weights = [
        Trainer(model, nn.SoftmaxCrossEntropy(), batch_size=32, epochs=1, engine=e, progress=False)
        .fit((images, y, np.ones(100)), num_shards=2)
        .model.weights
        for e in ("local", "job")
    ]
    assert np.array_equal(*weights)
