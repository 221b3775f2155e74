"""Layers that bring numbers to mean 0 and variance 1.

N rows (every axis but the last folded into one), C channels.
"""

from math import gcd, prod
from typing import Any

from dpnn.nn.core.layer import Cache, Context, Layer, Params, Rows, Views, expect
from dpnn.nn.core.params import Param
from dpnn.nn.kernels.arrays import Array


class LayerNorm(Layer):
    """y = gamma x̂ + beta, x̂ each position's channels at mean 0, variance 1. Ba et al. 2016."""

    epsilon: float = 1e-5

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        channels = expect(x, "…, C")[-1:]
        return {"gamma": Param(channels, (1.0,)), "beta": Param(channels)}, x

    def rows(self, x: Array, ctx: Context) -> Array:
        return x.reshape(-1, ctx.x[-1])  # (N, C)

    def mean(self, x: Array, gamma: Array, ctx: Context) -> Array:
        """Of gamma x in each row, (N, 1); a matrix product, several times faster than a sum."""
        return ctx.xp.dot(x, (gamma / len(gamma))[:, None])

    def statistics(self, p: Views, x: Array, xhat: Array, ctx: Context) -> tuple[Array, Array]:
        """Mean and variance; x̂ becomes x - mean."""
        ones = ctx.xp.ones_like(p["gamma"])
        mean = self.mean(x, ones, ctx)
        ctx.xp.subtract(x, mean, out=xhat)
        return mean, self.mean(ctx.xp.square(xhat, out=ctx.empty("scratch", x.shape)), ones, ctx)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        rows, y = self.rows(ctx.floats(x), ctx), ctx.empty("y", x.shape)
        xhat, out = ctx.empty("xhat", rows.shape), self.rows(y, ctx)
        mean, variance = self.statistics(p, rows, xhat, ctx)
        scale = (variance + self.epsilon) ** -0.5
        xhat *= scale
        ctx.xp.multiply(xhat, _wide(p["gamma"], xhat, ctx), out=out)
        out += _wide(p["beta"], xhat, ctx)
        return y, (xhat, scale, mean, variance)

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Any:
        xhat, scale, *_ = cache
        rows, dx = self.rows(dy, ctx), ctx.empty("dx", dy.shape)
        dxhat, scratch = self.rows(dx, ctx), ctx.empty("scratch", xhat.shape)
        ctx.xp.multiply(rows, xhat, out=scratch)
        ctx.add_rows(scratch.reshape(-1, ctx.x[-1]), g["gamma"])
        ctx.add_rows(rows.reshape(-1, ctx.x[-1]), g["beta"])
        # dx = scale (dx̂ - mean(dx̂) - x̂ mean(x̂ dx̂)), dx̂ = gamma dy
        along = self.mean(scratch, p["gamma"], ctx)
        ctx.xp.multiply(rows, _wide(p["gamma"], xhat, ctx), out=dxhat)
        dxhat -= self.mean(rows, p["gamma"], ctx)
        dxhat -= ctx.xp.multiply(xhat, along, out=scratch)
        dxhat *= scale
        return dx


class BatchNorm(LayerNorm):
    """y = gamma x̂ + beta, x̂ each channel at mean 0, variance 1 over the shard's own batch.

    Running means of both serve outside of training; their batch sums travel with the gradients.
    Ioffe & Szegedy 2015.
    """

    momentum: float = 0.9

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        params, y = super().shapes(x, ctx)
        params["mean"] = Param(y[-1:], (0.0,), self.momentum)
        params["variance"] = Param(y[-1:], (1.0,), self.momentum)
        return params, y

    def least_rows(self, x: Rows) -> int:
        return 1 if prod(x[:-1]) > 1 else 2

    def rows(self, x: Array, ctx: Context) -> Array:
        """(N / k, k C): k positions side by side, as NumPy is slow on short rows."""
        rows = x.reshape(-1, ctx.x[-1])
        k = gcd(len(rows), max(512 // ctx.x[-1], 1))
        return rows.reshape(len(rows) // k, k * ctx.x[-1])

    def mean(self, x: Array, gamma: Array, ctx: Context) -> Array:
        """Of gamma x in each channel, (1, k C); outside of training, statistics are constants."""
        if not ctx.run.training:
            return ctx.xp.zeros_like(x[:1])
        rows, out = x.reshape(-1, len(gamma)), ctx.xp.empty_like(gamma)
        ctx.add_rows(rows, out)
        return _wide(out * gamma / max(len(rows), 1), x, ctx)[None]

    def statistics(self, p: Views, x: Array, xhat: Array, ctx: Context) -> tuple[Array, Array]:
        if ctx.run.training and x.size == len(p["mean"]):
            what = f"{ctx.name or 'BatchNorm'} needs 2 rows of a shard in each step, got 1"
            raise ValueError(f"{what}: take a larger batch or fewer shards")
        if ctx.run.training:
            return super().statistics(p, x, xhat, ctx)
        mean, variance = _wide(p["mean"], x, ctx), _wide(p["variance"], x, ctx)
        ctx.xp.subtract(x, mean, out=xhat)
        return mean, variance

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Any:
        *_, mean, variance = cache
        channels, n = ctx.x[-1], dy.size // ctx.x[-1]
        g["mean"][...] = len(dy) * mean.reshape(-1)[:channels]
        g["variance"][...] = len(dy) * n / max(n - 1, 1) * variance.reshape(-1)[:channels]
        return super().backward(p, g, cache, dy, ctx)


def _wide(v: Array, rows: Array, ctx: Context) -> Array:
    """v (C,) repeated to the width of rows (N / k, k C)."""
    return ctx.xp.tile(v, rows.shape[1] // len(v))
