"""Losses: sums over rows, never means. The driver divides once, by the summed row weights.

A row's loss is the mean over the row's own outputs. B batch, C classes, … positions within a row.
Called with the network's output z, targets y and row weights w (B,) or None, a loss returns the
sum over rows of w · loss, and dz, the gradient of that sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dpnn.nn.backend import Array
from dpnn.nn.layer import Context


class Loss:
    """Base of all losses; `task` is "classes", "binary" or "values"."""

    task: ClassVar[str] = "values"

    def row_weights(self, y: Array, w: Array | None) -> Array | None:
        """The weight of each row (B,); None for ones. Their sum is what a mean divides by."""
        return w

    def check(self, output_shape: tuple[int, ...]) -> None:
        """ValueError where a network with this output shape cannot have this loss."""

    def __call__(self, z: Array, y: Array, w: Array | None, ctx: Context) -> tuple[float, Array]:
        raise TypeError(f"{type(self).__name__} has no value")


def _total(values: Array, w: Array | None, per_row: int, xp: Any) -> float:
    """Σ_rows w · mean over the row's values, added in float64."""
    rows = values.reshape(-1, per_row).sum(axis=1, dtype=np.float64)
    return float(rows.sum() if w is None else xp.dot(rows, w.astype(np.float64))) / per_row


def _scale(dz: Array, w: Array | None, per_row: int) -> Array:
    """The gradient of Σ w · mean from that of the plain values; in place."""
    if per_row != 1:
        dz *= 1 / per_row
    if w is not None:
        dz *= w.reshape(-1, *[1] * (dz.ndim - 1))
    return dz


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    """-log softmax(z)[y]:  logits z (B, …, C), class numbers y (B, …)."""

    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    task = "classes"

    def check(self, output_shape: tuple[int, ...]) -> None:
        if not output_shape or output_shape[-1] < 2:
            raise ValueError(
                f"SoftmaxCrossEntropy needs one output a class, the model gives {output_shape}: "
                "end it with Dense(classes), or use BinaryCrossEntropy with Dense(1)"
            )
        if self.class_weights and len(self.class_weights) != output_shape[-1]:
            raise ValueError(
                f"class_weights has {len(self.class_weights)} entries for {output_shape[-1]} classes"
            )

    def row_weights(self, y: Array, w: Array | None) -> Array | None:
        if self.class_weights is None:
            return w
        table = np.asarray(self.class_weights, np.float32)
        own = table[y.astype(np.intp)]
        return own if w is None else own * w

    def __call__(self, z: Array, y: Array, w: Array | None, ctx: Context) -> tuple[float, Array]:
        xp, classes, w = ctx.xp, z.shape[-1], self.row_weights(y, w)
        z2, y1 = z.reshape(-1, classes), y.reshape(-1).astype(np.intp)
        rows = xp.arange(len(y1))
        e = ctx.empty("dz", z2.shape)
        xp.subtract(z2, z2.max(axis=1, keepdims=True), out=e)
        picked = e[rows, y1]  # (B,) shifted logit of the right class
        if self.label_smoothing:
            s = self.label_smoothing
            picked = (1 - s) * picked + s * e.mean(axis=1)
        xp.exp(e, out=e)
        total = e.sum(axis=1)  # (B,)
        loss = xp.log(total) - picked
        e /= total[:, None]
        if self.label_smoothing:
            e -= self.label_smoothing / classes
        e[rows, y1] -= 1 - self.label_smoothing
        per_row = len(y1) // max(len(z), 1)
        return _total(loss, w, per_row, xp), _scale(e.reshape(z.shape), w, per_row)


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """log(1 + exp(z)) - y z:  logits z and targets y in [0, 1], both (B, …)."""

    task = "binary"

    def __call__(self, z: Array, y: Array, w: Array | None, ctx: Context) -> tuple[float, Array]:
        xp, y = ctx.xp, ctx.floats(y, "y").reshape(z.shape)
        e = xp.exp(-xp.abs(z))
        loss = xp.maximum(z, 0) + xp.log1p(e) - y * z
        dz = ctx.empty("dz", z.shape)
        xp.divide(xp.where(z >= 0, 1, e), 1 + e, out=dz)  # sigmoid(z)
        dz -= y
        per_row = z.size // max(len(z), 1)
        return _total(loss, w, per_row, xp), _scale(dz, w, per_row)


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """(z - y)²:  z and y (B, …)."""

    def __call__(self, z: Array, y: Array, w: Array | None, ctx: Context) -> tuple[float, Array]:
        dz = ctx.xp.subtract(z, ctx.floats(y, "y").reshape(z.shape), out=ctx.empty("dz", z.shape))
        per_row = z.size // max(len(z), 1)
        loss = _total(ctx.xp.square(dz), w, per_row, ctx.xp)
        dz *= 2
        return loss, _scale(dz, w, per_row)
