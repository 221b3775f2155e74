"""What the rest of dpnn relies on: sums, overwriting, keyed randomness, no big temporaries."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dpnn import nn
from tests.nn.cases import CASES, Case, by_name, network, rows_of

BATCHED = {"BatchNorm", "Dropout"}  # its rows see each other, or each row's noise its place


def independent(case: Case) -> bool:
    return not any(name in repr(case.layer) for name in BATCHED)


@pytest.mark.parametrize("case", list(filter(independent, CASES)), ids=by_name)
def test_gradients_add_up_over_rows(case: Case) -> None:
    """Contract 1: sums, no mean inside. A batch's gradient is the sum of its rows' gradients."""
    net, x = network(case, np.float64), case.inputs(4, dtype=np.float64)
    z = net.forward(x, True)
    dz = np.random.default_rng(0).standard_normal(z.shape)
    net.backward(dz)
    whole, parts = net.gradient.copy(), np.zeros_like(net.gradient)
    for row in range(4):
        net.forward(rows_of(x, slice(row, row + 1)), True)
        net.backward(dz[row : row + 1])
        parts += net.gradient
    np.testing.assert_allclose(whole, parts, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("causal", [False, True])
def test_who_sees_padding_alone_sees_nothing(causal: bool) -> None:
    layer = nn.Sequential(nn.Input("x"), nn.MultiHeadAttention(2, causal=causal, mask="t"))
    x = np.random.default_rng(0).standard_normal((3, 4, 4))
    tokens = np.array([[0, 0, 1, 2], [0, 0, 0, 0], [3, 0, 1, 0]])
    assert nn.gradient_check(layer, {"x": x, "t": tokens}) < 1e-6
    net = layer.build({"x": (4, 4), "t": (4,)}, dtype=np.float64)
    before = net.predict({"x": x, "t": tokens})
    bias = net.parameters["MultiHeadAttention[1].out.b"]
    blind = [(1, slice(None))] + [(0, slice(2))] * causal
    for row, times in blind:
        assert np.array_equal(before[row, times], np.broadcast_to(bias, before[row, times].shape))
    x[:, 3] += 10
    unmoved = slice(3) if causal else slice(0)
    assert np.array_equal(net.predict({"x": x, "t": tokens})[:, unmoved], before[:, unmoved])


def test_backward_overwrites_state_below_all_that_is_trained() -> None:
    net = nn.Sequential(nn.Normalization(), nn.Dense(2)).build(3)
    net.gradient[:] = np.nan
    net.backward(net.forward(np.ones((4, 3), np.float32), True))
    assert np.isfinite(net.gradient).all()


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_backward_overwrites(case: Case) -> None:
    """Contract 6: whatever stands in the gradient, all of it is overwritten, at every batch."""
    net = network(case)
    for rows in (4, 2, 4):
        x, found = case.inputs(rows), []
        for filling in (np.nan, 7.0):
            z = net.forward(x, True, (1,))
            net.gradient[...] = filling
            net.backward(np.ones_like(z))
            found.append(net.gradient.copy())
        assert np.array_equal(*found)
        assert np.isfinite(found[0]).all()


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_several_gradients_of_one_forward(case: Case) -> None:
    """A backward leaves what the forward kept as it is: two losses, a Jacobian."""
    net, found = network(case), []
    dz = np.ones_like(net.forward(case.inputs(3), True, (1,)))
    for factor in (1, -2, 1):
        dx = net.backward(factor * dz)
        arrays = dx.values() if isinstance(dx, dict) else [] if dx is None else [dx]
        found.append(np.concatenate([net.gradient, *(a.ravel() for a in arrays)]))
    assert np.array_equal(found[0], found[2])


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_backward_follows_the_bound_memory(case: Case) -> None:
    """Engines bind other gradient memory between passes: each gets a whole gradient."""
    net, x = network(case), case.inputs(4)
    found = []
    for _ in range(3):
        net.bind(net.weights, np.full(net.layout.size, np.nan, np.float32))
        z = net.forward(x, True, (1,))
        net.backward(np.ones_like(z))
        found.append(net.gradient.copy())
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert np.isfinite(found[0]).all()


def test_randomness_is_keyed_by_pass_and_layer() -> None:
    """Contract 4: the same key gives the same mask, on any network and after any other pass."""
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    x = np.ones((50, 20), np.float32)

    def mask(key: tuple[int, ...], net: nn.Network) -> np.ndarray:
        return net.forward(x, True, key).copy()

    net, other = model.build(20), model.build(20)
    first = mask((0, 1, 2, 3), net)
    mask((0, 1, 3, 3), net)
    assert np.array_equal(first, mask((0, 1, 2, 3), net))
    assert np.array_equal(first, mask((0, 1, 2, 3), other))
    for key in ((1, 1, 2, 3), (0, 2, 2, 3), (0, 1, 3, 3), (0, 1, 2, 4)):
        assert not np.array_equal(first, mask(key, net))
    assert 0.2 < (first > 0).mean() < 0.3  # the two layers drop different values
    assert np.array_equal(net.predict(x), x)


def peak(work: Callable[[], Any]) -> int:
    """The most bytes that Python's allocators hold at once during `work`, above the start."""
    tracemalloc.start()
    try:
        work()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


