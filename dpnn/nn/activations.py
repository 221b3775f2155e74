"""Activations, elementwise: x (B, …) -> y (B, …)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dpnn.nn.backend import Array
from dpnn.nn.layer import Context, Layer
from dpnn.nn.params import Tree


@dataclass(frozen=True)
class ReLU(Layer):
    """y = max(x, 0)."""

    activation = "relu"

    def forward(self, p: Tree, x: Array, ctx: Context) -> tuple[Array, Any]:
        x = ctx.floats(x)
        y = ctx.xp.maximum(x, 0, out=ctx.empty("y", x.shape))
        return y, y

    def backward(self, p: Tree, g: Tree, cache: Any, dy: Array, ctx: Context) -> Any:
        mask = ctx.xp.greater(cache, 0, out=ctx.empty("mask", dy.shape, bool))
        return ctx.xp.multiply(dy, mask, out=ctx.empty("dx", dy.shape))


@dataclass(frozen=True)
class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x)), written as a tanh so that no exponential overflows."""

    activation = "sigmoid"

    def forward(self, p: Tree, x: Array, ctx: Context) -> tuple[Array, Any]:
        x = ctx.floats(x)
        y = ctx.xp.multiply(x, 0.5, out=ctx.empty("y", x.shape))
        ctx.xp.tanh(y, out=y)
        y *= 0.5
        y += 0.5
        return y, y

    def backward(self, p: Tree, g: Tree, cache: Any, dy: Array, ctx: Context) -> Any:
        dx = ctx.xp.subtract(1, cache, out=ctx.empty("dx", dy.shape))
        dx *= cache  # dy/dx = y (1 - y)
        dx *= dy
        return dx


@dataclass(frozen=True)
class Tanh(Layer):
    """y = tanh(x)."""

    activation = "tanh"

    def forward(self, p: Tree, x: Array, ctx: Context) -> tuple[Array, Any]:
        x = ctx.floats(x)
        y = ctx.xp.tanh(x, out=ctx.empty("y", x.shape))
        return y, y

    def backward(self, p: Tree, g: Tree, cache: Any, dy: Array, ctx: Context) -> Any:
        dx = ctx.xp.multiply(cache, cache, out=ctx.empty("dx", dy.shape))
        ctx.xp.subtract(1, dx, out=dx)  # dy/dx = 1 - y²
        dx *= dy
        return dx
