"""Dense: the matrix product that a network is made of.

B batch, I in, O out, … any axes between (each position is a row of its own).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dpnn.nn.backend import Array
from dpnn.nn.initializers import fill
from dpnn.nn.layer import Context, Layer, ShapeError
from dpnn.nn.params import Tree


@dataclass(frozen=True)
class Dense(Layer):
    """Affine map, y = x W + b:  x (B, …, I) -> y (B, …, O)."""

    units: int
    bias: bool = True
    initializer: str = "auto"

    def shapes(self, x: Any) -> tuple[Tree, Any]:
        if isinstance(x, dict) or not x:
            raise ShapeError(f"expected x of shape (B, …, I), got rows of {x}")
        params: Tree = {"W": (x[-1], self.units)}
        if self.bias:
            params["b"] = (self.units,)
        return params, (*x[:-1], self.units)

    def init(self, p: Tree, rng: np.random.Generator, then: str = "") -> None:
        fill(p["W"], rng, self.initializer, then)
        if self.bias:
            p["b"][...] = 0

    def forward(self, p: Tree, x: Array, ctx: Context) -> tuple[Array, Any]:
        x = ctx.floats(x)
        y = ctx.empty("y", (*x.shape[:-1], self.units))
        ctx.xp.dot(x.reshape(-1, x.shape[-1]), p["W"], out=y.reshape(-1, self.units))  # (B, O)
        if self.bias:
            y += p["b"]
        return y, x

    def backward(self, p: Tree, g: Tree, cache: Any, dy: Array, ctx: Context) -> Any:
        x, rows = cache, dy.reshape(-1, self.units)
        ctx.xp.dot(x.reshape(-1, x.shape[-1]).T, rows, out=g["W"])  # (I, O)
        if self.bias:
            rows.sum(axis=0, out=g["b"])  # (O,)
        if not ctx.needs_dx:
            return None
        dx = ctx.empty("dx", x.shape)
        ctx.xp.dot(rows, p["W"].T, out=dx.reshape(-1, x.shape[-1]))  # (B, I)
        return dx
