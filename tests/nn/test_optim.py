"""One test body over all optimizers, then what is special of each."""

import json
from dataclasses import replace

import numpy as np
import pytest

from dpnn import nn
from tests.nn.cases import OPTIMIZERS, vector

ALL = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)


@ALL
def test_state_is_flat_arrays_and_numbers(optimizer: nn.Optimizer) -> None:
    layout, w = vector()
    state = optimizer.init(layout, w)
    for name in optimizer.slots:
        assert (state[name].shape, state[name].dtype) == ((layout.trained,), w.dtype)
    assert all(isinstance(v, np.ndarray | int | float) for v in state.values())


@ALL
def test_update_is_in_place_and_keeps_the_dtype(optimizer: nn.Optimizer) -> None:
    for dtype in (np.float32, np.float64):
        layout, w = vector(dtype=dtype)
        before, place = w.copy(), w.ctypes.data
        state = optimizer.init(layout, w)
        arrays = {k: v.ctypes.data for k, v in state.items() if isinstance(v, np.ndarray)}
        optimizer.update(state, w, np.ones_like(w))
        assert (w.dtype, w.ctypes.data) == (dtype, place)
        assert not (w == before).any()
        assert arrays == {k: state[k].ctypes.data for k in arrays}


@ALL
def test_minimises_a_quadratic(optimizer: nn.Optimizer) -> None:
    layout, w = vector(40, np.float64)
    optimizer = replace(optimizer, learning_rate=nn.CosineDecay(0.2, 400))
    curvature = np.linspace(0.5, 2, w.size)
    state, start = optimizer.init(layout, w), float(curvature @ w**2)
    for _ in range(400):
        optimizer.update(state, w, curvature * w)
    assert float(curvature @ w**2) < 0.02 * start


@ALL
def test_resumes_from_its_state(optimizer: nn.Optimizer) -> None:
    """State and weights are all there is: a copy goes on with the same bits."""
    layout, w = vector(400)
    gradients = np.random.default_rng(1).standard_normal((6, w.size)).astype(np.float32)
    state = optimizer.init(layout, w)
    for g in gradients[:3]:
        optimizer.update(state, w, g.copy())
    other = w.copy()
    kept = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in state.items()}
    for g in gradients[3:]:
        optimizer.update(state, w, g.copy())
        optimizer.update(kept, other, g.copy())
    assert np.array_equal(w, other)


@pytest.mark.parametrize(
    "optimizer", [o for o in OPTIMIZERS if not isinstance(o, nn.LAMB)], ids=repr
)
def test_blocks_do_not_show(optimizer: nn.Optimizer) -> None:
    """A long vector is updated as its parts would be, block borders and all.

    Not with LAMB: a step hangs on the norm of the whole parameter.
    """
    layout, w = vector(60000)
    g = np.random.default_rng(2).standard_normal(w.shape).astype(np.float32)
    g[-4:] = 0.5
    w[-4:] = 2.0
    tiny, u = vector(8)
    u[...] = w[: u.size]
    state, small = optimizer.init(layout, w), optimizer.init(tiny, u)
    for _ in range(2):
        optimizer.update(state, w, g.copy())
        optimizer.update(small, u, g[: u.size].copy())
    matrix = slice(0, u.size - 4)  # the bias, which decay spares, lies elsewhere
    np.testing.assert_allclose(w[matrix], u[matrix], rtol=1e-6)


@ALL
def test_spec_round_trip(optimizer: nn.Optimizer) -> None:
    assert nn.from_spec(json.loads(json.dumps(nn.to_spec(optimizer)))) == optimizer


def test_clip_by_global_norm() -> None:
    g = np.array([3.0, 4.0], np.float32)
    assert nn.clip_by_global_norm(g, 10.0) == pytest.approx(5)
    assert g.tolist() == [3, 4]
    assert nn.clip_by_global_norm(g, 1.0) == pytest.approx(5)
    np.testing.assert_allclose(g, [0.6, 0.8], rtol=1e-6)


def test_adam_first_step_is_the_learning_rate() -> None:
    layout, w = vector(400, np.float64)
    before, adam = w.copy(), nn.Adam(0.25)
    g = np.random.default_rng(0).standard_normal(w.shape)
    adam.update(adam.init(layout, w), w, g.copy())
    np.testing.assert_allclose(w - before, -0.25 * np.sign(g), rtol=1e-5)


