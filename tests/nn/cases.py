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

    value(p, x) is the expected output in evaluation mode; None where the layer is random or made
    of layers that have rows of their own.
    """

    name: str
    layer: nn.Layer
    shape: Any
    value: Callable[[Params, Any], np.ndarray] | None = None
    below: int = 0
    smallest: int = 0  # the fewest rows that make sense
    options: dict[str, Any] = field(default_factory=dict)  # of gradient_check

    def inputs(self, rows: int, seed: int = 0, dtype: Any = np.float32) -> Any:
        """Random rows; floats keep away from 0, where rectifiers have a corner."""
        rng = np.random.default_rng(seed)
        if isinstance(self.shape, dict):
            return {k: _draw(rng, (rows, *s), self.below, dtype) for k, s in self.shape.items()}
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


CASES = [
    Case("dense", nn.Dense(4), (3,), dense),
    Case("dense-no-bias", nn.Dense(4, bias=False), (3,), dense),
    Case("dense-sequence", nn.Dense(4), (5, 3), dense),
    Case("dense-integers", nn.Dense(4), (3,), dense, below=9),
    Case("relu", nn.ReLU(), (3, 4), lambda p, x: np.maximum(x, 0)),
    Case("sigmoid", nn.Sigmoid(), (3, 4), lambda p, x: 1 / (1 + np.exp(-x))),
    Case("tanh", nn.Tanh(), (3, 4), lambda p, x: np.tanh(x)),
    Case("flatten", nn.Flatten(), (2, 3, 4), lambda p, x: x.reshape(len(x), 24)),
    Case("rescale", nn.Rescale(0.5, -1.0), (3,), lambda p, x: 0.5 * x - 1),
    Case("rescale-integers", nn.Rescale(1 / 255), (3,), lambda p, x: x / 255, below=256),
    Case("dropout", nn.Dropout(0.4), (7,), lambda p, x: x),
    Case(
        "sequential",
        nn.Sequential(nn.Dense(4), nn.Tanh(), nn.Sequential(nn.Dense(3), nn.Sigmoid())),
        (5,),
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

    def draw(self, rows: int, seed: int = 0, dtype: Any = np.float64) -> Any:
        """(z, y, w) at random; z keeps its distance to y, where absolute values have a corner."""
        rng = np.random.default_rng(seed)
        z = rng.standard_normal((rows, *self.shape))
        w = rng.uniform(0.5, 2, rows).astype(np.float32)
        if self.targets == "classes":
            y = rng.integers(0, self.shape[-1], (rows, *self.shape[:-1]))
        elif self.targets == "binary":
            y = rng.integers(0, 2, z.shape)
        elif self.targets == "counts":
            y = rng.poisson(2, z.shape)
        else:
            y = (z + rng.choice([-1, 1], z.shape) * rng.uniform(0.1, 3, z.shape)).astype(dtype)
        return z.astype(dtype), y, w


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
]


def by_name(case: Case | LossCase) -> str:
    return case.name


OPTIMIZERS = [
    nn.SGD(0.1),
    nn.SGD(0.1, momentum=0.9),
    nn.SGD(0.1, momentum=0.9, nesterov=True),
    nn.Adam(0.1),
    nn.AdamW(0.1, weight_decay=0.1),
]


def vector(size: int = 40000, dtype: Any = np.float32) -> tuple[nn.Layout, np.ndarray]:
    """A layout of a matrix and a bias, longer than one block of an update, and its weights."""
    net = nn.Network(nn.Dense(4), size // 4 - 1, dtype=dtype)
    net.weights[...] = np.random.default_rng(7).standard_normal(net.weights.shape)
    return net.layout, net.weights
