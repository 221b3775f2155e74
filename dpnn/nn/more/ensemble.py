"""Ensembles inside one network: k members that share their matrices. TabM: Gorishniy et al. 2025.

`Members` makes k of each row. Layers that take rows of (k, I), such as Dense, are what the members
share; MemberDense and MemberScale have weights for each. `MeanOfMembers` ends the model: in
training it hands on what each member says, since the loss, `EachMember`, is the mean of the
members' losses; afterwards it is what they say together.

B batch, k members, C channels, I in, O out.
"""

from typing import Literal

from dpnn.nn.core.fields import Count, Rate
from dpnn.nn.core.layer import Layer, expect
from dpnn.nn.core.losses import Loss
from dpnn.nn.core.params import Param
from dpnn.nn.kernels import Array, array_module
from dpnn.nn.more.draws import normal, signs, uniform


class Members(Layer):
    """y_m = R_m x, each row once for each member, by factors of its own: (B, C) -> (B, k, C)."""

    members: Count
    initial: Literal["normal", "signs"] = "normal"
    rate: Rate = 1.0  # of R, times the optimizer's

    def shapes(self, x, ctx):
        shape = (self.members, *expect(x, "C"))
        begin = normal() if self.initial == "normal" else signs
        return {"R": Param(shape, begin, rate=self.rate, decay=0)}, shape

    def forward(self, p, x, ctx):
        x = ctx.floats(x)
        y = ctx.empty("y", (len(x), *ctx.y))
        return ctx.xp.multiply(x[:, None], p["R"], out=y), x

    def backward(self, p, g, cache, dy, ctx):
        g["R"][...] = ctx.xp.einsum("bkc,bc->kc", dy, cache)
        if not ctx.needs_dx:
            return None
        return ctx.xp.einsum("bkc,kc->bc", dy, p["R"])


class MemberScale(Layer):
    """y_m = s_m x_m + b_m, factors from 1 for each member:  x (B, k, C) -> y (B, k, C)."""

    bias: bool = True

    def shapes(self, x, ctx):
        shape = expect(x, "k, C")
        params = {"s": Param(shape, (1.0,), decay=0)}
        if self.bias:
            params["b"] = Param(shape, decay=0)
        return params, x

    def forward(self, p, x, ctx):
        x = ctx.floats(x)
        y = ctx.xp.multiply(x, p["s"], out=ctx.empty("y", x.shape))
        if self.bias:
            y += p["b"]
        return y, x

    def backward(self, p, g, cache, dy, ctx):
        g["s"][...] = ctx.xp.einsum("bkc,bkc->kc", dy, cache)
        if self.bias:
            dy.sum(axis=0, out=g["b"])
        return ctx.xp.multiply(dy, p["s"], out=ctx.empty("dx", dy.shape))


class MemberDense(Layer):
    """y_m = x_m W_m + b_m, a Dense for each member:  x (B, k, I) -> y (B, k, O)."""

    units: Count

    def shapes(self, x, ctx):
        k, size = expect(x, "k, I")
        begin = uniform(size**-0.5)
        W, b = Param((k, size, self.units), begin), Param((k, self.units), begin, decay=0)
        return {"W": W, "b": b}, (k, self.units)

    def forward(self, p, x, ctx):
        x = ctx.floats(x)
        y = ctx.empty("y", (len(x), *ctx.y))
        ctx.xp.matmul(x.swapaxes(0, 1), p["W"], out=y.swapaxes(0, 1))
        y += p["b"]
        return y, x

    def backward(self, p, g, cache, dy, ctx):
        x, dy_of = cache.swapaxes(0, 1), dy.swapaxes(0, 1)  # (k, B, …)
        ctx.xp.matmul(x.swapaxes(1, 2), dy_of, out=g["W"])
        dy.sum(axis=0, out=g["b"])
        if not ctx.needs_dx:
            return None
        dx = ctx.empty("dx", cache.shape)
        ctx.xp.matmul(dy_of, p["W"].swapaxes(1, 2), out=dx.swapaxes(0, 1))
        return dx


class MeanOfMembers(Layer):
    """What the members say together:  x (B, k, O) -> y (B, O); in training x as it is.

    Of "values" the mean; of "binary" and "classes" the logits of the mean of their probabilities.
    """

    of: Literal["values", "binary", "classes"] = "values"

    def shapes(self, x, ctx):
        return {}, expect(x, "k, O")[1:]

    def forward(self, p, x, ctx):
        return (x if ctx.run.training else together(x, self.of)), None

    def backward(self, p, g, cache, dy, ctx):
        return dy


class EachMember(Loss):
    """The mean of the members' losses:  z (B, k, O), one target for all; z (B, O) as one member."""

    loss: Loss

    @property
    def task(self) -> str:  # type: ignore[override]
        return self.loss.task

    @property
    def logits(self) -> bool:  # type: ignore[override]
        return self.loss.logits

    def check(self, output_shape):
        self.loss.check(output_shape)

    def row_weights(self, y, w):
        return self.loss.row_weights(y, w)

    def joint(self, z):
        return together(z, self.task) if z.ndim > 2 else z

    def prediction(self, z):
        return self.loss.prediction(z)

    def __call__(self, z, y, w, ctx):
        if z.ndim < 3:
            return self.loss(z, y, w, ctx)
        k, each = z.shape[1], z.reshape(-1, *z.shape[2:])
        value, dz = self.loss(each, y.repeat(k, axis=0), None if w is None else w.repeat(k), ctx)
        dz *= 1 / k
        return value / k, dz.reshape(z.shape)


def together(z: Array, of: str) -> Array:
    """Outputs z (B, k, O) of k members as one, (B, O)."""
    xp = array_module(z)
    if of == "values":
        return z.mean(axis=1)
    if of == "binary":
        return _log_mean(-xp.logaddexp(0, -z)) - _log_mean(-xp.logaddexp(0, z))
    z = z - z.max(axis=2, keepdims=True)
    return _log_mean(z - xp.log(xp.exp(z).sum(axis=2, keepdims=True)))


def _log_mean(x: Array) -> Array:
    """log of the mean over the members of exp(x): (B, k, O) -> (B, O)."""
    xp, top = array_module(x), x.max(axis=1)
    return top + xp.log(xp.exp(x - top[:, None]).mean(axis=1))
