"""Layers made of layers: one after the other, or side by side."""

from typing import Any

from dpnn.nn.core.layer import Cache, Context, Layer, Params, Rows, ShapeError, Views
from dpnn.nn.kernels.arrays import Array


class Chain(Layer, base=True):
    """Base of the layers that run their context's children one after the other."""

    chained = True

    def forward(self, p: Views, x: Any, ctx: Context) -> tuple[Array, Cache]:
        for child in ctx.children:
            x = child.forward(x)
        return x, None

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Any:
        for child in reversed(ctx.children):
            dy = child.backward(dy)
            if dy is None:  # nothing below is trained
                break
        return dy


class Sequential(Chain, init=False):
    """One layer after the other, y = f_n(… f_2(f_1(x)))."""

    layers: tuple[Layer, ...]

    def __init__(self, *layers: Layer) -> None:
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(f"{type(self).__name__} takes layers (a, b, …), got {layer!r}")
        object.__setattr__(self, "layers", layers)

    def children(self) -> dict[str, Layer]:
        """Name -> layer, in order. The names are part of the parameters' names."""
        return {f"{type(layer).__name__}[{i}]": layer for i, layer in enumerate(self.layers)}

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        for name, layer in self.children().items():
            x = ctx.add(name, layer, x)
        return {}, x


class Residual(Sequential, init=False):
    """y = x + f_n(… f_1(x)). He et al. 2016."""

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        _, y = super().shapes(x, ctx)
        if x != y:
            raise ShapeError(f"expected layers that keep the shape, got {x} -> {y}")
        return {}, y

    def forward(self, p: Views, x: Any, ctx: Context) -> tuple[Array, Cache]:
        y, _ = super().forward(p, x, ctx)
        return ctx.xp.add(x, y, out=ctx.empty("y", y.shape), dtype=ctx.dtype), None

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Any:
        return added([dy, super().backward(p, g, cache, dy, ctx)], "dx", ctx)


class Concatenate(Sequential, init=False):
    """Branches side by side, their outputs one behind the other along the last axis."""

    chained = False

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        ys = [ctx.add(name, layer, x) for name, layer in self.children().items()]
        if not ys or any(not y or y[:-1] != ys[0][:-1] for y in ys):
            raise ShapeError(f"expected branches that differ in the last axis alone, got {ys}")
        return {}, (*ys[0][:-1], sum(y[-1] for y in ys))

    def forward(self, p: Views, x: Any, ctx: Context) -> tuple[Array, Cache]:
        ys = [child.forward(x) for child in ctx.children]
        out = ctx.empty("y", (len(ys[0]), *ctx.y))
        return ctx.xp.concatenate(ys, axis=-1, out=out), None

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Any:
        dxs, stop = [], 0
        for child in ctx.children:
            start, stop = stop, stop + child.y[-1]
            dxs.append(child.backward(dy[..., start:stop]))
        return added(dxs, "dx", ctx)


class Input(Layer):
    """One of the model's inputs by its name, where x is a dict of arrays."""

    name: str

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        if not isinstance(x, dict) or self.name not in x:
            raise ShapeError(f"expected an input named {self.name!r}, got {x}")
        return {}, x[self.name]

    def forward(self, p: Views, x: Any, ctx: Context) -> tuple[Array, Cache]:
        return x[self.name], None

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Any:
        return {self.name: dy}


def added(terms: list[Any], tag: str, ctx: Context) -> Any:
    """The sum of arrays, or of dicts of arrays by input; what is None is left out."""
    terms = [term for term in terms if term is not None]
    if not terms:
        return None
    if isinstance(terms[0], dict):
        names = dict.fromkeys(name for term in terms for name in term)
        return {n: added([term[n] for term in terms if n in term], tag + n, ctx) for n in names}
    out = ctx.copy(terms[0], tag)
    for term in terms[1:]:
        out += term
    return out
