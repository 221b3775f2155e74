"""What a layer is, and the place that it works in.

A layer is a frozen dataclass of sizes and holds no arrays. Its three methods, always in this order:

shapes(x, ctx)                   x: the shape of one row -> ({name: Param}, y's shape)
forward(p, x, ctx)               -> (y, cache)
backward(p, g, cache, dy, ctx)   -> dx; overwrites every view in g, never accumulates

`p` and `g` hold the layer's parameters and gradients by name: views of the flat vectors. Layers
are re-entrant: all that belongs to a pass lies in the cache and the context. x and dy are read
only. A layer made of others adds them to its context in `shapes`, and runs `ctx.children`.
Their types stand at `Layer`, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dpnn.nn.kernels import Array, Buffers, keyed

from .params import Param, Shape
from .spec import Spec

if TYPE_CHECKING:
    from .network import Network

Cache = Any  # what a layer's forward keeps for its backward
Rows = Any  # the shape of one row, or {input: shape}
Key = tuple[int, ...]
Params = dict[str, Param]
Views = dict[str, Array]


class ShapeError(ValueError):
    """An input that does not fit a layer; each container puts its own name before the message."""


def expect(x: Rows, axes: str) -> Shape:
    """x, or ShapeError where it has not the axes named in `axes`: "T, C" or "…, C"."""
    names = axes.split(", ")
    fits = len(x) == len(names)
    if names[0] == "…":
        fits = len(x) >= len(names) - 1
    if isinstance(x, dict) or 0 in x or not fits:
        raise ShapeError(f"expected x of shape (B, {axes}), got rows of {x}")
    return x


def matrix(x: Array) -> Array:
    """x (…, C) as (N, C): each position is a row of its own."""
    return x.reshape(-1, x.shape[-1])


class Layer(Spec, base=True):
    """Base of all layers: no parameters, and rows keep their shape."""

    chained: ClassVar[bool] = False  # its children feed each other (Sequential), not side by side
    activation: ClassVar[str] = ""  # "relu": rectifies, so the weights before it begin larger
    probabilities: ClassVar[bool] = False  # what comes out is squashed already: no logits

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        return {}, expect(x, "…")

    def forward(self, p: Views, x: Any, ctx: Context) -> tuple[Array, Cache]:
        raise NotImplementedError(f"{type(self).__name__} has no method forward(p, x, ctx)")

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context):
        """dx, or None where nothing needs it."""

    def build(self, input_shape: Rows, seed: int = 0, dtype: Any = np.float32) -> Network:
        """A network of this layer for rows of `input_shape`, with fresh weights."""
        from .network import Network

        return Network(self, input_shape, dtype=dtype).init(seed)

    def summary(self, input_shape: Rows) -> str:
        """A table of all layers: output shapes, parameters, multiply-adds per row."""
        return self.build(input_shape).table()

    def least_rows(self, x: Rows) -> int:
        """How many rows of shape x a pass of training needs at least, where it has any."""
        return 1

    def multiply_adds(self, ctx: Context) -> int:
        """How many a row takes in matrix products, forward: each position times each matrix."""
        matrices = [param for param in ctx.params.values() if len(param.shape) > 1]
        return sum(prod(ctx.y[:-1]) * prod(param.shape) for param in matrices)


@dataclass
class Pass:
    """What all layers of one pass share."""

    xp: ModuleType
    dtype: np.dtype
    training: bool = False
    key: Key = ()  # (seed, epoch, step, shard, chunk): all that randomness depends on
    inputs: Any = None  # the network's x; while it is built, the shapes of its rows
    moments: list[Array] | None = None  # where a Normalization puts its sums, if they are wanted


class Context(Buffers):
    """One layer in its place: its name, parameters, children, randomness and buffers.

    x and y are the shapes of its rows, going in and coming out. needs_dx is False where nothing
    before the layer is trained. Buffers are reused from pass to pass, so what a layer returns is
    valid until its next pass.
    """

    def __init__(self, layer: Layer, x: Rows, run: Pass, needs_dx=False, name=""):
        super().__init__(run.xp, run.dtype)
        self.layer, self.x, self.run = layer, x, run
        self.needs_dx, self.name = needs_dx, name
        self.prefix = f"{name}." if name else ""
        self.children: list[Context] = []
        self.trained = False
        self.params, self.y = layer.shapes(x, self)
        for key, param in self.params.items():
            if not isinstance(param, Param):
                raise TypeError(f"{layer}.shapes gives {key} as {param}: say nn.Param({param})")
            self.trained |= param.momentum is None

    def add(self, name: str, layer: Layer, x: Rows) -> Rows:
        """A new child for rows of shape x; returns its output's shape."""
        needs_dx = self.needs_dx or (self.layer.chained and self.trained)
        try:
            child = Context(layer, x, self.run, needs_dx, self.prefix + name)
        except ShapeError as error:
            join = " " if str(error).startswith("expected") else "."
            raise ShapeError(f"{name}{join}{error}") from None
        self.children.append(child)
        self.trained |= child.trained
        return child.y

    def walk(self) -> Iterator[Context]:
        """This place and all below it, in order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def bind(self, weights, gradient):
        """Take this place's parameters and their gradients out of those of the network."""
        self._p = {name: weights[self.prefix + name] for name in self.params}
        self._g = {name: gradient[self.prefix + name] for name in self.params}

    def forward(self, x):
        y, self._cache = self.layer.forward(self._p, x, self)
        return y

    def backward(self, dy):
        return self.layer.backward(self._p, self._g, self._cache, dy, self)

    def rng(self) -> np.random.Generator:
        """Random numbers that depend on the pass's key and this layer's name alone."""
        return keyed(self.run.key, self.name)
