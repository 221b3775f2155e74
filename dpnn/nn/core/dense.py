"""The matrix product: Dense.

B batch, I in, O out, … any axes between (each position is a row of its own).
"""

from dpnn.nn.kernels import sum_rows

from .fields import Count
from .layer import Layer, Param, expect, matrix


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
        dx = ctx.like(cache, "dx")
        ctx.xp.dot(dy, p["W"].T, out=matrix(dx))
        return dx
