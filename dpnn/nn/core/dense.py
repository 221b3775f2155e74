"""Matrix products and tables: Dense, Embedding.

B batch, I in, O out, … any axes between (each position is a row of its own).
"""

from dpnn.nn.core.fields import Count
from dpnn.nn.core.layer import Layer, expect, matrix, numbered
from dpnn.nn.core.params import Param
from dpnn.nn.kernels import scatter_add, sum_rows


class Dense(Layer):
    """Affine map, y = x W + b:  x (B, …, I) -> y (B, …, O).

    dW = xᵀ dy (I, O),  db = Σ dy (O,),  dx = dy Wᵀ (B, …, I).
    """

    units: Count
    bias: bool = True
    initializer: str = "auto"

    def shapes(self, x, ctx):
        *others, size = expect(x, "…, I")
        params = {"W": Param((size, self.units), self.initializer)}
        if self.bias:
            params["b"] = Param((self.units,))
        return params, (*others, self.units)

    def forward(self, p, x, ctx):
        x = ctx.floats(x)
        y = ctx.empty("y", (*x.shape[:-1], self.units))
        ctx.xp.dot(matrix(x), p["W"], out=matrix(y))
        if self.bias:
            y += p["b"]
        return y, x

    def backward(self, p, g, cache, dy, ctx):
        x, dy = matrix(cache), matrix(dy)
        ctx.xp.dot(x.T, dy, out=g["W"])
        if self.bias:
            sum_rows(dy, out=g["b"])
        if not ctx.needs_dx:
            return None
        dx = ctx.empty("dx", cache.shape)
        ctx.xp.dot(dy, p["W"].T, out=matrix(dx))
        return dx


class Embedding(Layer):
    """y = W[x]:  numbers x (B, …) from 0 to words - 1 -> their rows y (B, …, O).

    dW[w] = Σ dy over the places where x = w.
    """

    words: Count
    units: Count

    def shapes(self, x, ctx):
        table = Param((self.words, self.units), "normal")
        return {"W": table}, (*expect(x, "…"), self.units)

    def forward(self, p, x, ctx):
        ids = numbered(x, self.words, ctx.name or "Embedding")
        y = ctx.empty("y", (*x.shape, self.units))
        ctx.xp.take(p["W"], ids, axis=0, out=matrix(y))
        return y, ids

    def backward(self, p, g, cache, dy, ctx):
        g["W"].fill(0)
        scatter_add(g["W"], cache, matrix(dy))

    def multiply_adds(self, ctx):
        return 0
