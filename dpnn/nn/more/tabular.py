"""Layers for tables, where columns are of every scale and an activation is chosen by the data.

B batch, F columns, C channels, I in, O out, … any axes between (each position is a row of its own).
"""

from math import sqrt
from typing import Literal

from dpnn.nn.core.activations import Elementwise
from dpnn.nn.core.fields import Count, Rate
from dpnn.nn.core.layer import Layer, expect, matrix
from dpnn.nn.core.params import Param
from dpnn.nn.kernels import sum_rows
from dpnn.nn.more.draws import normal


class SmoothClip(Elementwise):
    """y = x / √(1 + (x / limit)²): x near 0, ± limit far away;  dy/dx = (1 + (x / limit)²)^-1.5."""

    limit: Rate = 3.0

    def value(self, x, y, xp):
        self.square(x, y, xp)
        xp.sqrt(y, out=y)
        xp.divide(x, y, out=y)

    def derivative(self, x, y, dx, xp):
        self.square(x, dx, xp)
        xp.power(dx, -1.5, out=dx)

    def square(self, x, out, xp):
        xp.multiply(x, 1 / self.limit, out=out)
        out *= out
        out += 1


class SELU(Elementwise):
    """y = s x where x > 0, else s a (exp(x) - 1);  s = 1.05, a = 1.67. Klambauer et al. 2017."""

    def value(self, x, y, xp):
        xp.minimum(x, 0, out=y)
        xp.expm1(y, out=y)
        y *= 1.6732632423543772
        y += xp.maximum(x, 0)
        y *= 1.0507009873554805

    def derivative(self, x, y, dx, xp):
        xp.add(y, 1.7580993408473766, out=dx)
        dx[x > 0] = 1.0507009873554805


class Mish(Elementwise):
    """y = x t, t = tanh(log(1 + exp(x)));  dy/dx = t + x (1 - t²) σ(x). Misra 2019."""

    def value(self, x, y, xp):
        self.gate(x, y, xp)
        y *= x

    def derivative(self, x, y, dx, xp):
        e = xp.exp(xp.minimum(x, 20))
        self.gate(x, dx, xp)
        rest = dx * dx
        xp.subtract(1, rest, out=rest)
        rest *= x
        rest *= e / (e + 1)
        dx += rest

    def gate(self, x, out, xp):
        """t = (e² + 2 e) / (e² + 2 e + 2), e = exp(x); of x above 20 it is 1."""
        xp.minimum(x, 20, out=out)
        xp.exp(out, out=out)
        out *= out + 2
        out /= out + 2


class Blend(Layer):
    """y = x + a (f(x) - x), f another layer and a, from 1, its trained share of each channel.

    dx = (1 - a) dy + df(a dy),  da = Σ dy (f(x) - x). RealMLP: Holzmüller et al. 2024.
    """

    f: Layer
    rate: Rate = 1.0  # of a, times the optimizer's

    def shapes(self, x, ctx):
        channels = expect(x, "…, C")[-1:]
        if ctx.add("f", self.f, x) != x:
            raise ValueError(f"Blend takes a layer that keeps the shape, not {self.f!r}")
        return {"a": Param(channels, (1.0,), rate=self.rate)}, x

    def forward(self, p, x, ctx):
        x = ctx.floats(x)
        change = ctx.xp.subtract(ctx.children[0].forward(x), x, out=ctx.empty("change", x.shape))
        y = ctx.xp.multiply(change, p["a"], out=ctx.empty("y", x.shape))
        y += x
        return y, change

    def backward(self, p, g, cache, dy, ctx):
        dx = ctx.xp.multiply(dy, cache, out=ctx.empty("dx", dy.shape))
        sum_rows(matrix(dx), out=g["a"])
        share = ctx.xp.multiply(dy, p["a"], out=ctx.empty("share", dy.shape))
        ctx.xp.subtract(dy, share, out=dx)
        below = ctx.children[0].backward(share)
        if below is not None:
            dx += below
        return dx


