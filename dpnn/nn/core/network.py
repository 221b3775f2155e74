"""Network: a layer bound to one flat vector of weights."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from dpnn.nn.core.initializers import initialize
from dpnn.nn.core.layer import Context, Layer, Pass, Rows
from dpnn.nn.core.losses import Loss
from dpnn.nn.core.params import Layout
from dpnn.nn.kernels import Array, array_module


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
        weights: Array | None = None,
        dtype: Any = np.float32,
        needs_dx: bool = False,
    ) -> None:
        like = np.empty(0, dtype) if weights is None else weights
        self.layer, self.input_shape = layer, each(input_shape, _normal)
        self.run = Pass(array_module(like), like.dtype, inputs=self.input_shape)
        self.context = Context(layer, self.input_shape, self.run, needs_dx)
        self.output_shape = self.context.y
        self.places = list(self.context.walk())
        self.least_rows = max(place.layer.least_rows(place.x) for place in self.places)
        params = {c.prefix + n: param for c in self.places for n, param in c.params.items()}
        self.layout = Layout(params)
        self._loss_context = Context(Layer(), (), self.run)
        self._thread, self._others = threading.get_ident(), threading.local()
        self.bind(np.zeros(self.layout.size, dtype) if weights is None else weights)

    def __reduce__(self) -> Any:  # copied and pickled without its buffers
        return Network, (self.layer, self.input_shape, self.weights, None, self.context.needs_dx)

    def bind(self, weights: Array, gradient: Array | None = None) -> "Network":
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

    def forward(self, x: Any, training: bool = False, key: tuple[int, ...] = ()) -> Array:
        """The output z (B, …), in a buffer that the next pass reuses."""
        got, expected = each(x, lambda v: v.shape[1:]), self.input_shape
        if isinstance(x, dict) and isinstance(expected, dict):
            got = {name: shape for name, shape in got.items() if name in expected}
        if got != expected:  # other inputs may ride along
            raise ValueError(f"the model expected rows of shape {expected}, got {got}")
        rows = length(x)
        if training and 0 < rows < self.least_rows:
            picky = next(c for c in self.places if c.layer.least_rows(c.x) > rows)
            what = f"{picky.name or type(self.layer).__name__} needs {self.least_rows} rows"
            cure = "take a larger batch or fewer shards"
            raise ValueError(f"{what} of a shard in each step, got {rows}: {cure}")
        self.run.training, self.run.key, self.run.inputs = training, key, x
        return self.context.forward(x)

    def loss(self, z: Array, y: Array, loss: Loss, weight: Array | None = None) -> Any:
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
        self, x: Any, y: Array, loss: Loss, weight: Array | None = None, key: tuple[int, ...] = ()
    ) -> float:
        """The loss SUM over the rows; fills `gradients` with the gradients of that sum.

        Randomness (Dropout) depends on `key`: in a loop of your own give (seed, epoch, step).
        """
        value, dz = self.loss(self.forward(x, True, key), y, loss, weight)
        self.backward(dz)
        return value

    def mine(self) -> "Network":
        """This network for the calling thread: the same weights, but buffers of its own."""
        if threading.get_ident() == self._thread:
            return self
        found = getattr(self._others, "network", None)
        if found is None:
            found = Network(self.layer, self.input_shape, self.weights)
            self._others.network = found
        return found if found.weights is self.weights else found.bind(self.weights)

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


def each(x: Any, f: Callable[[Any], Any]) -> Any:
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


def _normal(shape: Any) -> tuple[int, ...]:
    if isinstance(shape, int | np.integer):
        return (int(shape),)
    return tuple(shape)
