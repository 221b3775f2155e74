"""Recurrent layers: x (B, T, I) -> the last state (B, H), or all of them (B, T, H).

B batch, T time, I in, H units. Inside, time comes before the batch, and gates come before time, so
that a step works on whole blocks of memory: x W of all times and gates is one product, and each
step adds h U, (B, H) by (gates, H, H).
"""

from types import ModuleType
from typing import ClassVar

from dpnn.nn.core.activations import sigmoid
from dpnn.nn.core.layer import Cache, Context, Layer, Params, Rows, Views, expect
from dpnn.nn.core.params import Param
from dpnn.nn.kernels.arrays import Array, parts

States = tuple[Array, Array]  # h (B, H), which goes out, and s (B, H), which a step keeps beside it


class Recurrent(Layer, base=True):
    """Base of the recurrent layers, which say what one step does, forward and backward.

    z (gates, B, H) is x W + b of the step, then its gates; a is h U (+ c).
    """

    units: int
    return_sequences: bool = False
    gates: ClassVar[int]
    bias: ClassVar[tuple[float, ...]] = (0.0,)
    resets: ClassVar[bool] = False  # a step scales a part of h U: it gets a bias c, da is not dz

    def step(self, z: Array, a: Array, old: States, new: States, xp: ModuleType) -> None:
        """From the states before a step, fill those after it; z becomes the gates."""
        raise NotImplementedError

    def step_back(
        self, z: Array, old: States, new: States, d: States, dz: Array, da: Array, xp: ModuleType
    ) -> None:
        """Fill dz and da; d, of the states after, becomes that before (without what passes a)."""
        raise NotImplementedError

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        (time, size), width = expect(x, "T, I"), self.gates * self.units
        params = {"W": Param((size, width), "glorot"), "b": Param((width,), self.bias)}
        params["U"] = Param((self.units, width), "orthogonal")
        if self.resets:
            params["c"] = Param((width,))
        return params, (time, self.units) if self.return_sequences else (self.units,)

    def by_gates(self, x: Array) -> Array:
        """(N, gates H) as (gates, N, H)."""
        return x.reshape(-1, self.gates, self.units).swapaxes(0, 1)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        xp, (batch, time, size), block = ctx.xp, x.shape, (self.gates, len(x), self.units)
        inputs, a = ctx.copy(x.swapaxes(0, 1), "x"), ctx.empty("a", block)
        z = ctx.empty("z", (self.gates, time, batch, self.units))
        flat = z.reshape(self.gates, time * batch, self.units)
        xp.matmul(inputs.reshape(time * batch, size), self.by_gates(p["W"]), out=flat)
        h, s = (ctx.empty(tag, (time + 1, batch, self.units)) for tag in "hs")
        h[0] = s[0] = 0
        b, c = (self.by_gates(p[tag]) for tag in ("b", "c" if self.resets else "b"))
        b, c = (xp.broadcast_to(row, block).copy() for row in (b, c))  # whole blocks add quicker
        n = parts(xp, self.units, a[0].size, 32)
        u = p["U"].reshape(self.units, self.gates, n, self.units // n).transpose(1, 2, 0, 3)
        products = a.reshape(self.gates, batch, n, self.units // n).swapaxes(1, 2)
        for t in range(time):
            xp.matmul(h[t], u, out=products)
            now = z[:, t]
            now += b
            if self.resets:
                a += c
            self.step(now, a, (h[t], s[t]), (h[t + 1], s[t + 1]), xp)
        out = h[1:].swapaxes(0, 1) if self.return_sequences else h[time]
        return ctx.copy(out, "y"), (inputs, z, h, s)

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Array | None:
        xp, (inputs, z, h, s) = ctx.xp, cache
        dh, ds = (ctx.empty(tag, h.shape[1:]) for tag in ("dh", "ds"))
        dh[...] = ds[...] = 0
        rows = (z.shape[1] * len(dy), self.gates * self.units)
        dz = ctx.empty("dz", rows)
        da = ctx.empty("da", rows) if self.resets else dz
        n = parts(xp, self.units, dz[: len(dy)].size, 32)
        turned = p["U"].T.reshape(-1, n, self.units // n).swapaxes(0, 1).copy()  # quicker so
        passed = ctx.empty("passed", dh.shape)  # dh by the way of a
        products = passed.reshape(len(dy), *turned.shape[::2]).swapaxes(0, 1)
        for t in reversed(range(z.shape[1])):
            if self.return_sequences or t == z.shape[1] - 1:
                dh += dy[:, t] if self.return_sequences else dy
            now = slice(t * len(dy), (t + 1) * len(dy))
            states = (h[t], s[t]), (h[t + 1], s[t + 1]), (dh, ds)
            self.step_back(z[:, t], *states, self.by_gates(dz[now]), self.by_gates(da[now]), xp)
            xp.matmul(da[now], turned, out=products)
            dh += passed
        x = inputs.reshape(-1, ctx.x[1])
        xp.dot(x.T, dz, out=g["W"])
        xp.dot(h[:-1].reshape(-1, self.units).T, da, out=g["U"])
        ctx.add_rows(dz, g["b"])
        if self.resets:
            ctx.add_rows(da, g["c"])
        if not ctx.needs_dx:
            return None
        dx = ctx.empty("dx of times", inputs.shape)
        xp.dot(dz, p["W"].T, out=dx.reshape(x.shape))
        return ctx.copy(dx.swapaxes(0, 1), "dx")


class LSTM(Recurrent):
    """c = f c + i g,  h = o tanh(c);  i, f, o = σ(x W + h U + b), g = tanh(…), in this order.

    The forget gate's bias begins at 1. Hochreiter & Schmidhuber 1997; Jozefowicz et al. 2015.
    """

    gates = 4
    bias = (0.0, 1.0, 0.0, 0.0)

    def step(self, z: Array, a: Array, old: States, new: States, xp: ModuleType) -> None:
        z += a
        sigmoid(z[:3], z[:3], xp)
        xp.tanh(z[3], out=z[3])
        (i, f, o, g), (_, c), (h, kept) = z, old, new
        xp.multiply(f, c, out=kept)
        kept += i * g
        xp.multiply(o, xp.tanh(kept), out=h)

    def step_back(
        self, z: Array, old: States, new: States, d: States, dz: Array, da: Array, xp: ModuleType
    ) -> None:
        (i, f, o, g), (_, c), (dh, dc) = z, old, d
        t, slope = xp.tanh(new[1]), 1 - z
        slope[:3] *= z[:3]
        slope[3] *= 1 + g
        dc += dh * o * (1 - t * t)
        for k, gradient in enumerate((dc * g, dc * c, dh * t, dc * i)):
            xp.multiply(slope[k], gradient, out=dz[k])
        dc *= f
        dh.fill(0)


class GRU(Recurrent):
    """h = u h + (1 - u) n;  r, u = σ(x W + b + h U + c), n = tanh(x W + b + r (h U + c)).

    Cho et al. 2014, with the reset after the product.
    """

    gates = 3
    resets = True

    def step(self, z: Array, a: Array, old: States, new: States, xp: ModuleType) -> None:
        (r, u, n), (h, kept) = z, new
        z[:2] += a[:2]
        sigmoid(z[:2], z[:2], xp)
        kept[...] = a[2]
        n += r * kept
        xp.tanh(n, out=n)
        h[...] = n + u * (old[0] - n)

    def step_back(
        self, z: Array, old: States, new: States, d: States, dz: Array, da: Array, xp: ModuleType
    ) -> None:
        (r, u, n), (_, kept), (dh, _) = z, new, d
        dn = dh * (1 - u) * (1 - n * n)
        dz[0] = da[0] = dn * kept * r * (1 - r)
        dz[1] = da[1] = dh * (old[0] - n) * u * (1 - u)
        dz[2], da[2] = dn, dn * r
        dh *= u
