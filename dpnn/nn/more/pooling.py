"""Pooling of images x (B, H, W, C): windows are taken place by place, as strided views of x."""

from math import prod

import numpy as np

from dpnn.nn.core.fields import Pair
from dpnn.nn.core.layer import Layer, ShapeError, expect
from dpnn.nn.kernels import Array
from dpnn.nn.kernels.convolution import pair


class MaxPool2D(Layer):
    """The largest of each window:  x (B, H, W, C) -> y (B, H', W', C)."""

    pool_size: Pair = 2
    strides: Pair | None = None

    def views(self, x: Array) -> list[Array]:
        """For each place in a window, what lies there in all windows: (B, H', W', C)."""
        (k, l), (s, t) = (
            pair(size).tolist() for size in (self.pool_size, self.strides or self.pool_size)
        )
        h, w = max(x.shape[1] - k + 1, 0), max(x.shape[2] - l + 1, 0)
        return [x[:, i : i + h : s, j : j + w : t] for i in range(k) for j in range(l)]

    def shapes(self, x, ctx):
        y = self.views(np.empty((0, *expect(x, "H, W, C"))))[0].shape[1:]
        if 0 in y:
            raise ShapeError(f"expected x no smaller than the pool, got rows of {x}")
        return {}, y

    def forward(self, p, x, ctx):
        views = self.views(ctx.floats(x))
        kind = "uint16" if len(views) <= 1 << 16 else "uint32"
        y, place = ctx.copy(views[0], "y"), ctx.empty("place", views[0].shape, kind)
        place.fill(0)
        for k, view in enumerate(views[1:], 1):
            index = place.dtype.type(k)
            ctx.xp.maximum(place, (view > y) * index, out=place)  # the first of equals
            ctx.xp.maximum(y, view, out=y)
        return y, place

    def backward(self, p, g, cache, dy, ctx):
        dx, part = ctx.empty("dx", (len(dy), *ctx.x)), ctx.empty("part", dy.shape)
        dx.fill(0)
        for k, below in enumerate(self.views(dx)):
            below += ctx.xp.multiply(dy, cache == k, out=part)
        return dx


class AveragePool2D(MaxPool2D):
    """The mean of each window:  x (B, H, W, C) -> y (B, H', W', C)."""

    def forward(self, p, x, ctx):
        first, *others = self.views(ctx.floats(x))
        y = ctx.copy(first, "y")
        for view in others:
            y += view
        y *= 1 / (1 + len(others))
        return y, None

    def backward(self, p, g, cache, dy, ctx):
        dx = ctx.empty("dx", (len(dy), *ctx.x))
        dx.fill(0)
        views = self.views(dx)
        part = ctx.xp.multiply(dy, 1 / len(views), out=ctx.empty("part", dy.shape))
        for below in views:
            below += part
        return dx


class GlobalAveragePool(Layer):
    """The mean over all positions:  x (B, …, C) -> y (B, C)."""

    def shapes(self, x, ctx):
        return {}, expect(x, "…, C")[-1:]

    def forward(self, p, x, ctx):
        positions = x.reshape(len(x), prod(ctx.x[:-1]), ctx.x[-1])
        wide = "float64" if positions.shape[1] > 1 << 12 else None  # it adds one after another
        return positions.mean(axis=1, dtype=wide, out=ctx.empty("y", (len(x), *ctx.y))), None

    def backward(self, p, g, cache, dy, ctx):
        dx = ctx.empty("dx", (len(dy), *ctx.x))
        dx.reshape(len(dy), prod(ctx.x[:-1]), ctx.x[-1])[...] = dy[:, None] * (1 / prod(ctx.x[:-1]))
        return dx
