"""Several inputs, and layers side by side."""

from typing import Any

from dpnn.nn.core.compose import Sequential
from dpnn.nn.core.layer import Context, Layer, ShapeError


class Residual(Sequential, init=False):
    """y = x + f_n(… f_1(x)). He et al. 2016."""

    def shapes(self, x, ctx):
        _, y = super().shapes(x, ctx)
        if x != y:
            raise ShapeError(f"expected layers that keep the shape, got {x} -> {y}")
        return {}, y

    def forward(self, p, x, ctx):
        y, _ = super().forward(p, x, ctx)
        out = ctx.empty("y", y.shape)
        return ctx.xp.add(x, y, out=out, dtype=ctx.dtype), None

    def backward(self, p, g, cache, dy, ctx):
        dx = super().backward(p, g, cache, dy, ctx)
        if dx is None:
            return None
        return ctx.xp.add(dy, dx, out=ctx.empty("dx", dy.shape))


class Concatenate(Sequential, init=False):
    """Branches side by side, their outputs one behind the other along the last axis."""

    chained = False

    def shapes(self, x, ctx):
        ys = [ctx.add(name, layer, x) for name, layer in self.children().items()]
        if not ys or any(not y or y[:-1] != ys[0][:-1] for y in ys):
            raise ShapeError(f"expected branches that differ in the last axis alone, got {ys}")
        return {}, (*ys[0][:-1], sum(y[-1] for y in ys))

    def forward(self, p, x, ctx):
        ys = [child.forward(x) for child in ctx.children]
        out = ctx.empty("y", (len(ys[0]), *ctx.y))
        return ctx.xp.concatenate(ys, axis=-1, out=out), None

    def backward(self, p, g, cache, dy, ctx):
        dxs, stop = [], 0
        for child in ctx.children:
            start, stop = stop, stop + child.y[-1]
            dxs.append(child.backward(dy[..., start:stop]))
        return added(dxs, "dx", ctx)


class Add(Sequential, init=False):
    """Branches side by side, y = f_1(x) + f_2(x) + …"""

    chained = False

    def shapes(self, x, ctx):
        ys = [ctx.add(name, layer, x) for name, layer in self.children().items()]
        if not ys or any(y != ys[0] for y in ys):
            raise ShapeError(f"expected branches of one shape, got {ys}")
        return {}, ys[0]

    def forward(self, p, x, ctx):
        return added([child.forward(x) for child in ctx.children], "y", ctx), None

    def backward(self, p, g, cache, dy, ctx):
        return added([child.backward(dy) for child in ctx.children], "dx", ctx)


class Input(Layer):
    """One of the model's inputs by its name, where x is a dict of arrays."""

    name: str

    def shapes(self, x, ctx):
        if not isinstance(x, dict) or self.name not in x:
            raise ShapeError(f"expected an input named {self.name!r}, got {x}")
        return {}, x[self.name]

    def forward(self, p, x, ctx):
        return x[self.name], None

    def backward(self, p, g, cache, dy, ctx):
        return {self.name: dy}


def added(terms: list[Any], tag: str, ctx: Context) -> Any:
    """The sum of arrays, or of dicts of arrays by input; what is None is left out."""
    terms = [term for term in terms if term is not None]
    if not terms:
        return None
    if isinstance(terms[0], dict):
        return {name: added(parts, tag + name, ctx) for name, parts in _by_name(terms).items()}
    out = ctx.copy(terms[0], tag)
    for term in terms[1:]:
        out += term
    return out


def _by_name(terms: list[dict[str, Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for term in terms:
        for name, part in term.items():
            found.setdefault(name, []).append(part)
    return found
