"""Convolution of images x (B, H, W, C) -> y (B, H', W', O).

K, L the kernel's height and width, O filters; `kernels.convolution` has it tap by tap, and fast.
"""

from typing import Literal

from dpnn.nn.kernels import Grid, convolve, convolve_dw, convolve_dx, sum_rows

from .fields import Count, Pair
from .layer import Layer, Param, ShapeError, expect, matrix


class Conv2D(Layer):
    """y[i, j] = Σ_kl x[i + k, j + l] W[k, l] + b:  x (B, H, W, C) -> y (B, H', W', O).

    "same" padding gives H' = ⌈H / stride⌉. With groups, each group of filters sees its own share
    of the channels; groups=C is depthwise.
    """

    filters: Count
    kernel_size: Pair
    strides: Pair = 1
    padding: Literal["valid", "same"] = "valid"
    dilation: Pair = 1
    groups: Count = 1
    bias: bool = True
    initializer: str = "auto"

    def shapes(self, x, ctx):
        *_, channels = expect(x, "H, W, C")
        grid = self.grid(x)
        if min(grid.counts) < 1 or channels % self.groups or self.filters % self.groups:
            raise ShapeError(f"expected x that fits {self}, got rows of {x}")
        kernel = (*grid.kernel.tolist(), channels // self.groups, self.filters)
        params = {"W": Param(kernel, self.initializer)}
        if self.bias:
            params["b"] = Param((self.filters,))
        return params, (*grid.counts.tolist(), self.filters)

    def grid(self, x):
        """Where the windows lie on images x (H, W, C)."""
        rest = (self.strides, self.dilation, self.padding, self.groups)
        return Grid.of(x[:2], self.kernel_size, *rest)

    def forward(self, p, x, ctx):
        y = ctx.empty("y", (len(x), *ctx.y))
        grid = self.grid(ctx.x)
        windows = convolve(ctx.floats(x), p["W"], grid, y, ctx)
        if self.bias:
            y += p["b"]
        return y, windows

    def backward(self, p, g, cache, dy, ctx):
        if self.bias:
            sum_rows(matrix(dy), out=g["b"])
        convolve_dw(cache, dy, g["W"], ctx)
        if not ctx.needs_dx:
            return None
        dx = ctx.empty("dx", (len(dy), *ctx.x))
        convolve_dx(dy, p["W"], self.grid(ctx.x), dx, ctx)
        return dx
