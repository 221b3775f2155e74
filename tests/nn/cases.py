"""The table: every layer and loss, inputs for it, and its value in a few plain lines.

Each row of the table is put through every check of the harness: value, gradient, dtype, re-used
buffers, determinism, specs, small batches, the stand-in array module, and CuPy where there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dpnn import nn

Params = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """One row. `shape` is of one row; `below` > 0 draws integers in [0, below) instead of floats.

    Both are dicts by input where there are several.

    value(p, x) is the expected output in evaluation mode; None where the layer is random or made
    of layers that have rows of their own.
    """

    name: str
    layer: nn.Layer
    shape: Any
    value: Callable[[Params, Any], np.ndarray] | None = None
    below: Any = 0
    options: dict[str, Any] = field(default_factory=dict)  # of gradient_check
    trains: tuple[int, ...] | None = None  # the output's rows in training, where they are others

    def inputs(self, rows: int, seed: int = 0, dtype: Any = np.float32) -> Any:
        """Random rows; floats keep away from 0, where rectifiers have a corner."""
        rng = np.random.default_rng(seed)
        if isinstance(self.shape, dict):
            below = self.below or {}
            return {
                name: _draw(rng, (rows, *shape), below.get(name, 0), dtype)
                for name, shape in self.shape.items()
            }
        return _draw(rng, (rows, *self.shape), self.below, dtype)


def _draw(rng: np.random.Generator, shape: tuple[int, ...], below: int, dtype: Any) -> np.ndarray:
    if below:
        return rng.integers(0, below, shape)
    x = rng.standard_normal(shape)
    return (x + 0.05 * np.sign(x)).astype(dtype)


def network(case: Case, dtype: Any = np.float32, seed: int = 0) -> nn.Network:
    """The row's network, with no parameter at a special value (no bias at 0, no scale at 1)."""
    net = nn.Network(case.layer, case.shape, dtype=dtype, needs_dx=True).init(seed)
    noise = np.random.default_rng(seed + 1).standard_normal(net.weights.shape)
    net.weights += (0.1 * np.abs(noise)).astype(dtype)  # running variances stay positive
    return net


def rows_of(x: Any, part: Any) -> Any:
    """Some rows of an input or of each of several."""
    return {k: v[part] for k, v in x.items()} if isinstance(x, dict) else x[part]


# --- values, in plain lines ---