ATTENTION = nn.Residual(nn.LayerNorm(), nn.MultiHeadAttention(4))
WIDE = nn.Residual(nn.LayerNorm(), nn.Dense(256), nn.GELU(), nn.Dense(64))
MODELS = {  # model, row, rows, and its largest activation of a row
    "mlp": (
        nn.Sequential(nn.Rescale(0.1), nn.Dense(256), nn.ReLU(), nn.Dropout(0.1), nn.Dense(10)),
        (256,),
        2048,
        256,
    ),
    "cnn": (
        nn.Sequential(
            nn.Conv2D(8, 3, padding="same"),
            nn.BatchNorm(),
            nn.ReLU(),
            nn.Conv2D(8, 3, padding="same"),
            nn.Flatten(),
            nn.Dense(10),
        ),
        (16, 16, 3),
        1024,
        16 * 16 * 8,
    ),
    "lstm": (nn.Sequential(nn.LSTM(64), nn.Dense(10)), (32, 16), 128, 32 * 4 * 64),
    "transformer": (
        nn.Sequential(ATTENTION, WIDE, nn.GlobalAveragePool(), nn.Dense(10)),
        (32, 64),
        128,
        32 * 256,
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_no_big_temporaries_in_a_warm_step(name: str) -> None:
    """Contract 7: activations, masks and gradients live in buffers that stay.

    The bound is less than the largest activation: a single forgotten temporary breaks it, blocks
    that fit a core's cache do not, nor Dropout's random bits (two bytes a value).
    """
    model, shape, rows, largest = MODELS[name]
    net = model.build(shape)
    x = np.random.default_rng(0).standard_normal((rows, *shape)).astype(np.float32)
    y = np.arange(rows) % net.output_shape[-1]
    adam, loss = nn.Adam(), nn.SoftmaxCrossEntropy()
    state, trained = adam.init(net.layout), net.layout.trained

    def step() -> None:
        net.loss_and_gradients(x, y, loss, key=(1,))
        adam.update(state, net.weights[:trained], net.gradient[:trained])

    step()
    assert peak(step) < 0.75 * rows * largest * 4


@pytest.mark.parametrize("rows", [1000, 2**17, 2**17 + 2**13])
def test_sums_over_many_rows_do_not_drift(rows: int) -> None:
    """One after another, they would be 6e-4 off."""
    net = nn.Dense(3).build((rows, 2))
    dz = np.full(net.forward(np.ones((1, rows, 2), np.float32), True).shape, 0.1, np.float32)
    net.backward(dz)
    np.testing.assert_allclose(net.gradients["b"], dz.sum(axis=(0, 1), dtype=float), rtol=1e-5)


def test_batch_statistics_far_from_zero() -> None:
    x = np.random.default_rng(0).normal(1000, 1, (256, 4096, 3)).astype(np.float32)
    z = nn.BatchNorm().build((4096, 3)).forward(x, True)
    wide = x.astype(float)
    expected = (wide - wide.mean(axis=(0, 1))) / wide.std(axis=(0, 1))
    assert np.abs(z - expected).max() < 1e-3


def test_layers_at_their_limits() -> None:
    """What lies there in integers, in windows of more places than 16 bits count, in long means."""
    x = np.full((1, 1), 200, np.uint8)
    assert nn.Residual().build(1).forward(x) == 400
    x = np.zeros((1, 300, 300, 1), np.float32)
    x[0, -1, -1] = 1
    net = nn.MaxPool2D(300).build((300, 300, 1))
    net = nn.Network(net.layer, net.input_shape, needs_dx=True)
    assert net.forward(x, True) == 1
    assert np.array_equal(net.backward(np.ones((1, 1, 1, 1), np.float32)), x)
    x = np.full((1, 2**17, 1), 1000.1, np.float32)
    np.testing.assert_allclose(nn.GlobalAveragePool().build((2**17, 1)).forward(x), x[0, :1], 1e-6)


def test_weights_may_be_frozen() -> None:
    """Contract 5: weights arrive read-only, and no pass needs to write them."""
    net = MODELS["mlp"][0].build(256)
    net.weights.flags.writeable = False
    x = np.ones((4, 256), np.float32)
    net.loss_and_gradients(x, np.zeros(4, int), nn.SoftmaxCrossEntropy())
    with pytest.raises(ValueError, match="read-only"):
        net.parameters["Dense[1].W"][...] = 0
