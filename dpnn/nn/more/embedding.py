"""Tables of trained rows: B batch, T time, C channels, O out."""

from dpnn.nn.core.fields import Count
from dpnn.nn.core.layer import Layer, Param, expect, matrix
from dpnn.nn.kernels import numbered, scatter_add


class Embedding(Layer):
    """y = W[x]:  numbers x (B, …) from 0 to words - 1 -> their rows y (B, …, O).

    dW[w] = Σ dy over the places where x = w.

    sparse   for words by the hundred thousand: a step leaves rows that it has not met as they are,
             with what the optimizer remembers of them, and of the table such rows alone travel
    """

    words: Count
    units: Count
    sparse: bool = False

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


class PositionalEmbedding(Layer):
    """y = x + W, a trained row for each time:  x (B, T, C) -> y (B, T, C)."""

    def shapes(self, x, ctx):
        return {"W": Param(expect(x, "T, C"), "normal")}, x

    def forward(self, p, x, ctx):
        return ctx.xp.add(x, p["W"], out=ctx.empty("y", x.shape)), None

    def backward(self, p, g, cache, dy, ctx):
        dy.sum(axis=0, out=g["W"])
        return dy

    def multiply_adds(self, ctx):
        return 0
