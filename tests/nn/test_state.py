"""State that is not trained: running statistics and the moments of inputs, summed over shards."""

from typing import Any

import numpy as np
import pytest

from dpnn import nn
from dpnn.nn.more.normalization import check, moments, moments_size, set_moments


def shards(shape: tuple[int, ...], counts: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [3 + 2 * rng.standard_normal((n, *shape)) for n in counts]


def test_running_statistics_are_the_mean_over_rows_of_the_batches() -> None:
    net = nn.BatchNorm(momentum=0.8).build((5, 3), dtype=np.float64)
    before, total, rows = net.weights.copy(), np.zeros(net.layout.size), 0
    parts = shards((5, 3), (4, 9))
    for x in parts:
        z = net.forward(x, True)
        net.backward(np.zeros_like(z))
        total += net.gradient
        rows += len(x)
    net.layout.update_state(net.weights, total, rows)
    means = [x.mean(axis=(0, 1)) for x in parts]
    variances = [x.reshape(-1, 3).var(axis=0, ddof=1) for x in parts]
    expected_mean = 0.2 * (4 * means[0] + 9 * means[1]) / 13
    expected_variance = 0.8 + 0.2 * (4 * variances[0] + 9 * variances[1]) / 13
    np.testing.assert_allclose(net.parameters["mean"], expected_mean, rtol=1e-12)
    np.testing.assert_allclose(net.parameters["variance"], expected_variance, rtol=1e-12)
    trained = net.layout.trained
    assert np.array_equal(net.weights[:trained], before[:trained])


def test_running_statistics_serve_outside_of_training() -> None:
    net = nn.BatchNorm().build(3, dtype=np.float64)
    net.parameters["mean"][...], net.parameters["variance"][...] = 2, 4 - 1e-5
    x = shards((3,), (6,))[0]
    np.testing.assert_allclose(net.predict(x), (x - 2) / 2, rtol=1e-12)
    assert not np.allclose(net.forward(x, True), (x - 2) / 2)


def test_gradients_outside_of_training_take_statistics_for_constants() -> None:
    net = nn.Network(nn.BatchNorm(), 3, dtype=np.float64, needs_dx=True).init(0)
    net.parameters["variance"][...] = 4
    x, dz = shards((3,), (5, 5))
    net.forward(x)
    np.testing.assert_allclose(net.backward(dz), dz * (4 + 1e-5) ** -0.5, rtol=1e-12)
    np.testing.assert_allclose(net.gradients["gamma"], (dz * x).sum(0) * (4 + 1e-5) ** -0.5)


def test_moments_of_shards_are_those_of_all_rows() -> None:
    model = nn.Sequential(nn.Rescale(0.5), nn.Normalization(), nn.Dense(2))
    net, parts = model.build((4, 3)), shards((4, 3), (5, 1, 8))
    size = moments_size(net)
    assert size == 9
    total = sum(moments(net, x.astype(np.float32)) for x in parts)
    assert (total.shape, total.dtype) == ((size,), np.float64)
    set_moments(net, net.weights, total, 14)
    everything = 0.5 * np.concatenate(parts).reshape(-1, 3)
    mean, scale = (net.parameters[f"Normalization[1].{n}"] for n in ("mean", "scale"))
    np.testing.assert_allclose(mean, everything.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(scale, 1 / everything.std(axis=0), rtol=1e-5)


def test_training_leaves_moments_alone() -> None:
    net = nn.Normalization().build(2)
    net.weights[...] = [1, 2, 3, 4, 5, 6]
    z = net.forward(np.ones((5, 2), np.float32), True)
    net.backward(np.ones_like(z))
    net.layout.update_state(net.weights, net.gradient, 5)
    assert net.weights.tolist() == [1, 2, 3, 4, 5, 6]


def test_a_constant_column_becomes_zero_not_noise() -> None:
    net = nn.Normalization().build(2)
    x = np.array([[0.1, 1], [0.1, 2], [0.1, 3]], np.float32)
    set_moments(net, net.weights, moments(net, x), 3)
    z = net.predict(x)
    np.testing.assert_allclose(z[:, 0], 0, atol=1e-6)
    np.testing.assert_allclose(z[:, 1], [-(1.5**0.5), 0, 1.5**0.5], rtol=1e-6)


def test_several_normalizations_each_get_their_own() -> None:
    model = nn.Concatenate(
        nn.Sequential(nn.Input("a"), nn.Normalization()),
        nn.Sequential(nn.Input("b"), nn.Normalization()),
    )
    net = model.build({"a": (2,), "b": (1,)})
    rng = np.random.default_rng(0)
    x = {"a": rng.standard_normal((9, 2)), "b": 50 + rng.standard_normal((9, 1))}
    set_moments(net, net.weights, moments(net, x), 9)
    z = net.predict(x)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-4)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Sequential(nn.Dense(3), nn.Normalization()),
        nn.Sequential(nn.Normalization(), nn.Rescale(2.0), nn.Normalization()),
        nn.Sequential(nn.Concatenate(nn.Normalization(), nn.ReLU()), nn.Normalization()),
        nn.Sequential(nn.Normalization(), nn.Residual(nn.Normalization())),
    ],
    ids=str,
)
def test_a_normalization_behind_another_or_a_trained_layer_is_refused(layer: nn.Layer) -> None:
    with pytest.raises(ValueError, match="must come before every layer that is trained and"):
        check(layer.build(2).context)
    side_by_side = nn.Concatenate(nn.Normalization(), nn.Sequential(nn.ReLU(), nn.Normalization()))
    assert check(nn.Sequential(side_by_side, nn.Dense(2)).build(2).context)


