"""Activations, elementwise but for Softmax: x (B, …) -> y (B, …)."""

from types import ModuleType

import numpy as np

from dpnn.nn.core.layer import Cache, Context, Layer, Views
from dpnn.nn.kernels.arrays import Array, blocks


class Elementwise(Layer, base=True):
    """y = value(x), number by number, in blocks that stay in the cache with their temporaries."""

    def value(self, x: Array, y: Array, xp: ModuleType) -> None:
        """Fill y."""

    def slope(self, x: Array, y: Array, xp: ModuleType) -> Array:
        """dy/dx."""

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        x = ctx.floats(x)
        y = ctx.empty("y", x.shape)
        flat_x, flat_y = x.reshape(-1), y.reshape(-1)
        for some in blocks(ctx.xp, x.size):
            self.value(flat_x[some], flat_y[some], ctx.xp)
        return y, (flat_x, flat_y)

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Array:
        dx = ctx.empty("dx", dy.shape)
        (x, y), flat_dx, flat_dy = cache, dx.reshape(-1), dy.reshape(-1)
        for some in blocks(ctx.xp, dy.size):
            slope = self.slope(x[some], y[some], ctx.xp)
            ctx.xp.multiply(flat_dy[some], slope, out=flat_dx[some])
        return dx


class ReLU(Elementwise):
    """y = max(x, 0)."""

    activation = "relu"

    def value(self, x: Array, y: Array, xp: ModuleType) -> None:
        xp.maximum(x, 0, out=y)

    def slope(self, x: Array, y: Array, xp: ModuleType) -> Array:
        return x > 0


class Sigmoid(Elementwise):
    """y = 1 / (1 + exp(-x))."""

    probabilities = True

    def value(self, x: Array, y: Array, xp: ModuleType) -> None:
        sigmoid(x, y, xp)

    def slope(self, x: Array, y: Array, xp: ModuleType) -> Array:
        rest = sigmoid(-x, xp.empty_like(x), xp)  # 1 - y would round it away
        rest *= y
        return rest


class Tanh(Elementwise):
    """y = tanh(x)."""

    def value(self, x: Array, y: Array, xp: ModuleType) -> None:
        xp.tanh(x, out=y)

    def slope(self, x: Array, y: Array, xp: ModuleType) -> Array:
        return 1 - y * y


def sigmoid(x: Array, y: Array, xp: ModuleType) -> Array:
    """y = 1 / (1 + exp(-x)), filled and returned; exact to rounding at both ends."""
    xp.negative(x, out=y)
    with np.errstate(over="ignore"):  # 1 / inf is the 0 that is meant
        xp.exp(y, out=y)
    y += 1
    return xp.divide(1, y, out=y)


def softmax(x: Array, xp: ModuleType) -> Array:
    """In place, along the last axis."""
    x -= x.max(axis=-1, keepdims=True)
    xp.exp(x, out=x)
    x /= x.sum(axis=-1, keepdims=True)
    return x


def softmax_backward(y: Array, dy: Array, xp: ModuleType) -> Array:
    """dx = y (dy - Σ y dy), in place of dy."""
    dy -= xp.einsum("...i,...i->...", y, dy)[..., None]
    dy *= y
    return dy
