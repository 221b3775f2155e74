"""Layers made of layers: one after the other, or side by side."""

from __future__ import annotations

from typing import Any

from dpnn.nn.backend import Array
from dpnn.nn.layer import Cache, Context, Layer, Rows, ShapeError
from dpnn.nn.params import Tree


class Container(Layer, init=False):
    """Base of the layers that are made of others: Sequential(a, b, …)."""

    layers: tuple[Layer, ...]

    def __init__(self, *layers: Layer) -> None:
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(f"{type(self).__name__} takes layers (a, b, …), got {layer!r}")
        object.__setattr__(self, "layers", layers)

    def children(self) -> dict[str, Layer]:
        return {f"{type(layer).__name__}[{i}]": layer for i, layer in enumerate(self.layers)}

    def multiply_adds(self, params: Tree, y: Any) -> int:
        return 0

    def child_shapes(self, name: str, x: Rows) -> tuple[Tree, Rows]:
        """A child's shapes; an error says whose it is."""
        try:
            return self.children()[name].shapes(x)
        except ShapeError as error:
            join = " " if str(error).startswith("expected") else "."
            raise ShapeError(f"{name}{join}{error}") from None


class Sequential(Container, init=False):
    """One layer after the other, y = f_n(… f_2(f_1(x)))."""

    chained = True

    def shapes(self, x: Rows) -> tuple[Tree, Rows]:
        params = {}
        for name in self.children():
            params[name], x = self.child_shapes(name, x)
        return params, x

    def forward(self, p: Tree, x: Any, ctx: Context) -> tuple[Array, Cache]:
        caches = []
        for layer, q, c in zip(self.layers, p.values(), ctx.children, strict=True):
            x, cache = layer.forward(q, x, c)
            caches.append(cache)
        return x, caches

    def backward(self, p: Tree, g: Tree, cache: Cache, dy: Array, ctx: Context) -> Any:
        parts = zip(self.layers, p.values(), g.values(), cache, ctx.children, strict=True)
        for layer, q, h, kept, c in reversed(list(parts)):
            dy = layer.backward(q, h, kept, dy, c)
            if dy is None:  # nothing below is trained
                break
        return dy


class Residual(Sequential, init=False):
    """y = x + f_n(… f_1(x)). He et al. 2016."""

    def shapes(self, x: Rows) -> tuple[Tree, Rows]:
        params, y = super().shapes(x)
        if x != y:
            raise ShapeError(f"expected layers that keep the shape, got {x} -> {y}")
        return params, y

    def forward(self, p: Tree, x: Any, ctx: Context) -> tuple[Array, Cache]:
        y, cache = super().forward(p, x, ctx)
        return ctx.xp.add(x, y, out=ctx.empty("y", y.shape)), cache

    def backward(self, p: Tree, g: Tree, cache: Cache, dy: Array, ctx: Context) -> Any:
        return _summed(super().backward(p, g, cache, dy, ctx), dy, ctx)


class Add(Container, init=False):
    """Branches side by side, y = f_1(x) + f_2(x) + …"""

    def shapes(self, x: Rows) -> tuple[Tree, Rows]:
        found = {name: self.child_shapes(name, x) for name in self.children()}
        return {name: params for name, (params, _) in found.items()}, self.joined(
            [y for _, y in found.values()]
        )

    def joined(self, ys: list[Rows]) -> Rows:
        """The output's shape, from those of the branches."""
        if any(y != ys[0] for y in ys):
            raise ShapeError(f"expected branches of one shape, got {ys}")
        return ys[0]

    def join(self, ys: list[Array], ctx: Context) -> Array:
        out = ctx.empty("y", ys[0].shape)
        ctx.xp.copyto(out, ys[0])
        for y in ys[1:]:
            out += y
        return out

    def split(self, dy: Array, sizes: list[int], ctx: Context) -> list[Array]:
        """What of dy is each branch's."""
        return [dy for _ in sizes]

    def forward(self, p: Tree, x: Any, ctx: Context) -> tuple[Array, Cache]:
        branches = zip(self.layers, p.values(), ctx.children, strict=True)
        passed = [layer.forward(q, x, c) for layer, q, c in branches]
        ys = [y for y, _ in passed]
        return self.join(ys, ctx), ([y.shape[-1] for y in ys], [cache for _, cache in passed])

    def backward(self, p: Tree, g: Tree, cache: Cache, dy: Array, ctx: Context) -> Any:
        sizes, caches = cache
        dx, dys = None, self.split(dy, sizes, ctx)
        for layer, q, h, kept, part, c in zip(
            self.layers, p.values(), g.values(), caches, dys, ctx.children, strict=True
        ):
            below = layer.backward(q, h, kept, part, c)
            dx = below if dx is None else _summed(below, dx, ctx)
        return dx


class Concatenate(Add, init=False):
    """Branches side by side, their outputs one behind the other along the last axis."""

    def joined(self, ys: list[Rows]) -> Rows:
        if any(not y or y[:-1] != ys[0][:-1] for y in ys):
            raise ShapeError(f"expected branches that differ in the last axis alone, got {ys}")
        return *ys[0][:-1], sum(y[-1] for y in ys)

    def join(self, ys: list[Array], ctx: Context) -> Array:
        out = ctx.empty("y", (*ys[0].shape[:-1], sum(y.shape[-1] for y in ys)))
        return ctx.xp.concatenate(ys, axis=-1, out=out)

    def split(self, dy: Array, sizes: list[int], ctx: Context) -> list[Array]:
        parts, start = [], 0
        for i, size in enumerate(sizes):
            part = ctx.empty(f"dy{i}", (*dy.shape[:-1], size))
            ctx.xp.copyto(part, dy[..., start : start + size])
            parts.append(part)
            start += size
        return parts


class Input(Layer):
    """One of the model's inputs by its name, where x is a dict of arrays."""

    name: str

    def shapes(self, x: Rows) -> tuple[Tree, Rows]:
        if not isinstance(x, dict) or self.name not in x:
            raise ShapeError(f"expected an input named {self.name!r}, got {x}")
        return {}, x[self.name]

    def forward(self, p: Tree, x: Any, ctx: Context) -> tuple[Array, Cache]:
        return x[self.name], None

    def backward(self, p: Tree, g: Tree, cache: Cache, dy: Array, ctx: Context) -> Any:
        return {self.name: dy}


def _summed(a: Any, b: Any, ctx: Context, tag: str = "dx") -> Any:
    """a + b, arrays or dicts of arrays by input; None where nothing below is trained."""
    if a is None or b is None:
        return None
    if isinstance(a, dict):
        both = {name: _summed(a[name], b[name], ctx, name) for name in a.keys() & b.keys()}
        return {**a, **b, **both}
    return ctx.xp.add(a, b, out=ctx.empty(tag, a.shape))
