"""Outputs and every gradient equal torch's, to float32 rounding, on configurations at random."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpnn import nn

torch = pytest.importorskip("torch")
from tests.nn import torch_reference as reference  # noqa: E402
from tests.nn.cases import LOSSES, Case, network  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    # Flags that torch's kernels leave in the processor show up in NumPy's next product.
    pytest.mark.filterwarnings("ignore:invalid value encountered in dot"),
]
BOUNDED = settings(
    max_examples=15,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
size = st.integers(1, 9)
rows = st.integers(1, 6)
Drawn = tuple[nn.Layer, Any, Any]  # layer, shape of a row, integers below


@st.composite
def dense(draw: Callable) -> Drawn:
    shape = tuple(draw(st.lists(size, min_size=1, max_size=3)))
    return nn.Dense(draw(size), bias=draw(st.booleans())), shape, 0


@st.composite
def embedding(draw: Callable) -> Drawn:
    words = draw(size)
    return nn.Embedding(words, draw(size)), tuple(draw(st.lists(size, max_size=2))), words


@st.composite
def anywhere(draw: Callable, *layers: nn.Layer) -> Drawn:
    shape = tuple(draw(st.lists(size, min_size=1, max_size=3)))
    return draw(st.sampled_from(layers)), shape, 0


@st.composite
def layer_norm(draw: Callable) -> Drawn:
    """Some channels: of one or two, what is left is rounding, times 1 / √epsilon."""
    positions, channels = draw(st.lists(size, max_size=2)), draw(st.integers(4, 9))
    return nn.LayerNorm(epsilon=draw(st.sampled_from([1e-5, 1e-3]))), (*positions, channels), 0


@st.composite
def positional(draw: Callable) -> Drawn:
    return nn.PositionalEmbedding(), (draw(size), draw(size)), 0


@st.composite
def batch_norm(draw: Callable) -> Drawn:
    return nn.BatchNorm(epsilon=draw(st.sampled_from([1e-5, 1e-3]))), (draw(size), draw(size)), 0


@st.composite
def conv2d(draw: Callable) -> Drawn:
    two = st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3)))
    groups, shares = draw(st.integers(1, 3)), st.integers(1, 3)
    layer = nn.Conv2D(
        groups * draw(shares),
        draw(two),
        strides=draw(two),
        padding=draw(st.sampled_from(["valid", "same"])),
        dilation=draw(two),
        groups=groups,
        bias=draw(st.booleans()),
    )
    return layer, (draw(st.integers(7, 9)), draw(st.integers(7, 9)), groups * draw(shares)), 0


@st.composite
def conv1d(draw: Callable) -> Drawn:
    groups, shares, small = draw(st.integers(1, 3)), st.integers(1, 3), st.integers(1, 3)
    layer = nn.Conv1D(
        groups * draw(shares),
        draw(small),
        strides=draw(small),
        padding=draw(st.sampled_from(["valid", "same"])),
        dilation=draw(small),
        groups=groups,
    )
    return layer, (draw(st.integers(7, 9)), groups * draw(shares)), 0


@st.composite
def pools(draw: Callable) -> Drawn:
    two = st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3)))
    kind = draw(st.sampled_from([nn.MaxPool2D, nn.AveragePool2D]))
    layer = kind(draw(two), strides=draw(st.none() | two))
    shape = draw(st.integers(3, 7)), draw(st.integers(3, 7)), draw(size)
    return draw(st.sampled_from([layer, nn.GlobalAveragePool()])), shape, 0


@st.composite
def recurrent(draw: Callable) -> Drawn:
    kind = draw(st.sampled_from([nn.LSTM, nn.GRU]))
    return kind(draw(size), return_sequences=draw(st.booleans())), (draw(size), draw(size)), 0


@st.composite
def attention(draw: Callable) -> Drawn:
    heads = draw(st.integers(1, 4))
    layer = nn.MultiHeadAttention(heads, causal=draw(st.booleans()))
    return layer, (draw(size), heads * draw(st.integers(1, 4))), 0


@st.composite
def composed(draw: Callable) -> Drawn:
    width, units = draw(size), draw(size)
    branches = [
        nn.Dense(units),
        nn.Sequential(nn.Dense(3), nn.Tanh(), nn.Dense(units)),
        nn.Sequential(nn.Residual(nn.Dense(width), nn.SiLU()), nn.Dense(units)),
    ]
    chosen = draw(st.lists(st.sampled_from(branches), min_size=1, max_size=3))
    return draw(st.sampled_from([nn.Add, nn.Concatenate]))(*chosen), (width,), 0


@st.composite
def several_inputs(draw: Callable) -> Drawn:
    words = draw(size)
    tables = nn.Concatenate(
        nn.Sequential(nn.Input("a"), nn.Embedding(words, draw(size))),
        nn.Sequential(nn.Input("b"), nn.Dense(draw(size)), nn.ReLU()),
        nn.Input("b"),
    )
    model = nn.Sequential(tables, nn.Dense(draw(size)))
    return model, {"a": (), "b": (draw(size),)}, {"a": words}


LAYERS = {
    "dense": dense(),
    "embedding": embedding(),
    "positional": positional(),
    "batch-norm": batch_norm(),
    "layer-norm": layer_norm(),
    "normalization": anywhere(nn.Normalization()),
    "activations": anywhere(
        nn.ReLU(),
        nn.LeakyReLU(0.2),
        nn.GELU(),
        nn.SiLU(),
        nn.Sigmoid(),
        nn.Tanh(),
        nn.Softmax(),
    ),
    "shaping": anywhere(nn.Flatten(), nn.Rescale(0.3, 2.0)),
    "conv2d": conv2d(),
    "conv1d": conv1d(),
    "pools": pools(),
    "recurrent": recurrent(),
    "attention": attention(),
    "composed": composed(),
    "several-inputs": several_inputs(),
}


def close(found: Any, expected: Any, what: str) -> None:
    """Equal to some float32 roundings of the largest number."""
    expected = expected.detach().numpy()
    scale = max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-6 * scale, err_msg=what)


@pytest.mark.parametrize("kind", LAYERS)
@BOUNDED
@given(data=st.data())
def test_layer(kind: str, data: st.DataObject) -> None:
    layer, shape, below = data.draw(LAYERS[kind])
    batch, seed = data.draw(rows), data.draw(st.integers(0, 99))
    if kind == "batch-norm":
        batch += 2  # torch refuses a single value per channel, and of two little is left
    case = Case(kind, layer, shape, below=below)
    net, x = network(case, seed=seed), case.inputs(batch, seed)
    z = net.forward(x, True)
    p, there = reference.tensors(net), reference.to_torch(x)
    expected = reference.forward(layer, p, there)
    close(z, expected, "output")
    dz = np.random.default_rng(seed).standard_normal(z.shape).astype(np.float32)
    expected.backward(torch.from_numpy(dz))
    dx = net.backward(dz)
    for name, leaf in reference.leaves(p, net).items():
        close(net.gradients[name], leaf.grad, name)
    for name, values in there.items() if isinstance(there, dict) else [("x", there)]:
        if values.grad is not None:
            close(dx[name] if isinstance(dx, dict) else dx, values.grad, f"d{name}")


ALONE = [case for case in LOSSES if not hasattr(case.loss, "loss")]  # not around another


@pytest.mark.parametrize("name", sorted({type(case.loss).__name__ for case in ALONE}))
@BOUNDED
@given(data=st.data())
def test_loss(name: str, data: st.DataObject) -> None:
    case = data.draw(st.sampled_from([c for c in LOSSES if type(c.loss).__name__ == name]))
    loss = case.loss
    if name == "SoftmaxCrossEntropy" and loss.class_weights is None:
        loss = nn.SoftmaxCrossEntropy(label_smoothing=data.draw(st.floats(0, 0.9)))
    z, y, w = case.draw(data.draw(rows), data.draw(st.integers(0, 99)), np.float32)
    value, dz = nn.Network(nn.Layer(), case.shape).loss(z, y, loss, w)
    weights = loss.row_weights(y, w)
    there = torch.from_numpy(z.copy()).requires_grad_()
    each = reference.losses(loss, there, torch.from_numpy(y))
    expected = (each * torch.from_numpy(weights)).sum()
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=2e-6)
    close(dz, there.grad, "dz")


@pytest.mark.parametrize("causal", [False, True])
def test_attention_with_padding(causal: bool) -> None:
    """What is padding gets no weight and no gradient; torch is given the same scores to add."""
    layer = nn.MultiHeadAttention(2, causal=causal, mask="tokens")
    model = nn.Sequential(nn.Input("x"), layer)
    case = Case("padded", model, {"x": (5, 6), "tokens": (5,)}, below={"tokens": 9})
    net, x = network(case), case.inputs(3)
    x["tokens"] = np.array([[3, 1, 2, 0, 0], [4, 4, 4, 4, 4], [7, 0, 0, 0, 0]])
    z = net.forward(x, True)
    p, there = reference.tensors(net), reference.to_torch(x)
    hidden = -1e30 * (there["tokens"] == 0)[:, None, None].float()
    if causal:
        hidden = hidden + torch.full((5, 5), -1e30).triu(1)
    expected = reference.attention(layer, p["MultiHeadAttention[1]"], there["x"], hidden)
    close(z, expected, "output")
    dz = np.random.default_rng(0).standard_normal(z.shape).astype(np.float32)
    expected.backward(torch.from_numpy(dz))
    close(net.backward(dz)["x"], there["x"].grad, "dx")
    for name, leaf in reference.leaves(p, net).items():
        close(net.gradients[name], leaf.grad, name)


def test_equal_numbers_in_a_pool() -> None:
    """As behind a ReLU, where many are 0: the first of equals takes the gradient."""
    x = np.random.default_rng(0).integers(0, 3, (3, 6, 6, 2)).astype(np.float32)
    for layer in (nn.MaxPool2D(2), nn.MaxPool2D(3, strides=1)):
        net = nn.Network(layer, x.shape[1:], needs_dx=True)
        there = reference.to_torch(x)
        expected = reference.forward(layer, {}, there)
        dz = np.random.default_rng(1).standard_normal(expected.shape).astype(np.float32)
        expected.backward(torch.from_numpy(dz))
        close(net.forward(x, True), expected, "output")
        close(net.backward(dz), there.grad, "dx")
