"""The training loop on arrays: no Spark."""

import math

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from dpnn import Trainer, nn
from dpnn.engines.protocol import ShardError
from dpnn.nn.more.metrics import Measures

RNG = np.random.default_rng(0)
X = RNG.standard_normal((500, 6)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int32)
MODEL = nn.Sequential(nn.Dense(32), nn.ReLU(), nn.Dropout(0.1), nn.Dense(2))


def trainer(**changes):
    settings = {
        "model": MODEL,
        "loss": nn.SoftmaxCrossEntropy(),
        "optimizer": nn.Adam(1e-2),
        "batch_size": 50,
        "epochs": 3,
        "progress": False,
    }
    return Trainer(**{**settings, **changes})


def test_learns_and_reports_every_epoch():
    result = trainer(epochs=25).fit((X[:400], Y[:400]), validation=(X[400:], Y[400:]))
    history = result.history
    assert history["epoch"] == list(range(1, 26))
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["val_accuracy"][-1] > 0.85
    assert (result.model.predict(X[400:]).argmax(1) == Y[400:]).mean() == pytest.approx(
        history["val_accuracy"][-1]
    )
    assert set(history["costs"][0]) >= {"send", "compute", "wait", "sum", "update", "bytes"}


def test_the_same_twice_and_another_seed_is_another_model():
    first, again, other = (
        trainer(seed=seed).fit((X, Y), num_shards=3).model.weights for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_row_order_does_not_matter():
    shuffle = RNG.permutation(len(X))
    one = trainer().fit((X, Y), num_shards=3).model.weights
    two = trainer().fit((X[shuffle], Y[shuffle]), num_shards=3).model.weights
    assert np.array_equal(one, two)


@pytest.mark.parametrize("num_shards", [1, 2, 3, 8])
def test_more_shards_than_rows(num_shards):
    model = nn.Sequential(nn.Dense(4), nn.LayerNorm(), nn.ReLU(), nn.Dense(2))
    result = trainer(model=model, batch_size=2).fit((X[:5], Y[:5]), num_shards=num_shards)
    assert np.isfinite(result.model.weights).all()
    assert result.num_shards == num_shards


def test_gradient_of_many_shards_is_that_of_one_process():
    """One full-batch step of plain SGD: the weights move by the mean gradient."""
    model = nn.Sequential(nn.Dense(16), nn.Tanh(), nn.Dense(2))
    net = model.build(6, seed=0)
    loss = nn.SoftmaxCrossEntropy()
    net.loss_and_gradients(X, Y, loss)
    expected = net.weights - 0.1 * net.gradient / len(X)
    for shards in (1, 3, 8):
        fitted = trainer(model=model, optimizer=nn.SGD(0.1), batch_size=500, epochs=1).fit(
            (X, Y), num_shards=shards
        )
        np.testing.assert_allclose(fitted.model.weights, expected, atol=1e-6)


def test_micro_batches_add_up_to_the_batch():
    model = nn.Sequential(nn.Dense(16), nn.Tanh(), nn.Dense(2))
    whole, parts = (
        trainer(model=model, batch_size=500, micro_batch=m).fit((X, Y), num_shards=2).model.weights
        for m in (1000, 7)
    )
    np.testing.assert_allclose(whole, parts, atol=1e-5)


def test_row_weights_are_repetitions():
    model = nn.Sequential(nn.Dense(2))
    counts = RNG.integers(0, 3, len(X))
    settings = {"model": model, "optimizer": nn.SGD(0.5), "batch_size": 10_000, "epochs": 4}
    weighted = trainer(**settings).fit((X, Y, counts.astype(np.float32)), num_shards=2)
    repeated = trainer(**settings).fit((X.repeat(counts, 0), Y.repeat(counts)), num_shards=2)
    np.testing.assert_allclose(weighted.model.weights, repeated.model.weights, atol=1e-5)
    assert weighted.history["accuracy"][0] == pytest.approx(repeated.history["accuracy"][0])


def test_regression_metrics():
    y = X @ np.arange(6, dtype=np.float32)
    result = trainer(
        model=nn.Dense(1), loss=nn.MeanSquaredError(), optimizer=nn.Adam(0.1), epochs=30
    ).fit((X, y), validation=(X, y))
    assert result.history["val_r2"][-1] > 0.99
    assert result.history["val_rmse"][-1] == pytest.approx(
        math.sqrt(result.history["val_loss"][-1]), rel=1e-4
    )


def test_patience_keeps_the_best_weights():
    noise = RNG.integers(0, 2, len(Y)).astype(np.int32)  # nothing to learn: validation gets worse
    result = trainer(epochs=200, patience=3, optimizer=nn.Adam(0.05)).fit(
        (X[:250], noise[:250]), validation=(X[250:], noise[250:])
    )
    losses = result.history["val_loss"]
    assert len(losses) < 200
    assert losses[-1] > min(losses)
    best = result.model.evaluate((X[250:], noise[250:]))
    assert best["loss"] == pytest.approx(min(losses), rel=1e-5)


def test_metrics_by_name():
    fit = {"data": (X[:400], Y[:400]), "validation": (X[400:], Y[400:])}
    history = trainer(metrics=["auc"], epochs=1).fit(**fit).history
    assert [name for name in history if name.startswith("val_")] == ["val_loss", "val_auc"]
    history = trainer(metrics=[], epochs=1).fit(**fit).history
    assert [name for name in history if name.startswith("val_")] == ["val_loss"]
    with pytest.raises(ValueError, match=r"no metric 'acu' .*did you mean 'auc'"):
        trainer(metrics=["acu"]).fit(**fit)
    with pytest.raises(ValueError, match=r"no metric 'rmse'"):
        trainer(metrics=["rmse"]).fit(**fit)
    with pytest.raises(TypeError, match="metrics must be a list of names, got 'auc'"):
        trainer(metrics="auc")


def test_ema_averages_the_weights():
    plain, still = (trainer(ema=e).fit((X, Y)).model.weights for e in (None, 0.999999))
    assert not np.array_equal(plain, still)
    np.testing.assert_allclose(still, MODEL.build(6, seed=0).weights, atol=1e-3)


def test_an_average_begins_with_the_moments_of_the_inputs():
    model = nn.Sequential(nn.Normalization(), nn.Dense(2))
    result = trainer(model=model, ema=0.999).fit((1000 + 50 * X, Y), num_shards=2)
    found = result.model.network.parameters
    np.testing.assert_allclose(found["Normalization[0].mean"], 1000 + 50 * X.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found["Normalization[0].scale"], 0.02 / X.std(0), rtol=1e-4)


def test_a_second_normalization_is_refused():
    model = nn.Sequential(nn.Normalization(), nn.Normalization(), nn.Dense(2))
    with pytest.raises(ValueError, match=r"Normalization\[1\] must come before every layer"):
        trainer(model=model).fit((X, Y))


def test_an_optimizer_that_cannot_begin_leaves_no_engine_open():
    class TooLarge(nn.Adam):
        def init(self, layout, like=None):
            raise MemoryError("too large")

    before = blas_threads()
    with pytest.raises(MemoryError):
        trainer(optimizer=TooLarge(), engine="local").fit((X, Y))
    assert blas_threads() == before


def blas_threads():
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


def test_divergence_is_an_error_with_an_address():
    with pytest.raises(ShardError, match=r"non-finite .* at epoch \d+ step \d+ shard \d"):
        trainer(optimizer=nn.SGD(1e30), epochs=50).fit((X, Y))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number from 1, got 0"),
        ({"engine": "jobs"}, "did you mean 'job'"),
        ({"loss": "mse"}, "loss must be a dpnn.nn Loss, got 'mse'"),
        ({"ema": 1.5}, "ema must be from 0 to below 1"),
        ({"clip_norm": 0}, "clip_norm must be above 0"),
        ({"clip_norm": "a"}, "clip_norm must be above 0, got 'a'"),
        ({"ema": "a"}, "ema must be from 0 to below 1, got 'a'"),
        ({"patience": 0}, "patience must be a whole number from 1, got 0"),
        ({"patience": "a"}, "patience must be a whole number from 1, got 'a'"),
        ({"seed": -1}, "seed must be a whole number from 0, got -1"),
        ({"device": "tpu"}, "device must be 'cpu' or 'gpu', got 'tpu'"),
        ({"checkpoints": ""}, "checkpoints must name a folder"),
    ],
)
def test_settings_that_make_no_sense(change, message):
    with pytest.raises((ValueError, TypeError), match=message):
        trainer(**change)


