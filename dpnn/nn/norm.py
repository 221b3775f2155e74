"""Layers that bring numbers to mean 0 and variance 1.

B batch, N rows (every axis but the last folded into one), C channels.
"""

from typing import Any, ClassVar

from dpnn.nn.backend import Array
from dpnn.nn.layer import Cache, Context, Layer, Params, Rows, Views, expect
from dpnn.nn.params import Param


class LayerNorm(Layer):
    """y = gamma x̂ + beta, x̂ each position's channels at mean 0, variance 1. Ba et al. 2016."""

    epsilon: float = 1e-5
    axis: ClassVar[int] = 1  # of (N, C), which the statistics go along

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        channels = expect(x, "…, C")[-1:]
        return {"gamma": Param(channels, (1.0,)), "beta": Param(channels)}, x

    def statistics(self, p: Views, x: Array, centred: Array, ctx: Context) -> tuple[Array, Array]:
        """Mean and variance, with an axis of 1; writes x - mean."""
        mean = _mean(x, self.axis, ctx)
        ctx.xp.subtract(x, mean, out=centred)
        square = ctx.xp.multiply(centred, centred, out=ctx.empty("scratch", x.shape))
        return mean, _mean(square, self.axis, ctx)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        rows = ctx.floats(x).reshape(-1, x.shape[-1])  # (N, C)
        y, xhat = ctx.empty("y", x.shape), ctx.empty("xhat", rows.shape)
        mean, variance = self.statistics(p, rows, xhat, ctx)
        scale = (variance + self.epsilon) ** -0.5
        xhat *= scale
        ctx.xp.multiply(xhat, p["gamma"], out=y.reshape(rows.shape))
        y += p["beta"]
        return y, (xhat, scale, mean, variance)

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Any:
        xhat, scale, *_ = cache
        rows, dx = dy.reshape(xhat.shape), ctx.empty("dx", dy.shape)
        dxhat, scratch = dx.reshape(xhat.shape), ctx.empty("scratch", xhat.shape)
        ctx.xp.multiply(rows, xhat, out=scratch)
        ctx.add_rows(scratch, g["gamma"])
        ctx.add_rows(rows, g["beta"])
        # dx = scale (dx̂ - mean(dx̂) - x̂ mean(x̂ dx̂)), dx̂ = gamma dy
        ctx.xp.multiply(rows, p["gamma"], out=dxhat)
        scratch *= p["gamma"]
        along = _mean(scratch, self.axis, ctx)
        dxhat -= _mean(dxhat, self.axis, ctx)
        dxhat -= ctx.xp.multiply(xhat, along, out=scratch)
        dxhat *= scale
        return dx


class BatchNorm(LayerNorm):
    """y = gamma x̂ + beta, x̂ each channel at mean 0, variance 1 over the shard's own batch.

    Running means of both serve outside of training; their batch sums travel with the gradients.
    Ioffe & Szegedy 2015.
    """

    momentum: float = 0.9
    axis = 0

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        params, y = super().shapes(x, ctx)
        params["mean"] = Param(y[-1:], (0.0,), self.momentum)
        params["variance"] = Param(y[-1:], (1.0,), self.momentum)
        return params, y

    def statistics(self, p: Views, x: Array, centred: Array, ctx: Context) -> tuple[Array, Array]:
        if ctx.run.training:
            return super().statistics(p, x, centred, ctx)
        ctx.xp.subtract(x, p["mean"], out=centred)
        return p["mean"], p["variance"]

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Any:
        *_, mean, variance = cache
        n = dy.size // dy.shape[-1]
        g["mean"][...] = len(dy) * mean.reshape(-1)
        g["variance"][...] = len(dy) * n / max(n - 1, 1) * variance.reshape(-1)
        return super().backward(p, g, cache, dy, ctx)


def _mean(x: Array, axis: int, ctx: Context) -> Array:
    """The mean along one axis of (N, C), by a matrix product: several times faster than sum."""
    ones = ctx.xp.full((1, x.shape[axis]), 1 / max(x.shape[axis], 1), x.dtype)
    return ctx.xp.dot(ones, x) if axis == 0 else ctx.xp.dot(x, ones.T)
