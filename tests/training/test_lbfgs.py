"""L-BFGS: the rule by itself, and every evaluation as a step of an engine."""

from itertools import pairwise

import numpy as np
import pytest

from dpnn import Trainer, nn

RNG = np.random.default_rng(2)


class Vector:
    """As much of a layout as an optimizer asks for."""

    entries = ()

    def __init__(self, size):
        self.trained = size


def minimise(function, w, iterations, **settings):
    optimizer = nn.LBFGS(**settings)
    state = optimizer.init(Vector(w.size))
    calls = []

    def evaluate(trial=False):
        calls.append(w.copy())
        return nn.Evaluation(*function(w.astype(np.float64)))

    values = [optimizer.step(state, w, evaluate).value for _ in range(iterations)]
    return values, calls


def rosenbrock(x):
    a, b = x[:-1], x[1:]
    g = np.zeros_like(x)
    g[:-1] += -400 * a * (b - a**2) - 2 * (1 - a)
    g[1:] += 200 * (b - a**2)
    return float((100 * (b - a**2) ** 2 + (1 - a) ** 2).sum()), g.astype(np.float32)


def test_rosenbrock_falls_in_every_iteration():
    w = np.full(10, -1.2, np.float32)
    values, calls = minimise(rosenbrock, w, 80)
    assert all(b <= a for a, b in pairwise(values))
    assert values[-1] < 1e-5
    np.testing.assert_allclose(w, 1, atol=1e-2)
    reached = next(i for i, value in enumerate(values) if value < 1e-5)
    _, calls = minimise(rosenbrock, np.full(10, -1.2, np.float32), reached)
    assert len(calls) < 1.5 * reached  # the first step tried is nearly always the right one


def test_quadratic_in_about_as_many_iterations_as_it_has_curvatures():
    scale = np.repeat([1.0, 10.0, 100.0], 20)
    w = RNG.standard_normal(60).astype(np.float32)
    values, _ = minimise(
        lambda x: (float((scale * x * x).sum() / 2), (scale * x).astype(np.float32)), w, 12
    )
    assert values[-1] < 1e-6


def test_a_step_into_infinity_is_taken_back():
    w = np.array([1.0], np.float32)

    def wall(x):
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(x[0] - np.log(x[0])), (1 - 1 / x).astype(np.float32)

    w[...] = 5
    values, _ = minimise(wall, w, 15, learning_rate=50.0)
    assert values[-1] == pytest.approx(1, abs=1e-4)


def test_trains_on_full_batches_and_goes_on_from_a_checkpoint(tmp_path):
    x = RNG.standard_normal((300, 5)).astype(np.float32)
    y = (x @ [1, -2, 3, 0, 1] > 0).astype(np.int32)

    def fit(epochs, folder=None, shards=3):
        trainer = Trainer(
            nn.Sequential(nn.Dense(8), nn.Tanh(), nn.Dense(2)),
            nn.SoftmaxCrossEntropy(),
            optimizer=nn.LBFGS(),
            epochs=epochs,
            checkpoints=folder,
            progress=False,
        )
        return trainer.fit((x, y), num_shards=shards)

    whole = fit(12)
    losses = whole.history["loss"]
    assert losses[-1] < 0.02 < losses[0]
    fit(5, str(tmp_path))
    assert np.array_equal(fit(12, str(tmp_path)).model.weights, whole.model.weights)


def test_goes_on_when_it_has_arrived():
    x = RNG.standard_normal((200, 5)).astype(np.float32)
    for loss, y in ((nn.MeanSquaredError(), x.sum(axis=1)), (nn.Poisson(), np.zeros(200))):
        trainer = Trainer(nn.Dense(1), loss, optimizer=nn.LBFGS(), epochs=100, progress=False)
        losses = trainer.fit((x, y.astype(np.float32)), num_shards=1).history["loss"]
        assert len(losses) == 100
        assert losses[-1] < 1e-6


@pytest.mark.parametrize("num_shards", [1, 3])
def test_a_search_steps_back_from_infinity(num_shards):
    rng = np.random.default_rng(0)
    x = (10 * rng.random((500, 3))).astype(np.float32)
    y = rng.poisson(np.exp(x @ [0.1, 0.2, -0.1] / 3)).astype(np.float32)
    trainer = Trainer(nn.Dense(1), nn.Poisson(), nn.LBFGS(), epochs=30, seed=1, progress=False)
    losses = trainer.fit((x, y), num_shards=num_shards).history["loss"]
    assert losses[-1] == min(losses) < 0.91


def test_a_sum_whose_norm_overflows():
    x = np.linspace(1, 2, 400, dtype=np.float32)[:, None]
    trainer = Trainer(nn.Dense(1), nn.MeanSquaredError(), nn.LBFGS(), epochs=2, progress=False)
    losses = trainer.fit((x, x[:, 0] * 8e16), num_shards=16).history["loss"]
    assert np.isfinite(losses).all()


def test_rows_that_weigh_nothing():
    trainer = Trainer(nn.Dense(1), nn.MeanSquaredError(), nn.LBFGS(), epochs=2, progress=False)
    x = np.ones((6, 2), np.float32)
    with pytest.raises(ValueError, match="the training rows' weights sum to 0"):
        trainer.fit((x, x[:, 0], np.zeros(6)))


def test_figures_are_those_of_the_weights_that_are_kept():
    x = RNG.standard_normal((300, 5)).astype(np.float32)
    y = (x @ [1, -2, 3, 0, 1] > 0).astype(np.int32)
    for epochs in range(1, 9):
        optimizer = nn.LBFGS(learning_rate=4.0, evaluations=2)
        trainer = Trainer(
            nn.Dense(2), nn.SoftmaxCrossEntropy(), optimizer, epochs=epochs, progress=False
        )
        result = trainer.fit((x, y), num_shards=2)
        figures = result.model.evaluate((x, y))
        assert result.history["loss"][-1] == pytest.approx(figures["loss"], rel=1e-4)


def test_refuses_what_would_bend_the_gradient():
    for setting in ({"clip_norm": 1.0}, {"ema": 0.9}):
        with pytest.raises(ValueError, match="no clip_norm and no ema"):
            Trainer(nn.Dense(1), nn.MeanSquaredError(), optimizer=nn.LBFGS(), **setting)


def test_cannot_begin_where_it_is_not_finite():
    state = nn.LBFGS().init(Vector(1))
    with pytest.raises(ValueError, match="cannot begin: the loss is inf"):
        nn.LBFGS().step(state, np.ones(1, np.float32), lambda: nn.Evaluation(np.inf, np.ones(1)))


def test_what_comes_back_is_of_the_weights_that_are_kept():
    """The tail that comes back is that of the weights that are kept."""
    w = np.full(4, -1.2, np.float32)
    optimizer = nn.LBFGS()
    state = optimizer.init(Vector(4))

    def evaluate(trial=False):
        return nn.Evaluation(*rosenbrock(w.astype(np.float64)), w.copy())

    for _ in range(5):
        found = optimizer.step(state, w, evaluate)
        assert np.array_equal(found.tail, w)
        assert found.value == rosenbrock(w.astype(np.float64))[0]
