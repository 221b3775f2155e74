"""Matrix products and tables: Dense, Embedding.

B batch, I in, O out, … any axes between (each position is a row of its own).
"""

from dpnn.nn.core.layer import Cache, Context, Layer, Params, Rows, Views, expect, numbered
from dpnn.nn.core.params import Param
from dpnn.nn.kernels.arrays import Array, blocks


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
        ids = numbered(x, self.words, ctx.name or "Embedding")
        y = ctx.empty("y", (*x.shape, self.units))
        ctx.xp.take(p["W"], ids, axis=0, out=y.reshape(-1, self.units))
        return y, ids

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> None:
        rows, table = dy.reshape(-1, self.units), g["W"].reshape(-1)
        table.fill(0)
        for some in blocks(ctx.xp, *rows.shape):  # NumPy adds whole rows several times more slowly
            places = cache[some, None] * self.units + ctx.xp.arange(self.units)
            ctx.xp.add.at(table, places.reshape(-1), rows[some].reshape(-1))
