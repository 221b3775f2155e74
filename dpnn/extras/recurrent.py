"""Recurrent layers: x (B, T, I) -> the last state (B, H), or all of them (B, T, H).

B batch, T time, I in, H units. Inside, time comes first: x W of all times is one product, and each
step adds h U, (B, H) by (H, gates H), to a contiguous block of it.
"""

from types import ModuleType
from typing import ClassVar

from dpnn.nn.activations import sigmoid
from dpnn.nn.backend import Array
from dpnn.nn.layer import Cache, Context, Layer, Params, Rows, Views, expect
from dpnn.nn.params import Param

States = tuple[Array, Array]  # h (B, H), which goes out, and s (B, H), which a step keeps beside it


class Recurrent(Layer):
    """Base of the recurrent layers, which say what one step does, forward and backward.

    z (B, gates, H) is x W + b of the step, then its gates, then their gradients; a is h U (+ c).
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
        self, z: Array, a: Array, old: States, new: States, d: States, xp: ModuleType
    ) -> None:
        """z, a become their gradients, d those before the step (without what passes a)."""
        raise NotImplementedError

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        (time, size), width = expect(x, "T, I"), self.gates * self.units
        params = {"W": Param((size, width), "glorot"), "b": Param((width,), self.bias)}
        params["U"] = Param((self.units, width), "orthogonal")
        if self.resets:
            params["c"] = Param((width,))
        return params, (time, self.units) if self.return_sequences else (self.units,)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        xp, (batch, time, size), block = ctx.xp, x.shape, (len(x), self.gates, self.units)
        inputs, z = ctx.empty("x", (time, batch, size)), ctx.empty("z", (time, *block))
        xp.copyto(inputs, x.swapaxes(0, 1), casting="unsafe")
        rows = z.reshape(time * batch, self.gates * self.units)
        xp.dot(inputs.reshape(time * batch, size), p["W"], out=rows)
        rows += p["b"]
        a = ctx.empty("a", block)
        h, s = (ctx.empty(tag, (time + 1, batch, self.units)) for tag in "hs")
        h[0] = s[0] = 0
        for t in range(time):
            product = xp.dot(h[t], p["U"], out=a.reshape(batch, rows.shape[1]))
            if self.resets:
                product += p["c"]
            self.step(z[t], a, (h[t], s[t]), (h[t + 1], s[t + 1]), xp)
        out = h[1:].swapaxes(0, 1) if self.return_sequences else h[time]
        y = ctx.empty("y", out.shape)
        xp.copyto(y, out)
        return y, (inputs, z, h, s)

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Array | None:
        xp, (inputs, z, h, s) = ctx.xp, cache
        dh, ds = (ctx.empty(tag, h.shape[1:]) for tag in ("dh", "ds"))
        dh[...] = ds[...] = 0
        a = ctx.empty("da", z.shape) if self.resets else z
        dz, da = (array.reshape(-1, self.gates * self.units) for array in (z, a))  # (T B, gates H)
        steps = da.reshape(len(z), len(dy), da.shape[1])
        turned = xp.ascontiguousarray(p["U"].T)  # the product is quicker so
        for t in reversed(range(len(z))):
            if self.return_sequences or t == len(z) - 1:
                dh += dy[:, t] if self.return_sequences else dy
            self.step_back(z[t], a[t], (h[t], s[t]), (h[t + 1], s[t + 1]), (dh, ds), xp)
            dh += xp.dot(steps[t], turned)
        rows = inputs.reshape(-1, ctx.x[1])
        xp.dot(rows.T, dz, out=g["W"])
        xp.dot(h[:-1].reshape(-1, self.units).T, da, out=g["U"])
        ctx.add_rows(dz, g["b"])
        if self.resets:
            ctx.add_rows(da, g["c"])
        if not ctx.needs_dx:
            return None
        xp.dot(dz, p["W"].T, out=rows)
        dx = ctx.empty("dx", (len(dy), *ctx.x))
        xp.copyto(dx, inputs.swapaxes(0, 1))
        return dx


class LSTM(Recurrent):
    """c = f c + i g,  h = o tanh(c);  i, f, o = σ(x W + h U + b), g = tanh(…), in this order.

    The forget gate's bias begins at 1. Hochreiter & Schmidhuber 1997; Jozefowicz et al. 2015.
    """

    gates = 4
    bias = (0.0, 1.0, 0.0, 0.0)

    def step(self, z: Array, a: Array, old: States, new: States, xp: ModuleType) -> None:
        z += a
        z[:, :3] = sigmoid(z[:, :3], xp.empty_like(z[:, :3]), xp)
        z[:, 3] = xp.tanh(z[:, 3])
        (i, f, o, g), (_, c), (h, kept) = z.swapaxes(0, 1), old, new
        xp.multiply(f, c, out=kept)
        kept += i * g
        xp.multiply(o, xp.tanh(kept), out=h)

    def step_back(
        self, z: Array, a: Array, old: States, new: States, d: States, xp: ModuleType
    ) -> None:
        (i, f, o, g), (_, c), (dh, dc) = z.swapaxes(0, 1), old, d
        t = xp.tanh(new[1])
        dc += dh * o * (1 - t * t)
        dg = dc * i * (1 - g * g)
        slope = z[:, :3] * (1 - z[:, :3])
        below = dc * f
        i[...], f[...], o[...], g[...] = dc * g, dc * c, dh * t, dg
        z[:, :3] *= slope
        dc[...] = below
        dh.fill(0)


class GRU(Recurrent):
    """h = u h + (1 - u) n;  r, u = σ(x W + b + h U + c), n = tanh(x W + b + r (h U + c)).

    Cho et al. 2014, with the reset after the product.
    """

    gates = 3
    resets = True

    def step(self, z: Array, a: Array, old: States, new: States, xp: ModuleType) -> None:
        z[:, :2] += a[:, :2]
        z[:, :2] = sigmoid(z[:, :2], xp.empty_like(z[:, :2]), xp)
        (r, u, n), (h, kept) = z.swapaxes(0, 1), new
        kept[...] = a[:, 2]
        n += r * kept
        xp.tanh(n, out=n)
        h[...] = n + u * (old[0] - n)

    def step_back(
        self, z: Array, a: Array, old: States, new: States, d: States, xp: ModuleType
    ) -> None:
        (r, u, n), (_, kept), (dh, _) = z.swapaxes(0, 1), new, d
        du = dh * (old[0] - n) * u * (1 - u)
        dn = dh * (1 - u) * (1 - n * n)
        dh *= u
        a[:, 2] = dn * r
        r *= (1 - r) * kept * dn
        u[...], n[...] = du, dn
        a[:, :2] = z[:, :2]
