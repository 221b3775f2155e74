"""Network: a layer bound to one flat vector of weights."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from dpnn.nn.core.initializers import initialize
from dpnn.nn.core.layer import Context, Layer, Rows, Run
from dpnn.nn.core.losses import Loss
from dpnn.nn.core.params import Layout
from dpnn.nn.core.shaping import Flatten
from dpnn.nn.kernels.arrays import Array, array_module


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
        input_shape: Rows,
        weights: Array | None = None,
        dtype: Any = np.float32,
        needs_dx: bool = False,
    ) -> None:
        like = np.empty(0, dtype) if weights is None else weights
        self.layer, self.input_shape = layer, each(input_shape, _normal)
        self.run = Run(array_module(like), like.dtype, inputs=self.input_shape)
        self.context = Context(layer, self.input_shape, self.run, needs_dx)
        self._loss_context = Context(Layer(), (), self.run)
        self.output_shape = self.context.y
        places = list(self.context.walk())
        self.least_rows = max(place.layer.least_rows(place.x) for place in places)
        self._squashed = _squashed(self.context)
        self._thread = threading.get_ident()
        self._others = threading.local()
        self.layout = Layout({c.prefix + n: param for c in places for n, param in c.params.items()})
        self.bind(np.zeros(self.layout.size, dtype) if weights is None else weights)

    def __reduce__(self) -> Any:  # copied and pickled without its buffers
        return Network, (self.layer, self.input_shape, self.weights, None, self.context.needs_dx)

    def bind(self, weights: Array, gradient: Array | None = None) -> "Network":
        """Use the caller's memory for the weights (may be read-only) and the gradient, (size,)."""
        if gradient is None:
            gradient = self.run.xp.zeros(self.layout.size, self.run.dtype)
        self.weights, self.gradient = weights, gradient
        p, g = self.parameters, self.layout.named(gradient)
        for place in self.context.walk():
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
        if isinstance(x, dict) and isinstance(expected, dict) and expected.keys() <= got.keys():
            got = {name: got[name] for name in expected}  # others may ride along
        if got != expected:
            raise ValueError(f"the model expected rows of shape {expected}, got {got}")
        length(x)
        self.run.training, self.run.key, self.run.inputs = training, key, x
        return self.context.forward(x)

    def loss(self, z: Array, y: Array, loss: Loss, weight: Array | None = None) -> Any:
        """(loss sum, dz) of an output; dz in a buffer that the next call reuses."""
        weight = None if weight is None else weight.reshape(-1)
        if not len(z) == len(y) == len(z if weight is None else weight):
            weights = "" if weight is None else f" and {len(weight)} weights"
            raise ValueError(f"{len(z)} rows of outputs, but {len(y)} targets{weights}")
        if loss.logits:
            self.check(loss)
        return loss(z, y, weight, self._loss_context)

    def check(self, loss: Loss) -> None:
        """ValueError where a loss cannot be this network's."""
        loss.check(self.output_shape)
        if loss.logits and self._squashed:
            raise ValueError(
                f"{type(loss).__name__} takes logits and makes probabilities itself, but the "
                f"model ends in {self._squashed}: leave that layer out"
            )

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

        Randomness (Dropout) hangs on `key`: in a loop of your own give (seed, epoch, step).
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
            found = self._others.network = Network(self.layer, self.input_shape, self.weights)
        return found if found.weights is self.weights else found.bind(self.weights)

    def predict(self, x: Any, batch_size: int = 1024) -> Array:
        """The output (B, …) of all rows, as a new array; from any number of threads."""
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        rows, net = length(x), self.mine()
        out = self.run.xp.empty((rows, *self.output_shape), self.weights.dtype)
        for start in range(0, rows, batch_size):
            some = slice(start, start + batch_size)
            out[some] = net.forward(each(x, lambda v: v[some]))  # noqa: B023  (called at once)
        return out


def _squashed(place: Context) -> str:
    """The layer that makes probabilities of what a place gives out; "" where none does."""
    if place.layer.probabilities:
        return place.name or type(place.layer).__name__
    children = [child for child in place.children if not isinstance(child.layer, Flatten)]
    last = children[-1:] if place.layer.chained else children
    return next(filter(None, map(_squashed, last)), "")


def each(x: Any, f: Callable[[Any], Any]) -> Any:
    """f of x, or of each of its values where x is a dict of inputs."""
    return {name: f(value) for name, value in x.items()} if isinstance(x, dict) else f(x)


def length(x: Any) -> int:
    """The number of rows; ValueError where inputs have different ones."""
    lengths = {len(v) for v in (x.values() if isinstance(x, dict) else (x,))}
    if len(lengths) != 1:
        raise ValueError(f"inputs of different lengths: {each(x, len)}")
    return lengths.pop()


def _normal(shape: Any) -> tuple[int, ...]:
    return (int(shape),) if isinstance(shape, int | np.integer) else tuple(shape)
