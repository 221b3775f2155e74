"""Losses: sums over rows, never means. The driver divides once, by the summed row weights.

A row's loss is the mean over the row's own outputs. B batch, C classes, … positions within a row.
Called with the network's output z, targets y and row weights w (B,) or None, a loss returns the
sum over rows of w · loss, `ctx.total`, and dz, the gradient of that sum.
"""

from math import prod
from types import ModuleType
from typing import Any, ClassVar

from dpnn.nn.kernels import array_module, cross_entropy, logistic_error, numbered, sigmoid, softmax

from .fields import Rate, Share
from .layer import Array, Context, matrix
from .params import Shape
from .spec import Spec


class Loss(Spec, base=True):
    """Base of the losses that compare number by number: z and y (B, …).

    `task` is "classes", "binary" or "values": what the targets are.
    """

    task: ClassVar[str] = "values"
    logits: ClassVar[bool] = False  # it makes probabilities of z itself

    def check(self, output_shape: Shape) -> None:
        """ValueError where a network with this output shape cannot have this loss."""

    def row_weights(self, y: Array, w: Any) -> Any:
        """The weight of each row (B,); None for ones. Their sum is what a mean divides by."""
        return w

    def value(self, z: Array, y: Array, xp: ModuleType) -> Array:
        """The loss of each number."""
        raise NotImplementedError(f"{type(self).__name__} has no method value(z, y, xp)")

    def derivative(self, z: Array, y: Array, xp: ModuleType) -> Array:
        """d value / dz."""
        raise NotImplementedError(f"{type(self).__name__} has no method derivative(z, y, xp)")

    def joint(self, z: Array) -> Array:
        """The outputs that are judged: z, or what an ensemble's members say together."""
        return z

    def prediction(self, z: Array) -> Array:
        """What outputs z say of y: values or probabilities, as an array of z's shape."""
        return z

    def __call__(self, z: Array, y: Array, w: Any, ctx: Context) -> Any:
        name, rows = type(self).__name__, z.shape[1:]
        if not same_rows(y.shape[1:], rows):
            raise ValueError(f"{name} expected targets with rows of {rows}, got {y.shape[1:]}")
        y = ctx.floats(y, "y").reshape(z.shape)
        dz = ctx.empty("dz", z.shape)
        dz[...] = self.derivative(z, y, ctx.xp)
        return _weighted(self.value(z, y, ctx.xp), dz, w, ctx)


def same_rows(targets: Shape, outputs: Shape) -> bool:
    """Whether rows of targets stand for rows of outputs: alike but for axes of 1, or one flat."""
    alike = [n for n in targets if n > 1] == [n for n in outputs if n > 1]
    flat = 1 in (len(targets), len(outputs))
    return prod(targets) == prod(outputs) and (alike or flat)


def _weighted(values, dz, w, ctx):
    """Σ_rows w · mean of a row's values, added in float64, and its gradient, in place of dz."""
    positions = max(values.size // max(len(dz), 1), 1)
    rows = values.reshape(len(dz), positions).sum(axis=1, dtype="float64")
    if w is not None:
        dz *= w.reshape(-1, *[1] * (dz.ndim - 1))
        rows *= w
        if not w.all():  # what weighs nothing adds nothing, also where it is infinite
            dz[w == 0] = 0
            rows[w == 0] = 0
    if positions > 1:
        dz *= 1 / positions
    return ctx.total(rows) / positions, dz


class SoftmaxCrossEntropy(Loss):
    """-log p[y], p = softmax(z):  logits z (B, …, C), class numbers y (B, …).  dz = p - onehot(y).

    label_smoothing s: -Σ q log p and dz = p - q, q = (1 - s) onehot(y) + s / C.
    """

    class_weights: tuple[Rate, ...] | None = None
    label_smoothing: Share = 0.0
    task = "classes"
    logits = True

    def check(self, output_shape):
        if not output_shape or output_shape[-1] < 2:
            cure = "end the model with Dense(classes), or use BinaryCrossEntropy with Dense(1)"
            what = f"SoftmaxCrossEntropy needs one output a class, got {output_shape}"
            raise ValueError(f"{what}: {cure}")
        count = len(self.class_weights or ())
        if count and output_shape != (count,):
            raise ValueError(f"class_weights has {count} entries for outputs of {output_shape}")

    def row_weights(self, y, w):
        if self.class_weights is None:
            return w
        weights = array_module(y).asarray(self.class_weights, "float32")
        own = weights[y.reshape(-1).astype(int)]
        return own if w is None else own * w

    def prediction(self, z):
        return softmax(z.copy())

    def __call__(self, z, y, w, ctx):
        self.check(z.shape[1:])
        right = numbered(y, z.shape[-1], "SoftmaxCrossEntropy")
        if not same_rows(y.shape[1:], z.shape[1:-1]):
            raise ValueError(f"expected class numbers of shape {z.shape[:-1]}, got {y.shape}")
        dz = ctx.empty("dz", z.shape)
        values = cross_entropy(matrix(z), right, self.label_smoothing, dz=matrix(dz))
        return _weighted(values, dz, self.row_weights(y, w), ctx)


class BinaryCrossEntropy(Loss):
    """log(1 + exp(z)) - y z:  logits z, and y in [0, 1].  dz = σ(z) - y."""

    task = "binary"
    logits = True

    def value(self, z, y, xp):
        size = xp.abs(z)
        beyond = size * xp.abs((z > 0) - y)
        return beyond + xp.log1p(xp.exp(-size))

    def derivative(self, z, y, xp):
        return logistic_error(z, y)

    def prediction(self, z):
        return sigmoid(z, z.copy())


class MeanSquaredError(Loss):
    """(z - y)².  dz = 2 (z - y)."""

    def value(self, z, y, xp):
        return xp.square(z - y)

    def derivative(self, z, y, xp):
        return 2 * (z - y)
