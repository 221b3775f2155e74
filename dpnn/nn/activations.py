"""Activations, elementwise but for Softmax: x (B, …) -> y (B, …)."""

from types import ModuleType

from dpnn.nn.backend import Array, blocks
from dpnn.nn.layer import Cache, Context, Layer, Views


class Elementwise(Layer):
    """y = value(x), number by number, in blocks that stay in the cache with their temporaries."""

    def value(self, x: Array, xp: ModuleType) -> Array:
        raise TypeError(f"{type(self).__name__} has no value")

    def slope(self, x: Array, y: Array, xp: ModuleType) -> Array:
        """dy/dx."""
        raise TypeError(f"{type(self).__name__} has no slope")

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        x = ctx.floats(x)
        y = ctx.empty("y", x.shape)
        flat_x, flat_y = x.reshape(-1), y.reshape(-1)
        for some in blocks(ctx.xp, x.size):
            flat_y[some] = self.value(flat_x[some], ctx.xp)
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

    def value(self, x: Array, xp: ModuleType) -> Array:
        return xp.maximum(x, 0)

    def slope(self, x: Array, y: Array, xp: ModuleType) -> Array:
        return x > 0


class LeakyReLU(Elementwise):
    """y = x where x > 0, else negative_slope x. Maas et al. 2013."""

    negative_slope: float = 0.01
    activation = "relu"

    def value(self, x: Array, xp: ModuleType) -> Array:
        return x * self.slope(x, x, xp)

    def slope(self, x: Array, y: Array, xp: ModuleType) -> Array:
        return xp.where(x > 0, x.dtype.type(1), x.dtype.type(self.negative_slope))


class Sigmoid(Elementwise):
    """y = 1 / (1 + exp(-x))."""

    def value(self, x: Array, xp: ModuleType) -> Array:
        return sigmoid(x, xp)

    def slope(self, x: Array, y: Array, xp: ModuleType) -> Array:
        return y * (1 - y)


class Tanh(Elementwise):
    """y = tanh(x)."""

    def value(self, x: Array, xp: ModuleType) -> Array:
        return xp.tanh(x)

    def slope(self, x: Array, y: Array, xp: ModuleType) -> Array:
        return 1 - y * y


class SiLU(Elementwise):
    """y = x sigmoid(x), also called swish. Hendrycks & Gimpel 2016."""

    activation = "relu"

    def value(self, x: Array, xp: ModuleType) -> Array:
        return x * sigmoid(x, xp)

    def slope(self, x: Array, y: Array, xp: ModuleType) -> Array:
        s = sigmoid(x, xp)
        return s + y * (1 - s)


class GELU(Elementwise):
    """y = x Φ(x), by its approximation with a tanh. Hendrycks & Gimpel 2016."""

    activation = "relu"

    def value(self, x: Array, xp: ModuleType) -> Array:
        return x * sigmoid(x * (1.5957691216 + 0.0713548163 * x * x), xp)

    def slope(self, x: Array, y: Array, xp: ModuleType) -> Array:
        square = x * x
        s = sigmoid(x * (1.5957691216 + 0.0713548163 * square), xp)
        return s + x * s * (1 - s) * (1.5957691216 + 0.2140644488 * square)


class Softmax(Layer):
    """y = exp(x) / Σ exp(x) along the last axis. For losses give logits, not this."""

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        y = ctx.empty("y", x.shape)
        ctx.xp.copyto(y, x, casting="unsafe")
        softmax(y, ctx.xp)
        return y, y

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Array:
        dx = ctx.empty("dx", dy.shape)
        ctx.xp.copyto(dx, dy)
        return softmax_backward(cache, dx, ctx.xp)


def sigmoid(x: Array, xp: ModuleType) -> Array:
    """1 / (1 + exp(-x)), as a new array; by a tanh, so that no exponential overflows."""
    y = xp.tanh(0.5 * x)
    y *= 0.5
    y += 0.5
    return y


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