class Scale(Layer):
    """y = s x, a trained factor for each channel, from 1:  x (B, …, C) -> y (B, …, C)."""

    rate: Rate = 1.0  # of s, times the optimizer's

    def shapes(self, x, ctx):
        return {"s": Param(expect(x, "…, C")[-1:], (1.0,), rate=self.rate)}, x

    def forward(self, p, x, ctx):
        x = ctx.floats(x)
        return ctx.xp.multiply(x, p["s"], out=ctx.empty("y", x.shape)), x

    def backward(self, p, g, cache, dy, ctx):
        dx = ctx.xp.multiply(dy, cache, out=ctx.empty("dx", dy.shape))
        sum_rows(matrix(dx), out=g["s"])
        return ctx.xp.multiply(dy, p["s"], out=dx) if ctx.needs_dx else None


class NTKDense(Layer):
    """y = x W / √I + b, W and b begin normal:  x (B, …, I) -> y (B, …, O). Jacot et al. 2018.

    Wide and narrow layers then learn at one rate.
    """

    units: Count
    bias_rate: Rate = 1.0  # of b, times the optimizer's
    initial: Literal["normal", "zeros"] = "normal"

    def shapes(self, x, ctx):
        *others, size = expect(x, "…, I")
        begin = normal() if self.initial == "normal" else (0.0,)
        W = Param((size, self.units), begin)
        b = Param((self.units,), begin, rate=self.bias_rate)
        return {"W": W, "b": b}, (*others, self.units)

    def forward(self, p, x, ctx):
        x = ctx.floats(x)
        W = ctx.xp.multiply(p["W"], 1 / sqrt(len(p["W"])), out=ctx.empty("W", p["W"].shape))
        y = ctx.empty("y", (*x.shape[:-1], self.units))
        ctx.xp.dot(matrix(x), W, out=matrix(y))
        y += p["b"]
        return y, (x, W)

    def backward(self, p, g, cache, dy, ctx):
        (x, W), dy = cache, matrix(dy)
        ctx.xp.dot(matrix(x).T, dy, out=g["W"])
        g["W"] *= 1 / sqrt(len(W))
        sum_rows(dy, out=g["b"])
        if not ctx.needs_dx:
            return None
        dx = ctx.empty("dx", x.shape)
        ctx.xp.dot(dy, W.T, out=matrix(dx))
        return dx


class OneHot(Layer):
    """Each category as a 1 at its code's place:  codes x (B, F) -> y (B, Σ sizes).

    Column f has codes from 0 to sizes[f] - 1. `unseen` is the code, if there is one, of values that
    training has not seen: it has 0 everywhere.
    """

    sizes: tuple[Count, ...]
    unseen: int | None = None

    def shapes(self, x, ctx):
        (columns,) = expect(x, "F")
        if columns != len(self.sizes):
            raise ValueError(f"OneHot has sizes of {len(self.sizes)} columns for rows of {x}")
        return {}, (sum(self.sizes),)

    def forward(self, p, x, ctx):
        y, start = ctx.empty("y", (len(x), *ctx.y)), 0
        for column, size in zip(x.T, self.sizes, strict=True):
            places = y[:, start : start + size]
            ctx.xp.equal(column[:, None], ctx.xp.arange(size), out=places, casting="unsafe")
            if self.unseen is not None and self.unseen < size:
                places[:, self.unseen] = 0
            start += size
        return y, None


class Select(Layer):
    """Some columns alone, in this order:  x (B, F) -> y (B, number of columns)."""

    columns: tuple[int, ...]

    def shapes(self, x, ctx):
        (count,) = expect(x, "F")
        if not all(0 <= column < count for column in self.columns):
            raise ValueError(f"Select takes columns from 0 to {count - 1}, not {self.columns}")
        return {}, (len(self.columns),)

    def forward(self, p, x, ctx):
        y = ctx.empty("y", (len(x), *ctx.y), x.dtype)
        for place, column in enumerate(self.columns):
            y[:, place] = x[:, column]
        return y, None

    def backward(self, p, g, cache, dy, ctx):
        dx = ctx.empty("dx", (len(dy), *ctx.x))
        dx.fill(0)
        for place, column in enumerate(self.columns):
            dx[:, column] += dy[:, place]
        return dx
