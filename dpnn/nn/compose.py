"""Layers made of layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dpnn.nn.backend import Array
from dpnn.nn.layer import Context, Layer, numbered
from dpnn.nn.params import Tree


@dataclass(frozen=True, init=False)
class Sequential(Layer):
    """One layer after the other, y = f_n(… f_2(f_1(x)))."""

    layers: tuple[Layer, ...]
    chained = True

    def __init__(self, *layers: Layer) -> None:
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(f"Sequential takes layers, got {layer!r}: Sequential(a, b, …)")
        object.__setattr__(self, "layers", layers)

    def children(self) -> dict[str, Layer]:
        return numbered(self.layers)

    def shapes(self, x: Any) -> tuple[Tree, Any]:
        params = {}
        for name in self.children():
            params[name], x = self.child_shapes(name, x)
        return params, x

    def init(self, p: Tree, rng: np.random.Generator, then: str = "") -> None:
        for layer, q in zip(reversed(self.layers), reversed(p.values()), strict=True):
            layer.init(q, rng, then)
            then = layer.activation or ("" if q else then)

    def forward(self, p: Tree, x: Any, ctx: Context) -> tuple[Array, Any]:
        caches = []
        for layer, q, c in zip(self.layers, p.values(), ctx.children, strict=True):
            x, cache = layer.forward(q, x, c)
            caches.append(cache)
        return x, caches

    def backward(self, p: Tree, g: Tree, cache: Any, dy: Array, ctx: Context) -> Any:
        parts = zip(self.layers, p.values(), g.values(), cache, ctx.children, strict=True)
        for layer, q, h, kept, c in reversed(list(parts)):
            dy = layer.backward(q, h, kept, dy, c)
            if dy is None:  # nothing below has a parameter
                break
        return dy
