"""float32 at its ends: losses, gradients and squashing layers exact to rounding, not to 6e-8."""

import numpy as np
import pytest

from dpnn import nn

Z = np.concatenate([np.linspace(-100, 100, 2001), [-87.0, 87.0, -1e-6, 1e-6]])


def loss_of(loss: nn.Loss, z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each row's loss and gradient in float32."""
    net = nn.Network(nn.Layer(), z.shape[1:])
    z = z.astype(np.float32)
    values = [net.loss(z[i : i + 1], y[i : i + 1], loss)[0] for i in range(len(z))]
    return np.array(values), net.loss(z, y, loss)[1].copy()


@pytest.mark.parametrize(
    ("y", "z", "value"), [(1, 10, 4.5398e-05), (1, 15, 3.0590e-07), (0, -20, 2.0612e-09)]
)
def test_binary_cross_entropy_far_out(y: int, z: float, value: float) -> None:
    found, gradient = loss_of(nn.BinaryCrossEntropy(), np.array([[z]]), np.array([[y]]))
    assert found[0] == pytest.approx(value, rel=1e-4)
    assert gradient[0, 0] == pytest.approx(value if y == 0 else -value, rel=1e-3)


@pytest.mark.parametrize("y", [0.0, 1.0, 0.25])
def test_binary_cross_entropy_over_the_whole_range(y: float) -> None:
    z = Z.astype(np.float32).astype(float)
    e = np.exp(-abs(z))
    expected = abs(z) * abs((z > 0) - y) + np.log1p(e)
    slope = (1 - y) * np.where(z > 0, 1, e) / (1 + e) - y * np.where(z > 0, e, 1) / (1 + e)
    found, gradient = loss_of(nn.BinaryCrossEntropy(), z[:, None], np.full((len(z), 1), y))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-38)
    np.testing.assert_allclose(gradient[:, 0], slope, rtol=2e-6, atol=2e-8 if 0 < y < 1 else 1e-38)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_softmax_cross_entropy_over_the_whole_range(smoothing: float) -> None:
    z = np.zeros((len(Z), 3), np.float32)
    z[:, 1] = Z
    y, wide = np.ones(len(Z), int), z.astype(float)
    rest = 2 * np.exp(-np.abs(wide[:, 1]))
    low = np.log(2 + np.exp(np.minimum(wide[:, 1], 0))) - wide[:, 1]
    own = np.where(wide[:, 1] > 0, np.log1p(rest), low)
    expected = own + smoothing * 2 / 3 * wide[:, 1]
    loss = nn.SoftmaxCrossEntropy(label_smoothing=smoothing)
    found, gradient = loss_of(loss, z, y)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-38 if not smoothing else 1e-6)
    others = 2 / (2 + np.exp(np.maximum(wide[:, 1], -200)))
    np.testing.assert_allclose(
        gradient[:, 1],
        -others + 2 / 3 * smoothing,
        rtol=2e-6,
        atol=1e-38 if not smoothing else 1e-7,
    )


def squashed(layer: nn.Layer, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    net = nn.Network(layer, 1, needs_dx=True)
    y = net.forward(x.astype(np.float32)[:, None], True)
    return y[:, 0].copy(), net.backward(np.ones_like(y))[:, 0].copy()


def test_sigmoid_and_its_derivative() -> None:
    x = Z.astype(np.float32).astype(float)
    with np.errstate(over="ignore"):
        right, rest = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(x))
    y, dx = squashed(nn.Sigmoid(), x)
    np.testing.assert_allclose(y, right, rtol=1e-6, atol=1e-38)
    np.testing.assert_allclose(dx, right * rest, rtol=1e-6, atol=1e-38)


def test_gated_activations_far_below_zero() -> None:
    x = np.linspace(-80, 20, 500).astype(np.float32).astype(float)
    right, rest = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(x))
    y, dx = squashed(nn.SiLU(), x)
    np.testing.assert_allclose(y, x * right, rtol=1e-6)
    np.testing.assert_allclose(dx, right * (1 + x * rest), rtol=1e-5, atol=1e-7)
    x = np.array([-4.0, -3.0, -5.5])
    inner = 2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    np.testing.assert_allclose(squashed(nn.GELU(), x)[0], x / (1 + np.exp(-inner)), rtol=1e-5)


def test_a_gate_that_is_all_but_shut() -> None:
    net = nn.LSTM(1).build((1, 1))
    net.parameters["W"][...] = [[0, 0, 0, 1]]
    net.parameters["b"][...] = [-20, 0, 20, 0]
    expected = np.tanh(2.0611536e-09 * np.tanh(1.0))
    np.testing.assert_allclose(net.predict(np.ones((1, 1, 1), np.float32)), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (nn.MeanSquaredError(), np.zeros((3, 1))),
        (nn.Poisson(), np.ones((3, 1))),
        (nn.BinaryCrossEntropy(), np.ones((3, 1))),
    ],
    ids=repr,
)
def test_a_row_of_weight_0_poisons_nothing(loss: nn.Loss, y: np.ndarray) -> None:
    z, w = np.array([[1.0], [1e30], [2.0]], np.float32), np.array([1, 0, 2], np.float32)
    z[1] = np.inf if isinstance(loss, nn.BinaryCrossEntropy) else 1e30
    net = nn.Network(nn.Layer(), 1)
    with np.errstate(all="ignore"):
        value, dz = net.loss(z, y, loss, w)
    assert dz[1] == 0
    assert value == pytest.approx(net.loss(z[::2], y[::2], loss, w[::2])[0])


def test_a_class_of_weight_0_poisons_nothing() -> None:
    loss = nn.SoftmaxCrossEntropy(class_weights=(1.0, 0.0))
    z = np.array([[1, 0], [np.inf, 0]], np.float32)
    net = nn.Network(nn.Layer(), 2)
    with np.errstate(all="ignore"):
        value, dz = net.loss(z, np.array([0, 1]), loss)
    assert value == pytest.approx(np.log1p(np.exp(-1)))
    assert not dz[1].any()