def dense(p: Params, x: np.ndarray) -> np.ndarray:
    return np.einsum("...i,io->...o", x, p["W"]) + p.get("b", 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def gelu(p: Params, x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def layer_norm(p: Params, x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    return p["gamma"] * centred / spread + p["beta"]


def batch_norm(p: Params, x: np.ndarray) -> np.ndarray:
    return p["gamma"] * (x - p["mean"]) / np.sqrt(p["variance"] + 1e-5) + p["beta"]


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Zeros before and after, as TensorFlow has them: an odd one goes behind."""
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def pair(size: Any) -> tuple[int, int]:
    return size if isinstance(size, tuple) else (size, size)


def conv(layer: Any) -> Callable[[Params, np.ndarray], np.ndarray]:
    """One output position and one filter at a time."""
    (s, t), (d, e) = pair(layer.strides), pair(layer.dilation)

    def value(p: Params, x: np.ndarray) -> np.ndarray:
        kernel, width, channels, filters = p["W"].shape
        if layer.padding == "same":
            rows = same_padding(x.shape[1], kernel, s, d)
            columns = same_padding(x.shape[2], width, t, e)
            x = np.pad(x, ((0, 0), rows, columns, (0, 0)))
        high = (x.shape[1] - (kernel - 1) * d - 1) // s + 1
        wide = (x.shape[2] - (width - 1) * e - 1) // t + 1
        y = np.empty((len(x), high, wide, filters))
        for i, j, o in np.ndindex(high, wide, filters):
            own = o // (filters // layer.groups) * channels
            window = x[:, i * s :, j * t :, own : own + channels][:, ::d, ::e][:, :kernel, :width]
            y[:, i, j, o] = (window * p["W"][..., o]).sum(axis=(1, 2, 3))
        return y + p.get("b", 0)

    return value


def conv1d(layer: Any) -> Callable[[Params, np.ndarray], np.ndarray]:
    high = nn.Conv2D(
        layer.filters,
        (1, layer.kernel_size),
        strides=(1, layer.strides),
        padding=layer.padding,
        dilation=(1, layer.dilation),
        groups=layer.groups,
    )
    inner = conv(high)
    names = {"conv.W": "W", "conv.b": "b"}
    return lambda p, x: inner({names[n]: v for n, v in p.items()}, x[:, None])[:, 0]


def pool(function: Any, size: tuple[int, int], stride: tuple[int, int]) -> Any:
    def value(p: Params, x: np.ndarray) -> np.ndarray:
        high = (x.shape[1] - size[0]) // stride[0] + 1
        wide = (x.shape[2] - size[1]) // stride[1] + 1
        y = np.empty((len(x), high, wide, x.shape[3]))
        for i, j in np.ndindex(high, wide):
            top, left = i * stride[0], j * stride[1]
            y[:, i, j] = function(x[:, top : top + size[0], left : left + size[1]], axis=(1, 2))
        return y

    return value


def convolution(name: str, layer: nn.Layer, shape: tuple[int, ...] = (5, 6, 2)) -> Case:
    return Case(name, layer, shape, (conv if len(shape) == 3 else conv1d)(layer))


def lstm(p: Params, x: np.ndarray) -> np.ndarray:
    """All states (B, T, H), one time after the other."""
    h = c = np.zeros((len(x), len(p["U"])))
    states = []
    for t in range(x.shape[1]):
        i, f, o, g = np.split(x[:, t] @ p["W"] + h @ p["U"] + p["b"], 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.stack(states, axis=1)


def gru(p: Params, x: np.ndarray) -> np.ndarray:
    h = np.zeros((len(x), len(p["U"])))
    states = []
    for t in range(x.shape[1]):
        inward = np.split(x[:, t] @ p["W"] + p["b"], 3, axis=1)
        again = np.split(h @ p["U"] + p["c"], 3, axis=1)
        r, u = sigmoid(inward[0] + again[0]), sigmoid(inward[1] + again[1])
        h = u * h + (1 - u) * np.tanh(inward[2] + r * again[2])
        states.append(h)
    return np.stack(states, axis=1)


def attention(
    p: Params, x: np.ndarray, heads: int, causal: bool = False, tokens: Any = None
) -> np.ndarray:
    """One head after the other."""
    q, k, v = np.split(x @ p["in.W"] + p["in.b"], 3, axis=-1)
    time, depth = x.shape[1], x.shape[2] // heads
    out = np.empty_like(x)
    for head in range(heads):
        own = slice(head * depth, (head + 1) * depth)
        scores = q[..., own] @ k[..., own].swapaxes(1, 2) / np.sqrt(depth)
        if causal:
            scores[:, ~np.tri(time, dtype=bool)] = -np.inf
        if tokens is not None:
            scores = np.where(tokens[:, None] == 0, -1e30, scores)
        out[..., own] = softmax(scores) @ v[..., own]
    return out @ p["out.W"] + p["out.b"]


def mish(x: np.ndarray) -> np.ndarray:
    return x * np.tanh(np.log1p(np.exp(x)))


def selu(x: np.ndarray) -> np.ndarray:
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1))


def periodic(p: Params, x: np.ndarray) -> np.ndarray:
    """One column after the other."""
    features = []
    for f in range(x.shape[1]):
        waves = np.cos(2 * np.pi * x[:, f, None] * p["w"][f] + p["b"][f])
        features += [x[:, f, None], waves @ p["V"][f] + p["c"][f]]
    return np.concatenate(features, axis=1)


def piecewise(p: Params, x: np.ndarray) -> np.ndarray:
    """Between whole numbers, a line from one sum of rows of W to the next."""
    corners = np.cumsum(np.pad(p["W"], ((0, 0), (1, 0), (0, 0))), axis=1)  # (F, K + 1, O)
    places = np.arange(corners.shape[1])
    features = [
        np.interp(x[:, f], places, corners[f, :, o]) + p["b"][f, o]
        for f in range(x.shape[1])
        for o in range(corners.shape[2])
    ]
    return np.stack(features, axis=1)


def one_hot(x: np.ndarray, sizes: tuple[int, ...], unseen: int | None = None) -> np.ndarray:
    tables = [np.eye(size) for size in sizes]
    for table in tables:
        table[slice(0) if unseen is None else unseen] = 0
    return np.concatenate([table[x[:, f]] for f, table in enumerate(tables)], axis=1)


def member_dense(p: Params, x: np.ndarray) -> np.ndarray:
    return np.stack([x[:, m] @ p["W"][m] + p["b"][m] for m in range(x.shape[1])], axis=1)


def odds(p: np.ndarray) -> np.ndarray:
    return np.log(p / (1 - p))


def unnamed(p: Params, layer: str) -> Params:
    """The parameters of one layer of a model, by their own names."""
    return {name.removeprefix(layer + "."): v for name, v in p.items() if name.startswith(layer)}


WIDE_AND_DEEP = nn.Sequential(
    nn.Concatenate(
        nn.Sequential(nn.Input("carrier"), nn.Embedding(5, 3)),
        nn.Sequential(nn.Input("origin"), nn.Embedding(4, 2), nn.Flatten()),
        nn.Sequential(nn.Input("distance"), nn.Dense(3), nn.Tanh()),
        nn.Input("distance"),
    ),
    nn.Dense(2),
)

CASES = [
    Case("dense", nn.Dense(4), (3,), dense),
    Case("dense-no-bias", nn.Dense(4, bias=False), (3,), dense),
    Case("dense-sequence", nn.Dense(4), (5, 3), dense),
    Case("dense-integers", nn.Dense(4), (3,), dense, below=9),
    Case("embedding", nn.Embedding(6, 3), (), lambda p, x: p["W"][x], below=6),
    Case("embedding-sequence", nn.Embedding(6, 3), (4,), lambda p, x: p["W"][x], below=6),
    Case("positional", nn.PositionalEmbedding(), (4, 3), lambda p, x: x + p["W"]),
    Case("relu", nn.ReLU(), (3, 4), lambda p, x: np.maximum(x, 0)),
    Case("leaky-relu", nn.LeakyReLU(0.1), (3, 4), lambda p, x: np.where(x > 0, x, 0.1 * x)),
    Case("gelu", nn.GELU(), (3, 4), gelu),
    Case("silu", nn.SiLU(), (3, 4), lambda p, x: x * sigmoid(x)),
    Case("sigmoid", nn.Sigmoid(), (3, 4), lambda p, x: sigmoid(x)),
    Case("tanh", nn.Tanh(), (3, 4), lambda p, x: np.tanh(x)),
    Case("softmax", nn.Softmax(), (3, 4), lambda p, x: softmax(x)),
    Case("layer-norm", nn.LayerNorm(), (4,), layer_norm),
    Case("layer-norm-sequence", nn.LayerNorm(), (3, 4), layer_norm),
    Case("batch-norm", nn.BatchNorm(), (4,), batch_norm),
    Case("batch-norm-images", nn.BatchNorm(), (2, 3, 4), batch_norm),
    Case(
        "normalization",
        nn.Normalization(),
        (4,),
        lambda p, x: (x - p["mean"] - p["rest"]) * p["scale"],
    ),
    convolution("conv2d", nn.Conv2D(3, 2)),
    convolution("conv2d-same", nn.Conv2D(3, 3, padding="same")),
    convolution("conv2d-same-even", nn.Conv2D(3, (2, 4), padding="same")),
    convolution("conv2d-strides", nn.Conv2D(3, (3, 2), strides=(2, 3))),
    convolution("conv2d-strides-same", nn.Conv2D(3, 3, strides=2, padding="same")),
    convolution("conv2d-strides-beyond", nn.Conv2D(3, 2, strides=3, padding="same")),
    convolution("conv2d-dilation", nn.Conv2D(2, 2, dilation=(2, 3))),
    convolution("conv2d-dilation-same", nn.Conv2D(2, 3, dilation=2, padding="same")),
    convolution("conv2d-1x1", nn.Conv2D(4, 1)),
    convolution("conv2d-1x1-strides", nn.Conv2D(4, 1, strides=2, bias=False)),
    convolution("conv2d-groups", nn.Conv2D(6, 2, groups=2), (4, 4, 4)),
    convolution("conv2d-depthwise", nn.Conv2D(3, 3, padding="same", groups=3), (4, 5, 3)),
    convolution("conv2d-depthwise-strides", nn.Conv2D(6, 2, strides=2, groups=3), (5, 4, 3)),
    convolution("conv1d", nn.Conv1D(3, 2), (5, 2)),
    convolution("conv1d-same", nn.Conv1D(3, 3, strides=2, padding="same"), (6, 2)),
    convolution("conv1d-dilation-groups", nn.Conv1D(4, 2, dilation=2, groups=2), (6, 2)),
    Case("max-pool", nn.MaxPool2D(), (4, 6, 2), pool(np.max, (2, 2), (2, 2))),
    Case("max-pool-cut", nn.MaxPool2D(2), (5, 7, 2), pool(np.max, (2, 2), (2, 2))),
    Case("max-pool-overlap", nn.MaxPool2D((3, 2), 1), (5, 4, 2), pool(np.max, (3, 2), (1, 1))),
    Case("average-pool", nn.AveragePool2D(2), (5, 6, 2), pool(np.mean, (2, 2), (2, 2))),
    Case(
        "average-pool-overlap",
        nn.AveragePool2D(3, strides=(1, 2)),
        (5, 7, 2),
        pool(np.mean, (3, 3), (1, 2)),
    ),
    Case("global-average", nn.GlobalAveragePool(), (3, 4, 2), lambda p, x: x.mean(axis=(1, 2))),
    Case("global-average-sequence", nn.GlobalAveragePool(), (5, 2), lambda p, x: x.mean(axis=1)),
    Case(
        "cnn",
        nn.Sequential(nn.Conv2D(2, 3), nn.ReLU(), nn.MaxPool2D(), nn.Flatten(), nn.Dense(2)),
        (6, 6, 1),
    ),
    Case("lstm", nn.LSTM(3), (4, 2), lambda p, x: lstm(p, x)[:, -1]),
    Case("lstm-sequences", nn.LSTM(3, return_sequences=True), (4, 2), lstm),
    Case("gru", nn.GRU(3), (4, 2), lambda p, x: gru(p, x)[:, -1]),
    Case("gru-sequences", nn.GRU(3, return_sequences=True), (4, 2), gru),
    Case("attention", nn.MultiHeadAttention(2), (3, 4), lambda p, x: attention(p, x, 2)),
    Case(
        "attention-causal",
        nn.MultiHeadAttention(2, causal=True),
        (3, 4),
        lambda p, x: attention(p, x, 2, causal=True),
    ),
    Case(
        "attention-padded",
        nn.Sequential(nn.Input("x"), nn.MultiHeadAttention(2, mask="tokens")),
        {"x": (4, 4), "tokens": (4,)},
        lambda p, x: attention(unnamed(p, "MultiHeadAttention[1]"), x["x"], 2, tokens=x["tokens"]),
        below={"tokens": 3},
    ),
    Case(
        "transformer",
        nn.Sequential(
            nn.Embedding(7, 4),
            nn.PositionalEmbedding(),
            nn.Residual(nn.LayerNorm(), nn.MultiHeadAttention(2, causal=True)),
            nn.Residual(nn.LayerNorm(), nn.Dense(6), nn.GELU(), nn.Dense(4)),
            nn.GlobalAveragePool(),
            nn.Dense(2),
        ),
        (5,),
        below=7,
    ),
    Case("flatten", nn.Flatten(), (2, 3, 4), lambda p, x: x.reshape(len(x), 24)),
    Case("reshape", nn.Reshape((4, 3)), (2, 6), lambda p, x: x.reshape(len(x), 4, 3)),
    Case("rescale", nn.Rescale(0.5, -1.0), (3,), lambda p, x: 0.5 * x - 1),
    Case("rescale-integers", nn.Rescale(1 / 255), (3,), lambda p, x: x / 255, below=256),
    Case("dropout", nn.Dropout(0.4), (7,), lambda p, x: x),
    Case(
        "sequential",
        nn.Sequential(nn.Dense(4), nn.Tanh(), nn.Sequential(nn.Dense(3), nn.Sigmoid())),
        (5,),
    ),
    Case(
        "residual",
        nn.Residual(nn.Dense(3), nn.Tanh()),
        (3,),
        lambda p, x: x + np.tanh(x @ p["Dense[0].W"] + p["Dense[0].b"]),
    ),
    Case(
        "add",
        nn.Add(nn.Dense(3), nn.Tanh(), nn.Sequential(nn.Dense(3), nn.ReLU())),
        (3,),
    ),
    Case("smooth-clip", nn.SmoothClip(2), (3, 4), lambda p, x: x / np.sqrt(1 + x * x / 4)),
    Case("selu", nn.SELU(), (3, 4), lambda p, x: selu(x)),
    Case("mish", nn.Mish(), (3, 4), lambda p, x: mish(x)),
    Case("blend", nn.Blend(nn.Mish()), (3, 4), lambda p, x: x + p["a"] * (mish(x) - x)),
    Case(
        "blend-trained",
        nn.Blend(nn.Dense(4)),
        (4,),
        lambda p, x: x + p["a"] * (dense(unnamed(p, "f"), x) - x),
    ),
    Case("scale", nn.Scale(), (3, 4), lambda p, x: p["s"] * x),
    Case("ntk", nn.NTKDense(3), (2, 4), lambda p, x: x @ p["W"] / 2 + p["b"]),
    Case("ntk-zeros", nn.NTKDense(3, 0.1, "zeros"), (4,), lambda p, x: x @ p["W"] / 2 + p["b"]),
    Case("one-hot", nn.OneHot((3, 5)), (2,), lambda p, x: one_hot(x, (3, 5)), below=3),
    Case(
        "one-hot-unseen",
        nn.OneHot((4, 5), unseen=1),
        (2,),
        lambda p, x: one_hot(x, (4, 5), 1),
        below=4,
    ),
    Case("periodic", nn.PeriodicEmbedding(2, 5), (3,), periodic),
    Case("piecewise", nn.PiecewiseLinear(3, 4), (5,), piecewise),
    Case("select", nn.Select((2, 0, 2)), (4,), lambda p, x: x[:, [2, 0, 2]]),
    Case("members", nn.Members(3), (4,), lambda p, x: x[:, None] * p["R"]),
    Case("members-signs", nn.Members(3, "signs"), (4,), lambda p, x: x[:, None] * p["R"]),
    Case("member-scale", nn.MemberScale(), (3, 4), lambda p, x: x * p["s"] + p["b"]),
    Case("member-scale-alone", nn.MemberScale(bias=False), (3, 4), lambda p, x: x * p["s"]),
    Case("member-dense", nn.MemberDense(2), (3, 4), member_dense),
    Case("mean", nn.MeanOfMembers(), (3, 2), lambda p, x: x.mean(axis=1), trains=(3, 2)),
    Case(
        "mean-binary",
        nn.MeanOfMembers("binary"),
        (3, 2),
        lambda p, x: odds(sigmoid(x).mean(axis=1)),
        trains=(3, 2),
    ),
    Case(
        "mean-classes",
        nn.MeanOfMembers("classes"),
        (3, 4),
        lambda p, x: np.log(softmax(x).mean(axis=1)),
        trains=(3, 4),
    ),
    Case(
        "tabm",
        nn.Sequential(
            nn.Concatenate(
                nn.Sequential(nn.Input("places"), nn.PiecewiseLinear(3, 2)),
                nn.Sequential(nn.Input("numbers"), nn.PeriodicEmbedding(), nn.Scale()),
                nn.Sequential(nn.Input("codes"), nn.OneHot((3, 4))),
            ),
            nn.Members(2),
            nn.Dense(4, bias=False),
            nn.MemberScale(),
            nn.Blend(nn.SELU()),
            nn.MemberDense(1),
            nn.MeanOfMembers("binary"),
        ),
        {"places": (2,), "numbers": (2,), "codes": (2,)},
        below={"codes": 3},
        trains=(2, 1),
    ),
    Case("concatenate", nn.Concatenate(nn.Dense(2), nn.Tanh(), nn.Dense(1)), (4, 3)),
    Case(
        "wide-and-deep",
        WIDE_AND_DEEP,
        {"carrier": (), "origin": (2,), "distance": (2,)},
        below={"carrier": 5, "origin": 4},
    ),
]


@dataclass(frozen=True)
class LossCase:
    """One loss: outputs z (rows, *shape) and targets; value(z, y) is the loss of each row."""

    name: str
    loss: nn.Loss
    shape: tuple[int, ...]
    value: Callable[[np.ndarray, np.ndarray], np.ndarray]
    targets: str = "values"  # "classes", "binary" or "counts"
    row_weight: Callable[[np.ndarray], np.ndarray] | None = None  # what the loss itself weighs by
    members: bool = False  # z has an axis of members, which y has not

    def draw(self, rows: int, seed: int = 0, dtype: Any = np.float64) -> Any:
        """(z, y, w) at random; z keeps its distance to y, where absolute values have a corner."""
        rng = np.random.default_rng(seed)
        given = z = rng.standard_normal((rows, *self.shape))
        if self.members:
            z = z[:, 0]
        w = rng.uniform(0.5, 2, rows).astype(np.float32)
        if self.targets == "classes":
            y = rng.integers(0, self.shape[-1], z.shape[:-1])
        elif self.targets == "binary":
            y = rng.integers(0, 2, z.shape)
        elif self.targets == "counts":
            y = rng.poisson(2, z.shape)
        else:
            y = (z + rng.choice([-1, 1], z.shape) * rng.uniform(0.1, 3, z.shape)).astype(dtype)
        return given.astype(dtype), y, w


def _log_softmax(z: np.ndarray) -> np.ndarray:
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def _per_row(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1).mean(axis=1)


def cross_entropy(smoothing: float = 0.0) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def value(z: np.ndarray, y: np.ndarray) -> np.ndarray:
        classes = z.shape[-1]
        target = (1 - smoothing) * np.eye(classes)[y] + smoothing / classes
        return _per_row(-(target * _log_softmax(z)).sum(axis=-1))

    return value


def huber(delta: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def value(z: np.ndarray, y: np.ndarray) -> np.ndarray:
        d = abs(z - y)
        return _per_row(np.where(d <= delta, d**2 / 2, delta * (d - delta / 2)))

    return value


def each_member(value: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Any:
    """One member after the other."""
    return lambda z, y: np.mean([value(z[:, m], y) for m in range(z.shape[1])], axis=0)


CLASS_WEIGHTS = (0.5, 2.0, 1.5)

LOSSES = [
    LossCase("softmax", nn.SoftmaxCrossEntropy(), (3,), cross_entropy(), "classes"),
    LossCase("softmax-sequence", nn.SoftmaxCrossEntropy(), (4, 3), cross_entropy(), "classes"),
    LossCase(
        "softmax-smoothed",
        nn.SoftmaxCrossEntropy(label_smoothing=0.1),
        (3,),
        cross_entropy(0.1),
        "classes",
    ),
    LossCase(
        "softmax-class-weights",
        nn.SoftmaxCrossEntropy(class_weights=CLASS_WEIGHTS),
        (3,),
        cross_entropy(),
        "classes",
        lambda y: np.array(CLASS_WEIGHTS)[y],
    ),
    LossCase(
        "binary",
        nn.BinaryCrossEntropy(),
        (2,),
        lambda z, y: _per_row(np.log1p(np.exp(z)) - y * z),
        "binary",
    ),
    LossCase(
        "binary-one-output",
        nn.BinaryCrossEntropy(),
        (1,),
        lambda z, y: _per_row(np.log1p(np.exp(z)) - y * z),
        "binary",
    ),
    LossCase("squared", nn.MeanSquaredError(), (2,), lambda z, y: _per_row((z - y) ** 2)),
    LossCase(
        "squared-sequence", nn.MeanSquaredError(), (3, 2), lambda z, y: _per_row((z - y) ** 2)
    ),
    LossCase("absolute", nn.MeanAbsoluteError(), (2,), lambda z, y: _per_row(abs(z - y))),
    LossCase("huber", nn.Huber(1.5), (2,), huber(1.5)),
    LossCase("poisson", nn.Poisson(), (2,), lambda z, y: _per_row(np.exp(z) - y * z), "counts"),
    LossCase(
        "quantile",
        nn.Quantile(0.9),
        (2,),
        lambda z, y: _per_row(np.maximum(0.9 * (y - z), 0.1 * (z - y))),
    ),
    LossCase(
        "scaled",
        nn.Scaled(nn.MeanSquaredError(), 4.0),
        (2,),
        lambda z, y: _per_row((z - y) ** 2) / 16,
    ),
    LossCase(
        "members-binary",
        nn.EachMember(nn.BinaryCrossEntropy()),
        (3, 1),
        each_member(lambda z, y: _per_row(np.log1p(np.exp(z)) - y * z)),
        "binary",
        members=True,
    ),
    LossCase(
        "members-classes",
        nn.EachMember(nn.SoftmaxCrossEntropy(class_weights=CLASS_WEIGHTS)),
        (2, 3),
        each_member(cross_entropy()),
        "classes",
        lambda y: np.array(CLASS_WEIGHTS)[y],
        members=True,
    ),
    LossCase(
        "members-values",
        nn.EachMember(nn.MeanSquaredError()),
        (3, 2),
        each_member(lambda z, y: _per_row((z - y) ** 2)),
        members=True,
    ),
    LossCase(
        "members-as-one",
        nn.EachMember(nn.MeanSquaredError()),
        (2,),
        lambda z, y: _per_row((z - y) ** 2),
    ),
]


def by_name(case: Case | LossCase) -> str:
    return case.name


OPTIMIZERS = [
    nn.SGD(0.1),
    nn.SGD(0.1, momentum=0.9),
    nn.SGD(0.1, momentum=0.9, nesterov=True),
    nn.SGD(0.1, weight_decay=0.1),
    nn.RMSProp(0.1),
    nn.RMSProp(0.1, momentum=0.9),
    nn.Adagrad(0.1),
    nn.Adam(0.1),
    nn.AdamW(0.1, weight_decay=0.1),
    nn.LAMB(0.1),
    nn.Lion(0.1),
]


def vector(size: int = 40000, dtype: Any = np.float32) -> tuple[nn.Layout, np.ndarray]:
    """A layout of a matrix and a bias, longer than one block of an update, and its weights."""
    net = nn.Network(nn.Dense(4), size // 4 - 1, dtype=dtype)
    net.weights[...] = np.random.default_rng(7).standard_normal(net.weights.shape)
    return net.layout, net.weights
