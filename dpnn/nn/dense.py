"""Matrix products and tables: Dense, Embedding.

B batch, I in, O out, … any axes between (each position is a row of its own).
"""

from dpnn.nn.backend import Array
from dpnn.nn.layer import Cache, Context, Layer, Params, Rows, Views, expect
from dpnn.nn.params import Param


class Dense(Layer):
    """Affine map, y = x W + b:  x (B, …, I) -> y (B, …, O)."""

    units: int
    bias: bool = True
    initializer: str = "auto"

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        *others, size = expect(x, "…, I")
        bias = {"b": Param((self.units,))} if self.bias else {}
        return {"W": Param((size, self.units), self.initializer), **bias}, (*others, self.units)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        x = ctx.floats(x)
        y = ctx.empty("y", (*x.shape[:-1], self.units))
        ctx.xp.dot(x.reshape(-1, x.shape[-1]), p["W"], out=y.reshape(-1, self.units))  # (B, O)
        if self.bias:
            y += p["b"]
        return y, x

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Array | None:
        x, rows = cache, dy.reshape(-1, self.units)
        ctx.xp.dot(x.reshape(-1, x.shape[-1]).T, rows, out=g["W"])  # (I, O)
        if self.bias:
            ctx.add_rows(rows, g["b"])  # (O,)
        if not ctx.needs_dx:
            return None
        dx = ctx.empty("dx", x.shape)
        ctx.xp.dot(rows, p["W"].T, out=dx.reshape(-1, x.shape[-1]))  # (B, I)
        return dx


class Embedding(Layer):
    """y = W[x]:  numbers x (B, …) from 0 to words - 1 -> their rows y (B, …, O)."""

    words: int
    units: int

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        return {"W": Param((self.words, self.units), "normal")}, (*expect(x, "…"), self.units)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        ids = x.reshape(-1).astype(int)
        inside = not ids.size or 0 <= int(ids.min()) <= int(ids.max()) < self.words
        if not inside or (ids != x.reshape(-1)).any():
            name, got = ctx.name or "Embedding", f"got {x.min()} to {x.max()}"
            raise ValueError(f"{name} takes whole numbers from 0 to {self.words - 1}, {got}")
        y = ctx.empty("y", (*x.shape, self.units))
        ctx.xp.take(p["W"], ids, axis=0, out=y.reshape(-1, self.units))
        return y, ids

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> None:
        g["W"].fill(0)
        ctx.xp.add.at(g["W"], cache, dy.reshape(-1, self.units))
