"""Losses: sums over rows, never means. The driver divides once, by the summed row weights.

A row's loss is the mean over the row's own outputs. B batch, C classes, … positions within a row.
Called with the network's output z, targets y and row weights w (B,) or None, a loss returns the
sum over rows of w · loss, and dz, the gradient of that sum.
"""

from math import prod
from types import ModuleType
from typing import ClassVar

from dpnn.nn.core.activations import sigmoid, softmax
from dpnn.nn.core.layer import Context, numbered
from dpnn.nn.core.params import Shape
from dpnn.nn.core.spec import Spec
from dpnn.nn.kernels.arrays import Array, array_module


class Loss(Spec, base=True):
    """Base of the losses that compare number by number: z and y (B, …).

    `task` is "classes", "binary" or "values": what the targets are.
    """

    task: ClassVar[str] = "values"
    logits: ClassVar[bool] = False  # it makes probabilities of z itself

    def check(self, output_shape: Shape) -> None:
        """ValueError where a network with this output shape cannot have this loss."""

    def row_weights(self, y: Array, w: Array | None) -> Array | None:
        """The weight of each row (B,); None for ones. Their sum is what a mean divides by."""
        return w

    def value(self, z: Array, y: Array, xp: ModuleType) -> Array:
        """The loss of each number."""

    def slope(self, z: Array, y: Array, xp: ModuleType) -> Array:
        """d value / dz."""

    def prediction(self, z: Array) -> Array:
        """What outputs z say of y: values or probabilities, as an array of z's shape."""
        return z

    def __call__(self, z: Array, y: Array, w: Array | None, ctx: Context) -> tuple[float, Array]:
        if not same_rows(y.shape[1:], z.shape[1:]):
            name, rows = type(self).__name__, z.shape[1:]
            raise ValueError(f"{name} expected targets with rows of {rows}, got {y.shape[1:]}")
        y, dz = ctx.floats(y, "y").reshape(z.shape), ctx.empty("dz", z.shape)
        dz[...] = self.slope(z, y, ctx.xp)
        return _weighted(self.value(z, y, ctx.xp), dz, w)


def same_rows(targets: Shape, outputs: Shape) -> bool:
    """Whether rows of targets stand for rows of outputs: alike but for axes of 1, or one flat."""
    alike = [n for n in targets if n > 1] == [n for n in outputs if n > 1]
    return prod(targets) == prod(outputs) and (alike or 1 in (len(targets), len(outputs)))


def _weighted(values: Array, dz: Array, w: Array | None) -> tuple[float, Array]:
    """Σ_rows w · mean of a row's values, added in float64, and its gradient, in place of dz."""
    positions = max(values.size // max(len(dz), 1), 1)
    rows = values.reshape(len(dz), positions).sum(axis=1, dtype="float64")
    if w is not None:
        dz *= w.reshape(-1, *[1] * (dz.ndim - 1))
        rows *= w
        dz[w == 0] = 0  # also where a loss is infinite
        rows[w == 0] = 0
    if positions > 1:
        dz *= 1 / positions
    return float(rows.sum()) / positions, dz


class SoftmaxCrossEntropy(Loss):
    """-log softmax(z)[y]:  logits z (B, …, C), class numbers y (B, …)."""

    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    task = "classes"
    logits = True

    def check(self, output_shape: Shape) -> None:
        if not output_shape or output_shape[-1] < 2:
            cure = "end the model with Dense(classes), or use BinaryCrossEntropy with Dense(1)"
            what = f"SoftmaxCrossEntropy needs one output a class, got {output_shape}"
            raise ValueError(f"{what}: {cure}")
        if self.class_weights and output_shape != (len(self.class_weights),):
            count = len(self.class_weights)
            raise ValueError(f"class_weights has {count} entries for outputs of {output_shape}")

    def row_weights(self, y: Array, w: Array | None) -> Array | None:
        if self.class_weights is None:
            return w
        own = array_module(y).asarray(self.class_weights, "float32")[y.reshape(-1).astype(int)]
        return own if w is None else own * w

    def __call__(self, z: Array, y: Array, w: Array | None, ctx: Context) -> tuple[float, Array]:
        self.check(z.shape[1:])
        xp, classes, smooth = ctx.xp, z.shape[-1], self.label_smoothing
        logits, classes_of = z.reshape(-1, classes), numbered(y, classes, type(self).__name__)
        if not same_rows(y.shape[1:], z.shape[1:-1]):
            raise ValueError(f"expected class numbers of shape {z.shape[:-1]}, got {y.shape}")
        right = (xp.arange(len(classes_of)), classes_of)
        e = ctx.empty("dz", logits.shape)
        xp.subtract(logits, logits.max(axis=1, keepdims=True), out=e)
        picked = e[right]  # (B,) shifted logit of the right class
        if smooth:
            picked = (1 - smooth) * picked + smooth * e.mean(axis=1)
        xp.exp(e, out=e)
        own = e[right]
        e[right] = 0
        others = e.sum(axis=1)  # (B,) alone, since beside 1 what is small would be rounded away
        values = xp.log1p(others + (own - 1)) - picked
        e /= (others + own)[:, None]
        e[right] = -others / (others + own)  # p - 1
        if smooth:
            e -= smooth / classes
            e[right] += smooth
        return _weighted(values, e.reshape(z.shape), self.row_weights(y, w))

    def prediction(self, z: Array) -> Array:
        return softmax(z.copy(), array_module(z))


class BinaryCrossEntropy(Loss):
    """log(1 + exp(z)) - y z:  logits z, and y in [0, 1]."""

    task = "binary"
    logits = True

    def value(self, z: Array, y: Array, xp: ModuleType) -> Array:
        size = xp.abs(z)
        return size * xp.abs((z > 0) - y) + xp.log1p(xp.exp(-size))

    def slope(self, z: Array, y: Array, xp: ModuleType) -> Array:
        yes, no = (sigmoid(signed, xp.empty_like(z), xp) for signed in (z, -z))
        return (1 - y) * yes - y * no  # sigmoid(z) - y

    def prediction(self, z: Array) -> Array:
        xp = array_module(z)
        return sigmoid(z, xp.empty_like(z), xp)


class MeanSquaredError(Loss):
    """(z - y)²."""

    def value(self, z: Array, y: Array, xp: ModuleType) -> Array:
        return xp.square(z - y)

    def slope(self, z: Array, y: Array, xp: ModuleType) -> Array:
        return 2 * (z - y)
