"""More recurrent layers, by what a step does."""

from dpnn.nn.core.params import Param
from dpnn.nn.core.recurrent import Recurrent
from dpnn.nn.kernels import sigmoid


class GRU(Recurrent):
    """h = u h + (1 - u) n;  r, u = σ(x W + b + h U + c), n = tanh(x W + b + r (h U + c)).

    Cho et al. 2014, with the reset after the product.
    """

    gates = 3

    def shapes(self, x, ctx):
        """The reset scales a part of h U: it has a bias c."""
        params, y = super().shapes(x, ctx)
        return {**params, "c": Param((self.gates * self.units,))}, y

    def step(self, z, a, old, new, xp):
        (r, u, n), (h, kept) = z, new
        z[:2] += a[:2]
        sigmoid(z[:2], z[:2])
        kept[...] = a[2]
        n += r * kept
        xp.tanh(n, out=n)
        h[...] = n + u * (old[0] - n)

    def step_back(self, z, old, new, d, dz, da, xp):
        (r, u, n), (_, kept), (dh, _) = z, new, d
        dn = dh * (1 - u) * (1 - n * n)
        dz[0] = da[0] = dn * kept * r * (1 - r)
        dz[1] = da[1] = dh * (old[0] - n) * u * (1 - u)
        dz[2], da[2] = dn, dn * r
        dh *= u
