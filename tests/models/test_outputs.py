"""What outputs mean under each kind of loss, and threads that ask at once. No Spark."""

import copy
import os
import pickle
import threading

import numpy as np
import pytest

from dpnn import TrainedModel, nn
from dpnn.models import outputs
from dpnn.models.outputs import Output

X = np.random.default_rng(0).normal(size=(3000, 6)).astype(np.float32)


def trained(units, loss, seed=0):
    layer = nn.Sequential(nn.Dense(16), nn.Tanh(), nn.Dense(units))
    return TrainedModel(layer.build((6,), seed=seed), loss)


def test_a_poisson_model_predicts_counts():
    m = trained(1, nn.Poisson())
    z = m.network.predict(X, 1000)
    np.testing.assert_allclose(m.predict(X), np.exp(z), rtol=1e-6)
    np.testing.assert_array_equal(outputs.predictions(m.loss, z), np.exp(z)[:, 0].astype(float))
    counts = np.random.default_rng(1).poisson(np.exp(z[:, 0]))
    figures = m.evaluate((X, counts))
    error = np.exp(z[:, 0].astype(float)) - counts
    assert figures["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
    assert figures["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-5)
    assert figures["r2"] == pytest.approx(1 - (error**2).mean() / counts.var(), rel=1e-4)


def test_every_output_by_its_name():
    z = np.array([[0.5, -1.0, 2.0], [1.0, 1.5, 0.0]], np.float32)
    loss, shape = nn.SoftmaxCrossEntropy(), (3,)
    p = np.exp(z.astype(float)) / np.exp(z.astype(float)).sum(axis=1, keepdims=True)
    for text, expected in {
        "prediction": [2, 1],
        "probability": p,
        "probability[1]": p[:, 1],
        "raw": z,
        "raw[0]": z[:, 0],
    }.items():
        found = Output.parse(text, loss, shape, "float64")(loss, z)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert found.dtype == np.float64
        assert Output.parse(text, loss, shape, "float32")(loss, z).dtype == np.float32
    one = np.array([[0.5], [-2.0]], np.float32)
    binary = nn.BinaryCrossEntropy()
    raw = Output.parse("raw", binary, (1,), "float64")(binary, one)
    assert raw.tolist() == [[-0.5, 0.5], [2, -2]]


def test_an_output_that_is_none_is_refused():
    loss = nn.SoftmaxCrossEntropy()
    with pytest.raises(ValueError, match=r"or one class's as in 'probability\[1\]', got 'odds'"):
        Output.parse("odds", loss, (3,), "float64")
    with pytest.raises(ValueError, match=r"no probability\[3\]: a row's probability has the shape"):
        Output.parse("probability[3]", loss, (3,), "float64")
    with pytest.raises(ValueError, match="MeanSquaredError has no probabilities"):
        Output.parse("probability", nn.MeanSquaredError(), (1,), "float64")
    with pytest.raises(ValueError, match="dtype must be 'float64' or 'float32', got 'float16'"):
        Output.parse("raw", loss, (3,), "float16")


def in_threads(count, task):
    """What `task` returns in threads that begin at once."""
    found, ready = [None] * count, threading.Barrier(count)

    def run(i):
        ready.wait()
        found[i] = task(i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("use", ["predict", "predict_probability", "evaluate"])
def test_threads_that_share_a_model_get_their_own_rows(use):
    m = trained(3, nn.SoftmaxCrossEntropy())
    parts = [X[i * 700 : i * 700 + 500 + i] for i in range(4)]
    labels = np.arange(len(X)) % 3

    def ask(i):
        x = parts[i]
        return m.evaluate((x, labels[: len(x)])) if use == "evaluate" else getattr(m, use)(x)

    expected = [ask(i) for i in range(4)]
    for _ in range(25):
        for found, right in zip(in_threads(4, ask), expected, strict=True):
            np.testing.assert_equal(found, right)


def test_copies_pickles_and_forks_predict_the_same():
    m = trained(3, nn.SoftmaxCrossEntropy())
    expected = m.predict(X).tobytes()
    in_threads(2, lambda i: m.predict(X))  # has networks in threads
    for twin in (copy.copy(m), copy.deepcopy(m), pickle.loads(pickle.dumps(m))):  # noqa: S301
        assert twin.predict(X).tobytes() == expected
        assert in_threads(2, lambda i, t=twin: t.predict(X).tobytes()) == [expected] * 2
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, bytes([m.predict(X[:10]).tobytes() == m.predict(X[:10]).tobytes()]))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 1) == b"\x01"


def test_other_weights_count_in_every_thread():
    m = trained(1, nn.MeanSquaredError())
    asked, go, seen = threading.Event(), threading.Event(), []

    def later():
        seen.append(m.predict(X).tobytes())
        asked.set()
        go.wait()
        seen.append(m.predict(X).tobytes())
        m.network.bind(m.weights * 2)
        seen.append(m.predict(X).tobytes())

    thread = threading.Thread(target=later)
    thread.start()
    asked.wait()
    before = m.predict(X).tobytes()
    m.weights[...] *= 3
    after = m.predict(X).tobytes()
    go.set()
    thread.join()
    assert seen == [before, after, m.predict(X).tobytes()]
    assert len(set(seen)) == 3


def test_the_confusion_matrix_gives_the_accuracy():
    loss = nn.SoftmaxCrossEntropy(class_weights=(1.0, 99.0))
    m = trained(2, loss)
    y = (np.arange(len(X)) % 100 == 0).astype(int)
    plain = TrainedModel(m.network, nn.SoftmaxCrossEntropy()).evaluate((X, y))
    figures = m.evaluate((X, y))
    assert figures["confusion"] == plain["confusion"]
    assert figures["accuracy"] == plain["accuracy"] == np.trace(figures["confusion"]) / len(X)
    assert figures["loss"] != plain["loss"]
    weights = np.arange(len(X)) % 7.0
    weighed = m.evaluate((X, y, weights))
    matrix = np.array(weighed["confusion"])
    assert matrix.sum() == weights.sum()
    assert weighed["accuracy"] == pytest.approx(np.trace(matrix) / weights.sum())