@pytest.mark.parametrize(
    ("offset", "spread"), [(1.7e9, 1000.0), (1e6, 0.5), (-1e4, 1.0), (0.0, 1e-9)]
)
def test_normalization_far_from_zero(offset: float, spread: float) -> None:
    x = (offset + spread * np.random.default_rng(0).standard_normal((3000, 1))).astype(np.float32)
    net = nn.Normalization().build(1)
    wide = x.astype(float)
    for parts in (1, 7, 1500):
        total = sum(moments(net, part) for part in np.array_split(x, parts))
        set_moments(net, net.weights, total, len(x))
        np.testing.assert_allclose(net.parameters["scale"], 1 / wide.std(axis=0), rtol=5e-2)
        np.testing.assert_allclose(net.predict(x).std(), 1, rtol=5e-2)
    constant = np.full((3000, 1), 0.1, np.float32)
    total = sum(moments(net, part) for part in np.array_split(constant, 1500))
    set_moments(net, net.weights, total, len(constant))
    assert net.parameters["scale"] == 0


def test_normalization_keeps_what_integers_beyond_float32_say() -> None:
    x = 1_700_000_000 + np.arange(60)[:, None]
    net = nn.Normalization().build(1)
    set_moments(net, net.weights, moments(net, x), len(x))
    z = net.predict(x)
    np.testing.assert_allclose(z, (x - x.mean()) / x.std(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("parts", [1, 7])
@pytest.mark.parametrize("size", [1e-30, 1e-25, 1e-10, 1e10, 1e20, 1e30])
def test_normalization_of_sizes_whose_squares_float32_does_not_hold(
    size: float, parts: int
) -> None:
    drawn = np.random.default_rng(1).standard_normal((500, 2)) + np.array([0, 100])
    x = (size * drawn).astype(np.float32)
    net = nn.Normalization().build(2)
    total = sum(moments(net, part) for part in np.array_split(x, parts))
    set_moments(net, net.weights, total, len(x))
    expected = (drawn - drawn.mean(axis=0)) / drawn.std(axis=0)
    np.testing.assert_allclose(net.predict(x), expected, atol=1e-4)


@pytest.mark.parametrize("value", [0.1, -3e38, 1e-40, 0.0, 1_700_000_001])
def test_a_constant_is_zero_whatever_its_size(value: float) -> None:
    x = np.full((50, 1), value)
    x = x.astype(np.int64) if value > 1e9 else x.astype(np.float32)
    net = nn.Normalization().build(1)
    set_moments(net, net.weights, sum(moments(net, part) for part in np.array_split(x, 9)), 50)
    assert not net.predict(x).any()
    assert not net.predict(0 * x).any()


def test_no_rows_leave_a_normalization_as_it_is() -> None:
    net = nn.Normalization().build(1)
    set_moments(net, net.weights, np.zeros(3), 0)
    assert net.weights.tolist() == [0, 0, 1]


def test_state_that_stays_as_it_is_need_not_be_a_normalization() -> None:
    class Fixed(nn.Layer):
        def shapes(self, x: Any, ctx: nn.Context) -> Any:
            return {"k": nn.Param(x, (2.0,), 1.0)}, x

    assert moments_size(nn.Sequential(nn.Normalization(), Fixed()).build(2)) == 6


def test_no_normalization_no_moments() -> None:
    assert moments_size(nn.Dense(2).build(3)) == 0
