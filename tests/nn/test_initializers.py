"""How weights begin: variances, what the default chooses, seeds."""

import numpy as np
import pytest

from dpnn import nn


def spread(layer: nn.Layer, shape: tuple[int, ...], name: str) -> float:
    """Standard deviation of one parameter."""
    return float(layer.build(shape).parameters[name].std())


@pytest.mark.parametrize(
    ("initializer", "variance"), [("glorot", 2 / 600), ("he", 2 / 400), ("lecun", 1 / 400)]
)
def test_variances(initializer: str, variance: float) -> None:
    found = spread(nn.Dense(200, initializer=initializer), (400,), "W")
    assert found == pytest.approx(variance**0.5, rel=0.02)


@pytest.mark.parametrize(
    ("after", "variance"),
    [
        ((nn.ReLU(),), 2 / 400),
        ((nn.Dropout(0.5), nn.ReLU()), 2 / 400),
        ((nn.Tanh(),), 2 / 600),
        ((), 2 / 600),
        ((nn.Dense(3), nn.ReLU()), 2 / 600),
    ],
)
def test_the_default_looks_at_what_follows(after: tuple[nn.Layer, ...], variance: float) -> None:
    model = nn.Sequential(nn.Dense(200), *after)
    assert spread(model, (400,), "Dense[0].W") == pytest.approx(variance**0.5, rel=0.02)


def test_fans_of_a_convolution_count_its_window() -> None:
    layer = nn.Conv2D(64, 3, initializer="he")
    assert spread(layer, (8, 8, 32), "W") == pytest.approx((2 / (9 * 32)) ** 0.5, rel=0.02)


def test_orthogonal_columns_or_rows() -> None:
    for size, units in ((30, 20), (20, 30)):
        w = nn.Dense(units, initializer="orthogonal").build(size, dtype=np.float64).parameters["W"]
        product = w.T @ w if size > units else w @ w.T
        np.testing.assert_allclose(product, np.eye(min(size, units)), atol=1e-12)


def test_recurrent_kernels_are_orthogonal_and_the_forget_gate_is_open() -> None:
    p = nn.LSTM(6).build((4, 3), dtype=np.float64).parameters
    assert np.linalg.svd(p["U"])[1] == pytest.approx(np.ones(6))
    assert p["b"].tolist() == [0] * 6 + [1] * 6 + [0] * 12


def test_biases_begin_at_0_and_scales_at_1() -> None:
    p = nn.Sequential(nn.Dense(3), nn.BatchNorm(), nn.LayerNorm()).build(2).parameters
    assert not p["Dense[0].b"].any()
    for name in ("BatchNorm[1].gamma", "BatchNorm[1].variance", "LayerNorm[2].gamma"):
        assert (p[name] == 1).all()


def test_seeds() -> None:
    model = nn.Sequential(nn.Dense(5), nn.Dense(5))
    one, again, other = (model.build(5, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.weights, again.weights)
    assert not np.array_equal(one.weights, other.weights)
    first, second = one.parameters["Dense[0].W"], one.parameters["Dense[1].W"]
    assert not np.array_equal(first, second)


def test_an_unknown_initializer_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"glorott.*did you mean 'glorot'"):
        nn.Dense(3, initializer="glorott").build(2)
