"""Recurrent layers: x (B, T, I) -> the last state (B, H), or all of them (B, T, H).

B batch, T time, I in, H units. A layer says what one step does; `kernels.recurrence` runs it over
time, with x W + b of all times at once and h U step by step.
"""

from math import prod
from typing import ClassVar

from dpnn.nn.kernels import scan, scan_back, sigmoid

from .fields import Count
from .layer import Layer, Param, expect


class Recurrent(Layer, base=True):
    """Base of the recurrent layers: W (I, gates H), U (H, gates H), b (gates H,).

    z (gates, B, H) is x W + b of a step, then its gates; a is h U. States are pairs (B, H): h,
    which goes out, and what a step keeps beside it.
    """

    units: Count
    return_sequences: bool = False
    gates: ClassVar[int]
    bias: ClassVar[tuple[float, ...]] = (0.0,)

    def step(self, z, a, old, new, xp):
        """From the states before a step, fill those after it; z becomes the gates."""

    def step_back(self, z, old, new, d, dz, da, xp):
        """Fill dz and da; d, of the states after, becomes that before (without what passes a)."""

    def shapes(self, x, ctx):
        time, size = expect(x, "T, I")
        width = self.gates * self.units
        params = {"W": Param((size, width), "glorot")}
        params["b"] = Param((width,), self.bias)
        params["U"] = Param((self.units, width), "orthogonal")
        every = (time,) if self.return_sequences else ()
        return params, (*every, self.units)

    def forward(self, p, x, ctx):
        h, cache = scan(self, p, x, ctx)  # (T, B, H)
        y = h.swapaxes(0, 1) if self.return_sequences else h[-1]
        return ctx.copy(y, "y"), cache

    def backward(self, p, g, cache, dy, ctx):
        return scan_back(self, p, g, cache, dy, ctx.needs_dx, ctx)

    def multiply_adds(self, ctx):
        return ctx.x[0] * sum(prod(ctx.params[name].shape) for name in "WU")


class LSTM(Recurrent):
    """c = f c + i g,  h = o tanh(c);  i, f, o = σ(x W + h U + b), g = tanh(…), in this order.

    The forget gate's bias begins at 1. Hochreiter & Schmidhuber 1997; Jozefowicz et al. 2015.
    """

    gates = 4
    bias = (0.0, 1.0, 0.0, 0.0)

    def step(self, z, a, old, new, xp):
        i, f, o, g = z
        (_, c_old), (h, c) = old, new
        z += a
        sigmoid(z[:3], z[:3])
        xp.tanh(g, out=g)
        xp.multiply(f, c_old, out=c)
        c += i * g
        xp.multiply(o, xp.tanh(c), out=h)

    def step_back(self, z, old, new, d, dz, da, xp):
        i, f, o, g = z
        c_old, tanh_c = old[1], xp.tanh(new[1])
        dh, dc = d
        derivative = 1 - z
        derivative[:3] *= z[:3]  # σ' = σ (1 - σ)
        derivative[3] *= 1 + g  # tanh' = 1 - tanh²
        dc += dh * o * (1 - tanh_c * tanh_c)
        for k, gradient in enumerate((dc * g, dc * c_old, dh * tanh_c, dc * i)):
            xp.multiply(derivative[k], gradient, out=dz[k])
        dc *= f
        dh.fill(0)
