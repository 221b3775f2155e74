"""More layers: B batch, T time, C channels, O filters."""

from typing import Literal

from dpnn.nn.core.activations import Elementwise
from dpnn.nn.core.compose import Chain
from dpnn.nn.core.conv import Conv2D
from dpnn.nn.core.fields import Count
from dpnn.nn.core.layer import Layer, expect
from dpnn.nn.kernels import sigmoid, softmax, softmax_backward
from dpnn.nn.more.shaping import Reshape


class LeakyReLU(Elementwise):
    """y = x where x > 0, else negative_slope x. Maas et al. 2013."""

    negative_slope: float = 0.01
    activation = "relu"

    def value(self, x, y, xp):
        xp.minimum(x, 0, out=y)
        y *= self.negative_slope
        y += xp.maximum(x, 0)

    def derivative(self, x, y, dx, xp):
        xp.multiply(x > 0, 1 - self.negative_slope, out=dx, dtype=x.dtype)
        dx += self.negative_slope


class SiLU(Elementwise):
    """y = x σ(x), also called swish;  dy/dx = σ + y (1 - σ). Hendrycks & Gimpel 2016."""

    activation = "relu"

    def value(self, x, y, xp):
        sigmoid(x, y)
        y *= x

    def derivative(self, x, y, dx, xp):
        gate = sigmoid(x, xp.empty_like(x))
        xp.subtract(1, gate, out=dx)
        dx *= y
        dx += gate


class GELU(Elementwise):
    """y = x Φ(x), by its approximation x σ(2 √(2/π) (x + 0.044715 x³)). Hendrycks & Gimpel 2016."""

    activation = "relu"

    def value(self, x, y, xp):
        self.gate(x, xp.square(x, out=y))
        y *= x

    def derivative(self, x, y, dx, xp):
        """s + x s (1 - s) (1.596 + 0.214 x²), s the gate."""
        xp.square(x, out=dx)
        gate = self.gate(x, dx.copy())
        dx *= 0.2140644488
        dx += 1.5957691216
        rest = xp.subtract(1, gate, out=gate)
        dx *= rest  # before y: together they would overflow
        dx *= y
        dx -= rest
        dx += 1

    def gate(self, x, square):
        """σ(…), in place of x²; in place, since fresh memory costs more than the arithmetic."""
        square *= 0.0713548163
        square += 1.5957691216
        square *= x
        return sigmoid(square, square)


class Softmax(Layer):
    """y = exp(x) / Σ exp(x) along the last axis. For losses give logits, not this."""

    probabilities = True

    def shapes(self, x, ctx):
        return {}, expect(x, "…, C")

    def forward(self, p, x, ctx):
        y = softmax(ctx.copy(x, "y"))
        return y, y

    def backward(self, p, g, cache, dy, ctx):
        return softmax_backward(cache, ctx.copy(dy, "dx"))


class Conv1D(Chain):
    """Sequences x (B, T, C) -> y (B, T', O), as images of height 1. Fields as Conv2D has them."""

    filters: Count
    kernel_size: Count
    strides: Count = 1
    padding: Literal["valid", "same"] = "valid"
    dilation: Count = 1
    groups: Count = 1
    bias: bool = True
    initializer: str = "auto"

    def shapes(self, x, ctx):
        kernel, strides, dilation = (1, self.kernel_size), (1, self.strides), (1, self.dilation)
        rest = (self.groups, self.bias, self.initializer)
        image = ctx.add("image", Reshape((1, *expect(x, "T, C"))), x)
        conv = Conv2D(self.filters, kernel, strides, self.padding, dilation, *rest)
        y = ctx.add("conv", conv, image)
        return {}, ctx.add("sequence", Reshape(y[1:]), y)
