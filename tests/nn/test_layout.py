"""One flat vector: names, order, aliasing, and the round trip between networks."""

import numpy as np
import pytest

from dpnn import nn


def mlp(**options: object) -> nn.Network:
    return nn.Sequential(nn.Dense(4), nn.ReLU(), nn.Dense(2)).build(3, **options)


def test_names_shapes_and_places_follow_the_layers() -> None:
    found = [(e.name, e.shape, e.start, e.stop) for e in mlp().layout.entries]
    assert found == [
        ("Dense[0].W", (3, 4), 0, 12),
        ("Dense[0].b", (4,), 12, 16),
        ("Dense[2].W", (4, 2), 16, 24),
        ("Dense[2].b", (2,), 24, 26),
    ]


def test_parameters_are_views_of_the_weights() -> None:
    net = mlp()
    net.weights[...] = np.arange(26)
    assert net.parameters["Dense[0].b"].tolist() == [12, 13, 14, 15]
    net.parameters["Dense[2].b"][...] = -1
    assert net.weights[-2:].tolist() == [-1, -1]
    assert all(np.shares_memory(p, net.weights) for p in net.parameters.values())


def test_gradients_are_views_of_the_gradient() -> None:
    net = mlp()
    net.loss_and_gradients(np.ones((5, 3), np.float32), np.zeros(5, int), nn.SoftmaxCrossEntropy())
    assert list(net.gradients) == list(net.parameters)
    assert all(np.shares_memory(g, net.gradient) for g in net.gradients.values())


def test_bind_works_on_memory_of_the_callers() -> None:
    net, x = mlp(), np.ones((5, 3), np.float32)
    weights, gradient = net.weights.copy(), np.full(26, np.nan, np.float32)
    expected = net.predict(x)
    weights.flags.writeable = False
    net.bind(weights, gradient)
    assert np.array_equal(net.predict(x), expected)
    net.loss_and_gradients(x, np.zeros(5, int), nn.SoftmaxCrossEntropy())
    assert np.isfinite(gradient).all()
    assert net.gradient is gradient


@pytest.mark.parametrize(
    "wrong", [np.zeros(25), np.zeros(27), np.zeros(52)[::2], np.zeros((1, 26))]
)
def test_a_vector_that_does_not_fit_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="contiguous vector of 26"):
        mlp().bind(wrong)


def test_weights_carry_a_network_over() -> None:
    net, x = mlp(seed=3), np.ones((2, 3), np.float32)
    other = nn.Network(nn.from_spec(nn.to_spec(net.layer)), 3, weights=net.weights.copy())
    assert np.array_equal(other.predict(x), net.predict(x))
    assert not np.array_equal(mlp(seed=4).weights, net.weights)


def test_state_lies_behind_what_is_trained() -> None:
    model = nn.Sequential(nn.Dense(4), nn.BatchNorm(), nn.ReLU(), nn.Dense(2))
    layout = model.build(3).layout
    momenta = [e.momentum for e in layout.entries]
    assert [m is None for m in momenta] == sorted((m is None for m in momenta), reverse=True)
    assert layout.size - layout.trained == 8
    assert {e.momentum for e in layout.entries if e.start >= layout.trained} == {0.9}


def test_shape_errors_name_the_layer_and_the_shapes() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Dense(4), nn.Conv2D(3, 2)))
    with pytest.raises(
        ValueError, match=r"Sequential\[1\]\.Conv2D\[1\] expected x of shape .*\(4,\)"
    ):
        model.build((2, 3))
    with pytest.raises(ValueError, match=r"expected rows of shape \(3,\), got \(5,\)"):
        mlp().predict(np.zeros((2, 5), np.float32))