@pytest.mark.parametrize("make", [nn.SGD, nn.RMSProp, nn.Adagrad, nn.AdamW, nn.Lion])
def test_decay_spares_biases(make: type[nn.Optimizer]) -> None:
    """Without a gradient a matrix shrinks by η λ, a bias (and a norm's scale) stays."""
    layout, w = vector(40, np.float64)
    before, optimizer = w.copy(), make(0.1, weight_decay=0.5)
    optimizer.update(optimizer.init(layout, w), w, np.zeros_like(w))
    np.testing.assert_allclose(w[:-4], 0.95 * before[:-4], rtol=1e-12)
    assert np.array_equal(w[-4:], before[-4:])


def test_lamb_steps_are_as_long_as_the_weights_allow() -> None:
    layout, w = vector(40, np.float64)
    before, lamb = w.copy(), nn.LAMB(0.1, weight_decay=0.0)
    g = np.random.default_rng(0).standard_normal(w.shape)
    lamb.update(lamb.init(layout, w), w, 1000 * g)
    matrix = slice(0, 36)
    step = np.linalg.norm((w - before)[matrix])
    assert step == pytest.approx(0.1 * np.linalg.norm(before[matrix]))


def test_lion_steps_are_signs() -> None:
    layout, w = vector(40, np.float64)
    before, g = w.copy(), np.random.default_rng(0).standard_normal(w.shape)
    lion = nn.Lion(0.01)
    lion.update(lion.init(layout, w), w, g.copy())
    np.testing.assert_allclose(before - w, 0.01 * np.sign(g), rtol=1e-9)


def test_a_step_is_an_evaluation_and_an_update():
    w, g = np.ones(3, np.float32), np.arange(3, dtype=np.float32)
    optimizer = nn.SGD(0.5)
    state = optimizer.init(nn.Dense(1).build(2).layout)
    found = optimizer.step(state, w, lambda: nn.Evaluation(7.0, g.copy(), "tail"))
    assert (found.value, found.tail) == (7.0, "tail")
    np.testing.assert_array_equal(w, 1 - 0.5 * g)
    optimizer.step(state, w, lambda: nn.Evaluation(0.0, None))  # rows that all weigh nothing
    np.testing.assert_array_equal(w, 1 - 0.5 * g)
    assert state["step"] == 1


class Factored(nn.Layer):
    """Parameters of four kinds: as it is, slower, frozen, and a bias that decays."""

    def shapes(self, x, ctx):
        return {
            "plain": nn.Param((3, 2), (1.0,)),
            "slow": nn.Param((2, 2), (1.0,), rate=0.5),
            "frozen": nn.Param((2, 3), (1.0,), rate=0.0),
            "bias": nn.Param((4,), (1.0,), decay=2.0),
        }, x


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("make", [nn.SGD, nn.Adam, nn.RMSProp, nn.Adagrad, nn.LAMB, nn.Lion])
def test_parameters_have_factors_of_rate_and_decay(
    make: type[nn.Optimizer], weight_decay: float
) -> None:
    net = nn.Network(Factored(), 1, dtype=np.float64).init(0)
    optimizer = make(0.1, weight_decay=weight_decay)
    optimizer.update(optimizer.init(net.layout, net.weights), net.weights, np.ones(20))
    moved = {name: 1 - values.reshape(-1) for name, values in net.parameters.items()}
    assert (moved["plain"] > 0).all()
    assert not moved["frozen"].any()
    np.testing.assert_allclose(moved["slow"], 0.5 * moved["plain"][:4], rtol=1e-9)
    if make is nn.SGD:
        np.testing.assert_allclose(moved["bias"], 0.1 + 0.1 * 2 * weight_decay, rtol=1e-9)


def test_lamb_scales_each_matrix_by_its_own_norm() -> None:
    """Also matrices that lie side by side."""
    net = nn.Sequential(nn.Dense(4, bias=False), nn.Dense(3, bias=False)).build(5)
    net.weights[:20] *= 100
    before = {name: values.copy() for name, values in net.parameters.items()}
    lamb = nn.LAMB(0.1, weight_decay=0.0)
    lamb.update(lamb.init(net.layout), net.weights, np.ones(32, np.float32))
    for name, values in net.parameters.items():
        step = np.linalg.norm(values - before[name])
        assert step == pytest.approx(0.1 * np.linalg.norm(before[name]), rel=1e-4)
