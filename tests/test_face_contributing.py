"""CONTRIBUTING.md: a user's own layer, loss, optimizer and callback, taken from the page as they
stand, train on every engine, with the same bits."""

import re
from pathlib import Path

import numpy as np
import pytest

from dpnn import load, nn

PAGE = Path(__file__).resolve().parents[1] / "CONTRIBUTING.md"
RNG = np.random.default_rng(5)
X = RNG.standard_normal((300, 4)).astype(np.float32)
Y = np.sin(X[:, :1]) * X[:, 1:2]


@pytest.fixture
def page():
    """What the page's blocks define, as in a user's script."""
    known = dict(nn.core.spec.REGISTRY)
    names = {"__name__": "__main__"}
    exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)), names)
    yield names
    nn.core.spec.REGISTRY.clear()
    nn.core.spec.REGISTRY.update(known)


def fitted(page, engine, data, **columns):
    """A fit by the page's own trainer, and what its callback has seen."""
    trainer, watch = page["trainer"], page["watch"]
    trainer.engine, watch.seen = engine, []
    result = trainer.fit(data, num_shards=3, **columns)
    assert result.engine == engine
    assert result.stopped == f"the loss is below {watch.goal}"
    assert watch.seen == result.history["loss"]
    assert watch.seen[-1] < watch.goal <= watch.seen[-2]
    return result


def test_the_pages_parts_work_on_every_engine(page, spark_session, engines):
    table = [(x.tolist(), y.tolist()) for x, y in zip(X, Y, strict=True)]
    df = spark_session.createDataFrame(table, "x array<float>, y array<float>").coalesce(2)
    local = fitted(page, "local", df, inputs="x", label="y")
    for engine in engines:
        other = fitted(page, engine, df, inputs="x", label="y")
        assert np.array_equal(other.model.weights, local.model.weights), engine
        assert other.history["loss"] == local.history["loss"]


def test_a_model_file_knows_a_users_layer_by_its_name(page, tmp_path):
    result = fitted(page, "local", (X, Y))
    result.model.save(tmp_path / "own.safetensors")
    again = load(tmp_path / "own.safetensors")
    assert type(again.network.layer.layers[2]) is page["Gain"]
    assert np.array_equal(again.predict(X), result.model.predict(X))


def test_a_transform_on_executors_knows_a_users_layer(page, spark_session):
    result = fitted(page, "local", (X, Y))
    df = spark_session.createDataFrame([(x.tolist(),) for x in X[:50]], "x array<float>")
    rows = result.model.transform(df, inputs="x").collect()
    expected = result.model.predict(X[:50])[:, 0]
    assert [row.prediction for row in rows] == expected.tolist()


def test_the_pages_derivatives_are_right(page):
    nn.gradient_check(page["Gain"](0.5), X[:4].astype(float))
    nn.gradient_check(nn.Dense(1), X[:6].astype(float), Y[:6].astype(float), page["LogCosh"]())
