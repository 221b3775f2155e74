"""Layers that shape, scale or thin out what passes: no trained parameters."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from dpnn.nn.backend import Array
from dpnn.nn.layer import Context, Layer
from dpnn.nn.params import Tree


@dataclass(frozen=True)
class Flatten(Layer):
    """x (B, …) -> y (B, product of the rest)."""

    def shapes(self, x: Any) -> tuple[Tree, Any]:
        return {}, (prod(x),)

    def forward(self, p: Tree, x: Array, ctx: Context) -> tuple[Array, Any]:
        return x.reshape(len(x), prod(x.shape[1:])), x.shape

    def backward(self, p: Tree, g: Tree, cache: Any, dy: Array, ctx: Context) -> Any:
        return dy.reshape(cache)


@dataclass(frozen=True)
class Rescale(Layer):
    """y = scale x + offset; takes integers as they are."""

    scale: float
    offset: float = 0.0

    def forward(self, p: Tree, x: Array, ctx: Context) -> tuple[Array, Any]:
        y = ctx.empty("y", x.shape)
        ctx.xp.multiply(x, self.scale, out=y, dtype=ctx.dtype, casting="unsafe")
        if self.offset:
            y += self.offset
        return y, None

    def backward(self, p: Tree, g: Tree, cache: Any, dy: Array, ctx: Context) -> Any:
        return ctx.xp.multiply(dy, self.scale, out=ctx.empty("dx", dy.shape))


@dataclass(frozen=True)
class Dropout(Layer):
    """While training, zero each value with probability `rate` and scale the others by 1/(1-rate).

    The mask hangs on (seed, epoch, step, shard, layer), so a retry draws the same one.
    Srivastava et al. 2014.
    """

    rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise ValueError(
                f"Dropout rate is the probability of dropping: 0 to 1, not {self.rate}"
            )

    def forward(self, p: Tree, x: Array, ctx: Context) -> tuple[Array, Any]:
        x = ctx.floats(x)
        if not ctx.training or self.rate == 0:
            return x, None
        threshold = round(self.rate * 65536)  # 16 random bits a value
        words = ctx.rng().bit_generator.random_raw(-(-x.size // 4))
        bits = ctx.xp.asarray(words.view("uint16")[: x.size].reshape(x.shape))
        mask = ctx.empty("mask", x.shape)
        ctx.xp.greater_equal(bits, threshold, out=mask, casting="unsafe")
        mask *= 65536 / (65536 - threshold)
        return ctx.xp.multiply(x, mask, out=ctx.empty("y", x.shape)), mask

    def backward(self, p: Tree, g: Tree, cache: Any, dy: Array, ctx: Context) -> Any:
        if cache is None:
            return dy
        return ctx.xp.multiply(dy, cache, out=ctx.empty("dx", dy.shape))
