"""Layers that bring numbers to mean 0 and variance 1.

N rows (every axis but the last folded into one), C channels.
"""

from math import prod

from dpnn.nn.kernels import mean_columns, mean_rows, over_rows, sum_rows

from .fields import Rate, Share
from .layer import Layer, Param, expect, matrix


class LayerNorm(Layer):
    """y = gamma x̂ + beta,  x̂ = (x - mean) / √(variance + ε) of each position's channels.

    With dx̂ = gamma dy:  dx = (dx̂ - mean(dx̂) - x̂ mean(x̂ dx̂)) / √(variance + ε).
    x (B, …, C) -> y (B, …, C). Ba et al. 2016.
    """

    epsilon: Rate = 1e-5

    def shapes(self, x, ctx):
        channels = expect(x, "…, C")[-1:]
        return {"gamma": Param(channels, (1.0,)), "beta": Param(channels)}, x

    def forward(self, p, x, ctx):
        rows = matrix(ctx.floats(x))
        xhat = ctx.like(rows, "xhat")
        y = ctx.like(rows, "y")
        ctx.xp.subtract(rows, mean_columns(rows), out=xhat)
        variance = mean_columns(ctx.xp.square(xhat, out=y))
        scale = (variance + self.epsilon) ** -0.5  # (N, 1)
        xhat *= scale
        ctx.xp.multiply(xhat, p["gamma"], out=y)
        y += p["beta"]
        return y.reshape(x.shape), (xhat, scale)

    def backward(self, p, g, cache, dy, ctx):
        xhat, scale = cache
        rows, gamma = matrix(dy), p["gamma"]
        dx = ctx.like(rows, "dx")
        scratch = ctx.like(rows, "scratch")
        ctx.xp.multiply(xhat, rows, out=scratch)
        sum_rows(scratch, out=g["gamma"])
        sum_rows(rows, out=g["beta"])
        ctx.xp.multiply(rows, gamma, out=dx)  # dx̂
        dx -= mean_columns(rows, gamma)  # mean(dx̂)
        along = mean_columns(scratch, gamma)  # mean(x̂ dx̂)
        dx -= ctx.xp.multiply(xhat, along, out=scratch)
        dx *= scale
        return dx.reshape(dy.shape)


class BatchNorm(Layer):
    """y = gamma x̂ + beta,  x̂ = (x - mean) / √(variance + ε) of each channel over the batch.

    dx = gamma (dy - mean(dy) - x̂ mean(x̂ dy)) / √(variance + ε) while training, when the batch is
    the shard's own. Outside of it running means of both serve, as constants: both means in dx are
    0. Their batch sums travel with the gradients. Ioffe & Szegedy 2015.
    """

    epsilon: Rate = 1e-5
    momentum: Share = 0.9

    def shapes(self, x, ctx):
        channels = expect(x, "…, C")[-1:]
        params = {"gamma": Param(channels, (1.0,)), "beta": Param(channels)}
        params["mean"] = Param(channels, (0.0,), self.momentum)
        params["variance"] = Param(channels, (1.0,), self.momentum)
        return params, x

    def least_rows(self, x):
        return 1 if prod(x[:-1]) > 1 else 2

    def forward(self, p, x, ctx):
        xp = ctx.xp
        rows = matrix(ctx.floats(x))
        xhat = ctx.like(rows, "xhat")
        y = ctx.like(rows, "y")
        training, mean, variance = ctx.run.training, p["mean"], p["variance"]
        if training:
            mean = mean_rows(rows)
        over_rows(xp.subtract, rows, mean, out=xhat)
        if training:
            variance = mean_rows(xp.square(xhat, out=y))
        scale = (variance + self.epsilon) ** -0.5  # (C,)
        over_rows(xp.multiply, xhat, scale, out=xhat)
        over_rows(xp.multiply, xhat, p["gamma"], out=y)
        over_rows(xp.add, y, p["beta"], out=y)
        return y.reshape(x.shape), (xhat, scale, mean, variance)

    def backward(self, p, g, cache, dy, ctx):
        xhat, scale, mean, variance = cache
        xp, rows = ctx.xp, matrix(dy)
        n = max(len(xhat), 1)
        dx = ctx.like(rows, "dx")
        sum_rows(xp.multiply(xhat, rows, out=dx), out=g["gamma"])
        sum_rows(rows, out=g["beta"])
        g["mean"][...] = len(dy) * mean
        g["variance"][...] = len(dy) * n / max(n - 1, 1) * variance
        share = 1 / n if ctx.run.training else 0
        over_rows(xp.multiply, xhat, share * g["gamma"], out=dx)  # x̂ mean(x̂ dy)
        xp.subtract(rows, dx, out=dx)
        over_rows(xp.subtract, dx, share * g["beta"], out=dx)  # mean(dy)
        over_rows(xp.multiply, dx, p["gamma"] * scale, out=dx)
        return dx.reshape(dy.shape)
