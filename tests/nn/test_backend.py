"""The array seam: the table again, on arrays that NumPy may not touch, and on a GPU."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dpnn import nn
from tests.nn.cases import CASES, LOSSES, OPTIMIZERS, Case, LossCase, by_name, network, vector
from tests.strict import strict

KEY = (1, 2, 3)


@pytest.fixture(params=["strict", pytest.param("cupy", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> ModuleType:
    """The array module of a device; arrays go there by `asarray` and come back by `get`."""
    if request.param == "strict":
        return strict
    cupy = pytest.importorskip("cupy")
    try:
        cupy.zeros(1)
    except cupy.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"CuPy without a GPU: {error}")
    return cupy


def equal(found: Any, expected: np.ndarray, device: ModuleType) -> None:
    """Bit for bit on the stand-in, which computes with NumPy; to rounding on a GPU."""
    assert nn.array_module(found) is device
    assert found.dtype == expected.dtype
    if device is strict:
        np.testing.assert_array_equal(found.get(), expected)
    else:
        np.testing.assert_allclose(found.get(), expected, rtol=1e-3, atol=1e-4)


def moved(x: Any, device: ModuleType) -> Any:
    if isinstance(x, dict):
        return {k: device.asarray(v) for k, v in x.items()}
    return device.asarray(x)


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_layer(case: Case, device: ModuleType) -> None:
    host, x = network(case), case.inputs(5)
    weights = device.asarray(host.weights)
    net = nn.Network(case.layer, case.shape, weights=weights, needs_dx=True)
    there = moved(x, device)
    equal(net.predict(there), host.predict(x), device)
    for _ in range(2):  # the second pass finds its buffers warm
        z, expected = net.forward(there, True, KEY), host.forward(x, True, KEY)
        equal(z, expected, device)
        dz = np.random.default_rng(0).standard_normal(expected.shape).astype(np.float32)
        dx, expected = net.backward(device.asarray(dz)), host.backward(dz)
        equal(net.gradient, host.gradient, device)
        for name in expected if isinstance(expected, dict) else []:
            if expected[name] is not None:
                equal(dx[name], expected[name], device)
        if isinstance(expected, np.ndarray):
            equal(dx, expected, device)


@pytest.mark.parametrize("case", LOSSES, ids=by_name)
def test_loss(case: LossCase, device: ModuleType) -> None:
    z, y, w = case.draw(5, dtype=np.float32)
    host = nn.Network(nn.Layer(), case.shape)
    net = nn.Network(nn.Layer(), case.shape, weights=device.zeros(0, np.float32))
    for weight in (None, w):
        there = None if weight is None else device.asarray(weight)
        value, dz = net.loss(device.asarray(z), device.asarray(y), case.loss, there)
        expected_value, expected = host.loss(z, y, case.loss, weight)
        equal(dz, expected, device)
        assert type(value) is float
        assert value == (expected_value if device is strict else pytest.approx(expected_value))
        own, expected = (
            case.loss.row_weights(device.asarray(y), there),
            case.loss.row_weights(y, weight),
        )
        assert (own is None) == (expected is None)
        if own is not None:
            equal(own, expected, device)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_optimizer(optimizer: nn.Optimizer, device: ModuleType) -> None:
    layout, host = vector()
    there = device.asarray(host)
    state, mirror = optimizer.init(layout, host), optimizer.init(layout, there)
    for seed in range(3):
        g = np.random.default_rng(seed).standard_normal(host.shape).astype(host.dtype)
        optimizer.update(mirror, there, device.asarray(g))
        optimizer.update(state, host, g)
        equal(there, host, device)
    assert state.keys() == mirror.keys()


def test_clipping(device: ModuleType) -> None:
    g = np.arange(5, dtype=np.float32)
    there = device.asarray(g)
    norms = nn.clip_by_global_norm(there, 2.0), nn.clip_by_global_norm(g, 2.0)
    assert norms[0] == pytest.approx(norms[1])
    equal(there, g, device)


def test_a_whole_fit(device: ModuleType) -> None:
    model = nn.Sequential(nn.Rescale(0.1), nn.Dense(6), nn.ReLU(), nn.Dropout(0.2), nn.Dense(3))
    host = model.build(4)
    net = nn.Network(model, 4, weights=device.asarray(host.weights))
    x = np.random.default_rng(0).integers(0, 20, (10, 4))
    y = np.arange(10) % 3
    adam, loss = nn.Adam(0.01), nn.SoftmaxCrossEntropy()
    state, mirror = adam.init(host.layout), adam.init(net.layout, net.weights)
    for step in range(5):
        value = net.loss_and_gradients(moved(x, device), moved(y, device), loss, key=(step,))
        assert value == pytest.approx(host.loss_and_gradients(x, y, loss, key=(step,)), rel=1e-5)
        adam.update(mirror, net.weights, net.gradient)
        adam.update(state, host.weights, host.gradient)
    equal(net.weights, host.weights, device)


def test_the_stand_in_refuses_what_a_gpu_would() -> None:
    a, n = strict.asarray(np.ones((2, 2))), np.ones((2, 2))
    for stray in (
        lambda: np.asarray(a),
        lambda: np.sum(a),
        lambda: np.add(a, 1),
        lambda: a + n,
        lambda: n * a,
        lambda: a.__setitem__(0, n[0]),
        lambda: a[np.array([0])],
        lambda: strict.add(a, a, where=a > 0),
        lambda: a.sum(axis=0, where=a > 0),
    ):
        with pytest.raises(TypeError):
            stray()
    with pytest.raises(ValueError, match="contiguous"):
        strict.dot(a, a, out=strict.zeros((2, 2)).T)
    assert not hasattr(strict, "add_newdoc")
    assert nn.array_module(a) is strict