def test_arrays_take_no_columns():
    for named in ({"inputs": "x"}, {"label": "y"}, {"weight": "w"}):
        with pytest.raises(TypeError, match="name columns of a DataFrame"):
            trainer().fit((X, Y), **named)
    with pytest.raises(ValueError, match="num_shards must be a whole number from 1, got 0"):
        trainer().fit((X, Y), num_shards=0)


def test_r2_of_several_outputs_is_the_mean_of_theirs():
    y = np.stack([X[:, 0], 100 + X[:, 1] * 0.5], axis=1)
    model = nn.Sequential(nn.Dense(2, bias=False), nn.Rescale(0.01))
    result = trainer(model=model, loss=nn.MeanSquaredError(), epochs=1).fit((X, y), num_shards=3)
    z = result.model.predict(X)
    expected = 1 - ((z - y) ** 2).mean(axis=0) / y.var(axis=0)
    figures = result.model.evaluate((X, y))
    assert figures["r2"] == pytest.approx(expected.mean(), rel=1e-4)
    assert figures["mae"] == pytest.approx(np.abs(z - y).mean(), rel=1e-5)
    assert figures["rmse"] == pytest.approx(np.sqrt(((z - y) ** 2).mean()), rel=1e-5)


def test_r2_leaves_out_outputs_that_do_not_vary():
    y = np.stack([X[:, 0], np.full(len(X), 7.0)], axis=1)
    model = trainer(model=nn.Dense(2), loss=nn.MeanSquaredError()).fit((X, y)).model
    expected = 1 - ((model.predict(X)[:, 0] - X[:, 0]) ** 2).mean() / X[:, 0].var()
    assert model.evaluate((X, y))["r2"] == pytest.approx(expected, rel=1e-4)


