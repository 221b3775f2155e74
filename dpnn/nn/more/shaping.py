"""Layers that shape, scale or thin out what passes: nothing is trained."""

from math import prod

from dpnn.nn.core.fields import Count, Share
from dpnn.nn.core.layer import Layer, ShapeError, expect
from dpnn.nn.kernels import keep_mask


class Flatten(Layer):
    """x (B, …) -> y (B, product of the rest)."""

    def shapes(self, x, ctx):
        return {}, (prod(expect(x, "…")),)

    def forward(self, p, x, ctx):
        return x.reshape(len(x), *ctx.y), None

    def backward(self, p, g, cache, dy, ctx):
        return dy.reshape(len(dy), *ctx.x)


class Reshape(Flatten):
    """x (B, …) -> y (B, *shape)."""

    shape: tuple[Count, ...]

    def shapes(self, x, ctx):
        if prod(expect(x, "…")) != prod(self.shape):
            raise ShapeError(f"expected {prod(self.shape)} numbers a row, got rows of {x}")
        return {}, tuple(self.shape)


class Rescale(Layer):
    """y = scale x + offset; takes integers as they are."""

    scale: float
    offset: float = 0.0

    def forward(self, p, x, ctx):
        y = ctx.empty("y", x.shape)
        ctx.xp.multiply(x, self.scale, out=y, dtype=ctx.dtype, casting="unsafe")
        if self.offset:
            y += self.offset
        return y, None

    def backward(self, p, g, cache, dy, ctx):
        dx = ctx.empty("dx", dy.shape)
        return ctx.xp.multiply(dy, self.scale, out=dx)


class Dropout(Layer):
    """While training, zero each value with probability `rate` and scale the others by 1/(1-rate).

    The mask depends on (seed, epoch, step, shard, layer), so a retry draws the same one.
    Srivastava et al. 2014.
    """

    rate: Share

    def forward(self, p, x, ctx):
        x = ctx.floats(x)
        if not ctx.run.training or self.rate == 0:
            return x, None
        mask = keep_mask(ctx.rng(), self.rate, out=ctx.empty("mask", x.shape))
        y = ctx.empty("y", x.shape)
        return ctx.xp.multiply(x, mask, out=y), mask

    def backward(self, p, g, cache, dy, ctx):
        if cache is None:
            return dy
        dx = ctx.empty("dx", dy.shape)
        return ctx.xp.multiply(dy, cache, out=dx)
