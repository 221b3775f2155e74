"""Network: a layer bound to one flat vector of weights."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from dpnn.nn.kernels import Array, PerThread, array_module

from .initializers import initialize
from .layer import Context, Key, Layer, Pass, Rows
from .losses import Loss
from .params import Layout, Param


class Network:
    """A model for rows of one shape, and its weights.

    layer, input_shape, output_shape   what it is; shapes are of one row
    layout                             where each parameter lies
    weights (size,)                    the flat vector; `parameters` are its named views
    gradient (size,)                   likewise; `gradients` are its named views
    least_rows                         how many rows a pass of training needs, where it has any
    """

    def __init__(
        self,
        layer: Layer,
        input_shape: Rows,
        weights: Any = None,
        dtype: Any = np.float32,
        needs_dx: bool = False,
    ) -> None:
        like = np.empty(0, dtype) if weights is None else weights
        self.layer, self.input_shape = layer, each(input_shape, _normal)
        self.run = Pass(array_module(like), like.dtype, inputs=self.input_shape)
        self.context = Context(layer, self.input_shape, self.run, needs_dx)
        self.output_shape = self.context.y
        self.places = list(self.context.walk())
        least = [place.layer.least_rows(place.x) for place in self.places]
        self.least_rows = max(least)
        self._picky = self.places[least.index(self.least_rows)].name or type(layer).__name__
        params: dict[str, Param] = {}
        for place in self.places:
            params |= {place.prefix + name: param for name, param in place.params.items()}
        self.layout = Layout(params)
        self._loss_context = Context(Layer(), (), self.run)
        self._mine = PerThread(self, lambda: Network(layer, self.input_shape, self.weights))
        self.bind(np.zeros(self.layout.size, dtype) if weights is None else weights)

    def __reduce__(self) -> Any:  # copied and pickled without its buffers
        return Network, (self.layer, self.input_shape, self.weights, None, self.context.needs_dx)

    def bind(self, weights: Array, gradient: Any = None) -> "Network":
        """Use the caller's memory for the weights (may be read-only) and the gradient, (size,)."""
        if gradient is None:
            gradient = self.run.xp.zeros(self.layout.size, self.run.dtype)
        self.weights, self.gradient = weights, gradient
        p, g = self.parameters, self.layout.named(gradient)
        for place in self.places:
            place.bind(p, g)
        return self

    def init(self, seed: int) -> "Network":
        """Fresh weights, by each layer's initializer."""
        host = np.zeros(self.layout.size, self.weights.dtype)
        rng = np.random.Generator(np.random.Philox(seed))
        initialize(self.context, self.layout.named(host), rng)
        self.weights[...] = self.run.xp.asarray(host)
        return self

    @property
    def parameters(self) -> dict[str, Array]:
        """Name -> view of the weights, trained parameters first, in layout order."""
        return self.layout.named(self.weights)

    @property
    def gradients(self) -> dict[str, Array]:
        """Name -> view of the gradient, trained parameters only."""
        return self.layout.named(self.gradient, state=False)

    def forward(self, x: Any, training: bool = False, key: Key = ()) -> Array:
        """The output z (B, …), in a buffer that the next pass reuses."""
        got, expected = each(x, lambda v: v.shape[1:]), self.input_shape
        if isinstance(x, dict) and isinstance(expected, dict):  # others may ride along
            got = {name: shape for name, shape in got.items() if name in expected}
        if got != expected:
            raise ValueError(f"the model expected rows of shape {expected}, got {got}")
        rows = length(x)
        if training and 0 < rows < self.least_rows:
            what = f"{self._picky} needs {self.least_rows} rows of a shard in each step"
            raise ValueError(f"{what}, got {rows}: take a larger batch or fewer shards")
        self.run.training, self.run.key, self.run.inputs = training, key, x
        return self.context.forward(x)

    def loss(self, z: Array, y: Array, loss: Loss, weight: Any = None) -> Any:
        """(loss sum, dz) of an output; dz in a buffer that the next call reuses."""
        if weight is not None:
            weight = weight.reshape(-1)
        if not len(z) == len(y) == len(z if weight is None else weight):
            weights = "" if weight is None else f" and {len(weight)} weights"
            raise ValueError(f"{len(z)} rows of outputs, but {len(y)} targets{weights}")
        return loss(z, y, weight, self._loss_context)

    def backward(self, dz: Array) -> Any:
        """Fills the gradient from that of the last forward's output; returns dx or None.

        dx lies in a buffer that the next pass reuses.
        """
        self.gradient[self.layout.trained :].fill(0)  # state below all that is trained is skipped
        return self.context.backward(dz)

    def loss_and_gradients(
        self, x: Any, y: Array, loss: Loss, weight: Any = None, key: Key = ()
    ) -> float:
        """The loss SUM over the rows; fills `gradients` with the gradients of that sum.

        Randomness (Dropout) depends on `key`: in a loop of your own give (seed, epoch, step).
        """
        value, dz = self.loss(self.forward(x, True, key), y, loss, weight)
        self.backward(dz)
        return value

    def mine(self) -> "Network":
        """This network for the calling thread: the same weights, but buffers of its own."""
        network = self._mine()
        return network if network.weights is self.weights else network.bind(self.weights)

    def predict(self, x: Any, batch_size: int = 1024) -> Array:
        """The output (B, …) of all rows, as a new array; from any number of threads."""
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        rows, network = length(x), self.mine()
        out = self.run.xp.empty((rows, *self.output_shape), self.weights.dtype)
        for start in range(0, rows, batch_size):
            some = slice(start, start + batch_size)
            out[some] = network.forward(each(x, lambda v: v[some]))  # noqa: B023  (called at once)
        return out

    def table(self) -> str:
        """One line for each layer that has none below it or work of its own, and the total."""
        lines = [("layer", "output", "parameters", "multiply-adds")]
        total = work = 0
        for place in self.places:
            size = sum(prod(param.shape) for param in place.params.values())
            adds = place.layer.multiply_adds(place)
            total += size
            work += adds
            if not place.children or adds:
                name = place.name or type(place.layer).__name__
                lines.append((name, str(place.y), f"{size:,}", f"{adds:,}"))
        lines.append(("total", str(self.output_shape), f"{total:,}", f"{work:,}"))
        left = max(len(name) for name, *_ in lines)
        middle = max(len(shape) for _, shape, *_ in lines)
        return "\n".join(f"{a:{left}}  {b:>{middle}}{c:>14}{d:>16}" for a, b, c, d in lines)


def each(x: Any, f: Callable) -> Any:
    """f of x, or of each of its values where x is a dict of inputs."""
    if isinstance(x, dict):
        return {name: f(value) for name, value in x.items()}
    return f(x)


def length(x: Any) -> int:
    """The number of rows; ValueError where inputs have different ones."""
    inputs = x.values() if isinstance(x, dict) else [x]
    lengths = {len(v) for v in inputs}
    if len(lengths) != 1:
        raise ValueError(f"inputs of different lengths: {each(x, len)}")
    return lengths.pop()


def _normal(shape):
    if isinstance(shape, int | np.integer):
        return (int(shape),)
    return tuple(shape)
