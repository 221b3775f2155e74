"""Network: a layer bound to one flat vector of weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dpnn.nn.backend import Array, array_module
from dpnn.nn.layer import Context, Layer, Run
from dpnn.nn.losses import Loss
from dpnn.nn.params import Layout, Shape


class Network:
    """A model for rows of one shape, and its weights.

    layer, input_shape, output_shape   what it is; shapes are of one row
    layout                             where each parameter lies
    weights (size,)                    the flat vector; `parameters` are its named views
    gradient (size,)                   likewise; `gradients` are its named views
    """

    def __init__(
        self,
        layer: Layer,
        input_shape: int | Shape | dict[str, Shape],
        weights: Array | None = None,
        dtype: Any = np.float32,
        needs_dx: bool = False,
    ) -> None:
        self.layer = layer
        self.input_shape = _normal(input_shape)
        shapes, self.output_shape = layer.shapes(self.input_shape)
        self.layout = Layout(layer, shapes)
        weights = np.zeros(self.layout.size, dtype) if weights is None else weights
        self._run = Run(array_module(weights), weights.dtype)
        self.context = Context(layer, shapes, self._run, needs_dx)
        self._loss_context = Context(Layer(), {}, self._run)
        self.bind(weights)

    def bind(self, weights: Array, gradient: Array | None = None) -> Network:
        """Use the caller's memory for the weights (may be read-only) and the gradient, (size,)."""
        self.weights, self._p = weights, self.layout.bind(weights)
        self._g = None
        if gradient is not None:
            self.gradient = gradient
        return self

    def init(self, seed: int) -> Network:
        """Fresh weights, by each layer's initializer."""
        host = np.zeros(self.layout.size, self.weights.dtype)
        self.layer.init(self.layout.bind(host), np.random.Generator(np.random.Philox(seed)))
        self.weights[...] = self._run.xp.asarray(host)
        return self

    @property
    def gradient(self) -> Array:
        """The flat gradient of the last `loss_and_gradients`; behind it the state's sums."""
        if self._g is None:
            self.gradient = self._run.xp.zeros(self.layout.size, self.weights.dtype)
        return self._gradient

    @gradient.setter
    def gradient(self, flat: Array) -> None:
        self._gradient, self._g = flat, self.layout.bind(flat)

    @property
    def parameters(self) -> dict[str, Array]:
        """Name -> view of the weights, trained parameters first, in layout order."""
        return self.layout.named(self.weights)

    @property
    def gradients(self) -> dict[str, Array]:
        """Name -> view of the gradient, trained parameters only."""
        return self.layout.named(self.gradient, state=False)

    def forward(self, x: Any, training: bool = False, key: tuple[int, ...] = ()) -> Array:
        """The output z (B, …), in a buffer that the next pass reuses."""
        self._check(x)
        self._run.training, self._run.key = training, key
        z, self._cache = self.layer.forward(self._p, x, self.context)
        return z

    def loss(self, z: Array, y: Array, loss: Loss, weight: Array | None = None) -> Any:
        """(loss sum, dz) of an output."""
        return loss(z, y, weight, self._loss_context)

    def backward(self, dz: Array) -> Any:
        """Fills the gradient from that of the last forward's output; returns dx or None."""
        if self._g is None:
            self.gradient = self._run.xp.zeros(self.layout.size, self.weights.dtype)
        return self.layer.backward(self._p, self._g, self._cache, dz, self.context)

    def loss_and_gradients(
        self,
        x: Any,
        y: Array,
        loss: Loss,
        weight: Array | None = None,
        key: tuple[int, ...] = (),
    ) -> float:
        """The loss SUM over the rows; fills `gradients` with the gradients of that sum.

        Randomness (Dropout) hangs on `key`: in a loop of your own give (seed, epoch, step).
        """
        value, dz = self.loss(self.forward(x, True, key), y, loss, weight)
        self.backward(dz)
        return value

    def predict(self, x: Any, batch_size: int = 1024) -> Array:
        """The output (B, …) of all rows, as a new array."""
        rows = len(next(iter(x.values()))) if isinstance(x, dict) else len(x)
        out = self._run.xp.empty((rows, *self.output_shape), self.weights.dtype)
        for part in _slices(rows, batch_size):
            some = {k: v[part] for k, v in x.items()} if isinstance(x, dict) else x[part]
            out[part] = self.forward(some)
        return out

    def _check(self, x: Any) -> None:
        expected = self.input_shape
        got = {k: v.shape[1:] for k, v in x.items()} if isinstance(x, dict) else x.shape[1:]
        if got == expected:
            return
        if isinstance(x, dict) and isinstance(expected, dict) and expected.keys() <= got.keys():
            wrong = [k for k in expected if got[k] != expected[k]]
            if not wrong:
                return
            name = f"input {wrong[0]!r}"
            got, expected = got[wrong[0]], expected[wrong[0]]
        else:
            name = "the model"
        raise ValueError(f"{name} expected x of shape {_rows(expected)}, got {_rows(got)}")


def _normal(shape: int | Shape | dict[str, Shape]) -> Any:
    if isinstance(shape, dict):
        return {name: _normal(s) for name, s in shape.items()}
    return (int(shape),) if isinstance(shape, int | np.integer) else tuple(shape)


def _rows(shape: Any) -> str:
    if isinstance(shape, dict):
        return "{" + ", ".join(f"{k}: {_rows(s)}" for k, s in shape.items()) + "}"
    return "(" + ", ".join(["B", *map(str, shape)]) + ")"


def _slices(rows: int, size: int) -> Iterator[slice]:
    return (slice(i, min(i + size, rows)) for i in range(0, rows, size))