def test_flat_outputs_for_targets_with_axes():
    model = nn.Sequential(nn.Flatten(), nn.Dense(6))
    images = X.reshape(-1, 2, 3)
    result = trainer(model=model, loss=nn.MeanSquaredError()).fit((images, images))
    assert result.history["loss"][-1] < result.history["loss"][0]


def test_very_many_outputs_have_no_r2():
    y = np.repeat(X[:, :1], 100, axis=1)
    result = trainer(model=nn.Dense(100), loss=nn.MeanSquaredError(), epochs=1).fit((X, y))
    figures = result.model.evaluate((X, y))
    z = result.model.predict(X)
    assert math.isnan(figures["r2"])
    assert figures["mae"] == pytest.approx(np.abs(z - y).mean(), rel=1e-5)


def test_r2_of_a_constant_is_unknown():
    measures = Measures.of_steps(nn.MeanSquaredError(), (1,))
    tail = measures.tail()
    for w in np.random.default_rng(0).random(50):
        tail.numbers[:] += [w, w, 1, w, w, w, w * 1234.5, w * 1234.5**2]
    assert math.isnan(measures.figures(tail)["r2"])


def test_data_that_does_not_fit():
    with pytest.raises(ValueError, match=r"training label 7 is out of range: .* labels 0 to 1"):
        trainer().fit((X, np.full(len(X), 7)))
    with pytest.raises(ValueError, match=r"training label 0.5 is no class number"):
        trainer().fit((X, np.full(len(X), 0.5)))
    with pytest.raises(ValueError, match=r"validation rows have the shape \(5,\), training rows"):
        trainer().fit((X, Y), validation=(X[:, :5], Y))
    with pytest.raises(ValueError, match=r"input 'x' has rows of shape \(0,\)"):
        trainer().fit((X[:, :0], Y))
    with pytest.raises(ValueError, match=r"training labels are 2 to a row, but Soft.* takes 1 "):
        trainer().fit((X, np.stack([Y, Y], axis=1)))
    with pytest.raises(ValueError, match=r"validation labels are 1 to a row, but Mean.* takes 2 "):
        trainer(loss=nn.MeanSquaredError()).fit((X, np.stack([Y, Y], 1)), validation=(X, Y))
    images = RNG.standard_normal((20, 4, 5, 2)).astype(np.float32)
    twisted = trainer(model=nn.Conv2D(2, 3, padding="same"), loss=nn.MeanSquaredError())
    with pytest.raises(ValueError, match=r"labels are \(2, 4, 5\) to a row, .* takes \(4, 5, 2\)"):
        twisted.fit((images, images.transpose(0, 3, 1, 2)))
    with pytest.raises(ValueError, match=r"^validation: X has 500 rows, y has 5 rows"):
        trainer().fit((X, Y), validation=(X, Y[:5]))
    with pytest.raises(ValueError, match=r"^X is ragged: all rows must be equally long"):
        trainer().fit(([[1, 2], [3]], [0, 1]))
    with pytest.raises(TypeError, match="data has no labels"):
        trainer().fit((X, None))
    with pytest.raises(TypeError, match=r"data must be a Spark DataFrame, a pandas or Arrow table"):
        trainer().fit(X)
    with pytest.raises(ValueError, match=r"Dense\[0\] expected x of shape"):
        trainer().fit(({"a": X, "b": X}, Y))
    with pytest.raises(ValueError, match=r"got rows of \(\): a column of .* inputs=\['…'\]"):
        trainer().fit((X[:, 0], Y))
