"""What a layer is, and the context that it works in.

A layer is a frozen dataclass of sizes and holds no arrays. Its three methods, always in this order:

shapes(x)                        x: the shape of one row -> ({name: Param}, y's shape)
forward(p, x, ctx)               -> (y, cache)
backward(p, g, cache, dy, ctx)   -> dx; overwrites every view in g, never accumulates

`p` and `g` hold the layer's parameters and gradients by name: views of the flat vectors. Layers
are re-entrant: all that belongs to a pass lies in the cache and the context. x and dy are read
only; y and dx are C-contiguous.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from math import prod
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dpnn.nn.backend import Array
from dpnn.nn.params import Param, Shape, Tree
from dpnn.nn.spec import Spec

if TYPE_CHECKING:
    from dpnn.nn.model import Network

Cache = Any  # what a layer's forward keeps for its backward
Rows = Any  # the shape of one row, or {input: shape}


class ShapeError(ValueError):
    """An input that does not fit a layer; each container puts its own name before the message."""


def expect(x: Rows, axes: str) -> Shape:
    """x, or ShapeError where it has not the axes named in `axes`: "T, C" or "…, C"."""
    names = axes.split(", ")
    least = len(names) - (names[0] == "…")
    if isinstance(x, dict) or len(x) < least or (len(x) > least and names[0] != "…"):
        raise ShapeError(f"expected x of shape (B, {axes}), got rows of {x}")
    return x


class Layer(Spec):
    """Base of all layers: no parameters, and rows keep their shape."""

    chained: ClassVar[bool] = False  # its children feed each other (Sequential), not side by side
    activation: ClassVar[str] = ""  # "relu": rectifies, so the weights before it begin larger

    def children(self) -> dict[str, Layer]:
        """Name -> layer, in order. The names are part of the parameters' names."""
        return {}

    def shapes(self, x: Rows) -> tuple[Tree, Rows]:
        return {}, x

    def forward(self, p: Tree, x: Any, ctx: Context) -> tuple[Array, Cache]:
        raise TypeError(f"{type(self).__name__} has no forward pass")

    def backward(self, p: Tree, g: Tree, cache: Cache, dy: Array, ctx: Context) -> Any:
        raise TypeError(f"{type(self).__name__} has no backward pass")

    def multiply_adds(self, params: Tree, y: Shape) -> int:
        """How many a row's forward pass takes, in matrix products."""
        matrices = [prod(p.shape) for p in params.values() if isinstance(p, Param)]
        return prod(y[:-1]) * sum(matrices)

    def build(
        self, input_shape: int | Shape | dict[str, Shape], seed: int = 0, dtype: Any = np.float32
    ) -> Network:
        """A network of this layer for rows of `input_shape`, with fresh weights."""
        from dpnn.nn.model import Network

        return Network(self, input_shape, dtype=dtype).init(seed)


@dataclass
class Run:
    """What all layers of one pass share."""

    xp: ModuleType
    dtype: np.dtype
    training: bool = False
    key: tuple[int, ...] = ()  # (seed, epoch, step, shard, chunk): randomness hangs on it alone
    inputs: Any = None  # the network's x
    moments: list[Array] | None = None  # where a Normalization puts its sums, if they are wanted


class Context:
    """One layer's corner of a pass: its name, its randomness, and its buffers.

    Buffers are reused from pass to pass, so what a layer returns is valid until its next pass.
    """

    def __init__(
        self, layer: Layer, params: Tree, run: Run, needs_dx: bool = False, name: str = ""
    ) -> None:
        self.run, self.xp, self.dtype, self.name = run, run.xp, run.dtype, name
        self.needs_dx = needs_dx  # False: nothing before this layer is trained
        self.children: list[Context] = []
        self._memory: dict[Any, Array] = {}
        self._views: dict[Any, Array] = {}
        for child, below in layer.children().items():
            path = f"{name}.{child}" if name else child
            self.children.append(Context(below, params[child], run, needs_dx, path))
            needs_dx = needs_dx or (layer.chained and _trains(params[child]))

    @property
    def training(self) -> bool:
        return self.run.training

    def empty(self, tag: str, shape: Shape, dtype: Any = None) -> Array:
        """The buffer `tag`, uninitialised, reused from pass to pass."""
        view = self._views.get((tag, shape, dtype))
        if view is None:
            size, memory = prod(shape), self._memory.get((tag, dtype))
            if memory is None or memory.size < size or len(self._views) > 256:
                self._views.clear()
            if memory is None or memory.size < size:
                memory = self.xp.empty(size, self.dtype if dtype is None else dtype)
                self._memory[tag, dtype] = memory
            self._views[tag, shape, dtype] = view = memory[:size].reshape(shape)
        return view

    def floats(self, x: Array, tag: str = "floats") -> Array:
        """`x`, or where its dtype is another (integers, float64) a converted copy in a buffer."""
        if x.dtype == self.dtype:
            return x
        out = self.empty(tag, x.shape)
        self.xp.copyto(out, x, casting="unsafe")
        return out

    def rng(self) -> np.random.Generator:
        """Random numbers that hang on the pass's key and this layer's name alone."""
        words = (*self.run.key, zlib.crc32(self.name.encode()))
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))


def _trains(params: Tree) -> bool:
    leaves = params.values()
    return any(_trains(v) if isinstance(v, dict) else v.momentum is None for v in leaves)
