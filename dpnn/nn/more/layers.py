"""More layers: B batch, T time, H height, W width, C channels, O filters."""

from math import prod
from types import ModuleType
from typing import Any, Literal

from dpnn.nn.core.activations import Elementwise, sigmoid, softmax, softmax_backward
from dpnn.nn.core.compose import Chain, Sequential, added
from dpnn.nn.core.conv import Conv2D
from dpnn.nn.core.layer import Cache, Context, Layer, Params, Rows, ShapeError, Views, expect
from dpnn.nn.core.params import Param, Shape
from dpnn.nn.core.shaping import Flatten
from dpnn.nn.kernels.arrays import Array


class LeakyReLU(Elementwise):
    """y = x where x > 0, else negative_slope x. Maas et al. 2013."""

    negative_slope: float = 0.01
    activation = "relu"

    def value(self, x: Array, y: Array, xp: ModuleType) -> None:
        xp.minimum(x, 0, out=y)
        y *= self.negative_slope
        y += xp.maximum(x, 0)

    def slope(self, x: Array, y: Array, xp: ModuleType) -> Array:
        slope = xp.multiply(x > 0, 1 - self.negative_slope, dtype=x.dtype)
        slope += self.negative_slope
        return slope


class SiLU(Elementwise):
    """y = x sigmoid(x), also called swish. Hendrycks & Gimpel 2016."""

    activation = "relu"

    def value(self, x: Array, y: Array, xp: ModuleType) -> None:
        sigmoid(x, y, xp)
        y *= x

    def slope(self, x: Array, y: Array, xp: ModuleType) -> Array:
        s = sigmoid(x, xp.empty_like(x), xp)
        return s + y * (1 - s)


class GELU(Elementwise):
    """y = x Φ(x), by its approximation x σ(2 √(2/π) (x + 0.044715 x³)). Hendrycks & Gimpel 2016."""

    activation = "relu"

    def value(self, x: Array, y: Array, xp: ModuleType) -> None:
        self.gate(x, xp.multiply(x, x, out=y), xp)
        y *= x

    def slope(self, x: Array, y: Array, xp: ModuleType) -> Array:
        grown = x * x
        s = self.gate(x, grown.copy(), xp)
        grown *= 0.2140644488
        grown += 1.5957691216
        rest = xp.subtract(1, s, out=s)
        grown *= rest  # before y: together they would overflow
        grown *= y
        grown -= rest
        grown += 1  # s + x s (1 - s) (1.596 + 0.214 x²)
        return grown

    def gate(self, x: Array, square: Array, xp: ModuleType) -> Array:
        """σ(…), in place of x²; in place, since fresh memory costs more than the arithmetic."""
        square *= 0.0713548163
        square += 1.5957691216
        square *= x
        return sigmoid(square, square, xp)


class Softmax(Layer):
    """y = exp(x) / Σ exp(x) along the last axis. For losses give logits, not this."""

    probabilities = True

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        return {}, expect(x, "…, C")

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        y = softmax(ctx.copy(x, "y"), ctx.xp)
        return y, y

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Array:
        return softmax_backward(cache, ctx.copy(dy, "dx"), ctx.xp)


class Add(Sequential, init=False):
    """Branches side by side, y = f_1(x) + f_2(x) + …"""

    chained = False

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        ys = [ctx.add(name, layer, x) for name, layer in self.children().items()]
        if not ys or any(y != ys[0] for y in ys):
            raise ShapeError(f"expected branches of one shape, got {ys}")
        return {}, ys[0]

    def forward(self, p: Views, x: Any, ctx: Context) -> tuple[Array, Cache]:
        return added([child.forward(x) for child in ctx.children], "y", ctx), None

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Any:
        return added([child.backward(dy) for child in ctx.children], "dx", ctx)


class Reshape(Flatten):
    """x (B, …) -> y (B, *shape)."""

    shape: Shape

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        if prod(expect(x, "…")) != prod(self.shape):
            raise ShapeError(f"expected {prod(self.shape)} numbers a row, got rows of {x}")
        return {}, tuple(self.shape)


class Conv1D(Chain):
    """Sequences x (B, T, C) -> y (B, T', O), as images of height 1. Fields as Conv2D has them."""

    filters: int
    kernel_size: int
    strides: int = 1
    padding: Literal["valid", "same"] = "valid"
    dilation: int = 1
    groups: int = 1
    bias: bool = True
    initializer: str = "auto"

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        kernel, strides, dilation = (1, self.kernel_size), (1, self.strides), (1, self.dilation)
        rest = (self.groups, self.bias, self.initializer)
        image = ctx.add("image", Reshape((1, *expect(x, "T, C"))), x)
        conv = Conv2D(self.filters, kernel, strides, self.padding, dilation, *rest)
        y = ctx.add("conv", conv, image)
        return {}, ctx.add("sequence", Reshape(y[1:]), y)


class PositionalEmbedding(Layer):
    """y = x + W, a trained row for each time:  x (B, T, C) -> y (B, T, C)."""

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        return {"W": Param(expect(x, "T, C"), "normal")}, x

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        return ctx.xp.add(x, p["W"], out=ctx.empty("y", x.shape)), None

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Array:
        dy.sum(axis=0, out=g["W"])
        return dy
