"""What a layer is, and the context that it works in.

A layer is a frozen dataclass of sizes and holds no arrays. Its four methods, always in this order:

shapes(x)                        x: the shape of one row -> ({name: parameter shape}, y's shape)
init(p, rng, then)               fills its parameters; `then` is the activation that follows it
forward(p, x, ctx)               -> (y, cache)
backward(p, g, cache, dy, ctx)   -> dx; overwrites every view in g, never accumulates

`p` and `g` hold the layer's parameters and gradients by name: views of the flat vectors. Layers
are re-entrant: all that belongs to a pass lies in the cache and the context.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from math import prod
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dpnn.nn.backend import Array
from dpnn.nn.params import Shape, Tree

if TYPE_CHECKING:
    from dpnn.nn.model import Network


class ShapeError(ValueError):
    """An input that does not fit a layer; each container puts its own name before the message."""


class Layer:
    """Base of all layers: no parameters, the identity."""

    chained: ClassVar[bool] = False  # its children feed each other (Sequential), not side by side
    activation: ClassVar[str] = ""  # the gain that an initializer before it should use

    def children(self) -> dict[str, Layer]:
        """Name -> layer, in order. The names are part of the parameters' names."""
        return {}

    def state_momentum(self, name: str) -> float | None:
        """None: parameter `name` is trained. Else the momentum of its running mean."""
        return None

    def shapes(self, x: Any) -> tuple[Tree, Any]:
        return {}, x

    def init(self, p: Tree, rng: np.random.Generator, then: str = "") -> None:
        """Fill the parameters; `then` names the activation that comes next."""

    def forward(self, p: Tree, x: Any, ctx: Context) -> tuple[Array, Any]:
        raise TypeError(f"{type(self).__name__} has no forward pass")

    def backward(self, p: Tree, g: Tree, cache: Any, dy: Array, ctx: Context) -> Any:
        raise TypeError(f"{type(self).__name__} has no backward pass")

    def build(
        self, input_shape: int | Shape | dict[str, Shape], seed: int = 0, dtype: Any = np.float32
    ) -> Network:
        """A network of this layer for rows of `input_shape`, with fresh weights."""
        from dpnn.nn.model import Network

        return Network(self, input_shape, dtype=dtype).init(seed)

    def child_shapes(self, name: str, x: Any) -> tuple[Tree, Any]:
        """A child's shapes; an error says whose it is."""
        try:
            return self.children()[name].shapes(x)
        except ShapeError as error:
            join = "" if str(error).startswith("expected") else "."
            raise ShapeError(f"{name}{join or ' '}{error}") from None


def numbered(layers: tuple[Layer, ...]) -> dict[str, Layer]:
    """Dense[0], ReLU[1], …: the names of a container's children."""
    return {f"{type(layer).__name__}[{i}]": layer for i, layer in enumerate(layers)}


@dataclass
class Run:
    """What all layers of one pass share."""

    xp: ModuleType
    dtype: np.dtype
    training: bool = False
    key: tuple[int, ...] = ()  # (seed, epoch, step, shard, chunk): randomness hangs on it alone


class Context:
    """One layer's corner of a pass: its name, its randomness, and its buffers.

    Buffers are reused from pass to pass, so what a layer returns is valid until its next pass.
    """

    def __init__(
        self, layer: Layer, shapes: Tree, run: Run, needs_dx: bool = False, name: str = ""
    ) -> None:
        self.run, self.xp, self.dtype, self.name = run, run.xp, run.dtype, name
        self.needs_dx = needs_dx  # False: nothing before this layer has a parameter
        self.children: list[Context] = []
        self._memory: dict[Any, Array] = {}
        self._views: dict[Any, Array] = {}
        for child, below in layer.children().items():
            path = f"{name}.{child}" if name else child
            self.children.append(Context(below, shapes[child], run, needs_dx, path))
            needs_dx = needs_dx or (layer.chained and _has_parameters(shapes[child]))

    @property
    def training(self) -> bool:
        return self.run.training

    def empty(self, tag: str, shape: Shape, dtype: Any = None) -> Array:
        """The buffer `tag`, uninitialised, reused from pass to pass."""
        view = self._views.get((tag, shape, dtype))
        if view is None:
            view = self._view(tag, shape, self.dtype if dtype is None else dtype)
            self._views[tag, shape, dtype] = view
        return view

    def _view(self, tag: str, shape: Shape, dtype: Any) -> Array:
        size, memory = prod(shape), self._memory.get((tag, dtype))
        if memory is None or memory.size < size:
            self._memory[tag, dtype] = memory = self.xp.empty(size, dtype)
            self._views.clear()
        elif len(self._views) > 256:
            self._views.clear()
        return memory[:size].reshape(shape)

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


def _has_parameters(shapes: Tree) -> bool:
    return any(_has_parameters(v) if isinstance(v, dict) else True for v in shapes.values())
