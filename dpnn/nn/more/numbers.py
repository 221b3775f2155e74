"""Embeddings of numbers: several features of each column's number, so that a layer above can bend.

B batch, F columns, K frequencies or bins, O features of a column.
"""

from math import pi

from dpnn.nn.core.fields import Count, Rate
from dpnn.nn.core.layer import Layer, expect
from dpnn.nn.core.params import Param
from dpnn.nn.more.draws import normal, uniform


class PeriodicEmbedding(Layer):
    """y_f = (x_f, V_f cos(2π w_f x_f + b_f) + c_f):  x (B, F) -> y (B, F (1 + O)).

    w begins with deviation `sigma`, b anywhere in a turn. Gorishniy et al. 2022; RealMLP:
    Holzmüller et al. 2024.
    """

    units: Count = 3
    frequencies: Count = 16
    sigma: Rate = 0.1
    rate: Rate = 1.0  # of all parameters, times the optimizer's

    def shapes(self, x, ctx):
        (F,), K, O = expect(x, "F"), self.frequencies, self.units
        params = {
            "w": Param((F, K), normal(self.sigma), rate=self.rate),
            "b": Param((F, K), uniform(pi), rate=self.rate, decay=0),
            "V": Param((F, K, O), uniform(K**-0.5), rate=self.rate),
            "c": Param((F, O), uniform(K**-0.5), rate=self.rate, decay=0),
        }
        return params, (F * (1 + O),)

    def forward(self, p, x, ctx):
        xp, x = ctx.xp, ctx.floats(x)
        (B, F), K, O = x.shape, self.frequencies, self.units
        columns = ctx.copy(x.T, "columns")
        angles = ctx.empty("angles", (F, B, K))
        xp.multiply(columns[:, :, None], (2 * pi) * p["w"][:, None], out=angles)
        angles += p["b"][:, None]
        waves = xp.cos(angles, out=ctx.empty("waves", angles.shape))
        mixed = xp.matmul(waves, p["V"], out=ctx.empty("mixed", (F, B, O)))
        y = ctx.empty("y", (B, F, 1 + O))
        y[:, :, 0] = x
        xp.add(mixed.swapaxes(0, 1), p["c"], out=y[:, :, 1:])
        return y.reshape(B, F * (1 + O)), (columns, angles, waves)

    def backward(self, p, g, cache, dy, ctx):
        xp, (columns, angles, waves) = ctx.xp, cache
        (F, B), O = columns.shape, self.units
        dy = dy.reshape(B, F, 1 + O)
        dmixed = ctx.copy(dy[:, :, 1:].swapaxes(0, 1), "mixed")
        xp.matmul(waves.swapaxes(1, 2), dmixed, out=g["V"])
        dmixed.sum(axis=1, out=g["c"])
        dwaves = ctx.empty("dwaves", waves.shape)
        xp.matmul(dmixed, p["V"].swapaxes(1, 2), out=dwaves)
        dangles = xp.sin(angles, out=ctx.empty("dangles", waves.shape))
        dangles *= dwaves
        xp.negative(dangles, out=dangles)
        dangles.sum(axis=1, out=g["b"])
        xp.matmul(columns[:, None], dangles, out=g["w"][:, None])
        g["w"] *= 2 * pi
        if not ctx.needs_dx:
            return None
        slopes = xp.matmul(dangles, (2 * pi) * p["w"][:, :, None])[:, :, 0]
        return xp.add(slopes.T, dy[:, :, 0], out=ctx.empty("dx", (B, F)))


class PiecewiseLinear(Layer):
    """y_f = Σ_k clip(x_f - k, 0, 1) W_fk + b_f, k = 0 … bins - 1:  x (B, F) -> y (B, F O).

    So each feature is a trained function of x_f with a corner at every whole number, constant
    below 0 and above `bins`. Give it the places of numbers among the quantiles of their columns.
    Gorishniy et al. 2022.
    """

    bins: Count
    units: Count
    rate: Rate = 1.0  # of all parameters, times the optimizer's

    def shapes(self, x, ctx):
        (F,), begin = expect(x, "F"), uniform(self.bins**-0.5)
        W = Param((F, self.bins, self.units), begin, rate=self.rate)
        b = Param((F, self.units), begin, rate=self.rate, decay=0)
        return {"W": W, "b": b}, (F * self.units,)

    def forward(self, p, x, ctx):
        xp, x = ctx.xp, ctx.floats(x)
        (B, F), K, O = x.shape, self.bins, self.units
        codes = ctx.empty("codes", (F, B, K))
        xp.subtract(x.T[:, :, None], xp.arange(K, dtype=x.dtype), out=codes)
        xp.clip(codes, 0, 1, out=codes)
        found = xp.matmul(codes, p["W"], out=ctx.empty("found", (F, B, O)))
        y = xp.add(found.swapaxes(0, 1), p["b"], out=ctx.empty("y", (B, F, O)))
        return y.reshape(B, F * O), codes

    def backward(self, p, g, cache, dy, ctx):
        xp, codes = ctx.xp, cache
        F, B, _ = codes.shape
        dfound = ctx.copy(dy.reshape(B, F, self.units).swapaxes(0, 1), "found")
        xp.matmul(codes.swapaxes(1, 2), dfound, out=g["W"])
        dfound.sum(axis=1, out=g["b"])
        if not ctx.needs_dx:
            return None
        slopes = xp.matmul(dfound, p["W"].swapaxes(1, 2))
        slopes *= (codes > 0) & (codes < 1)
        dx = ctx.empty("dx", (B, F))
        dx[...] = slopes.sum(axis=2).T
        return dx
