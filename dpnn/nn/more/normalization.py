"""Normalization of inputs, by their mean and deviation over all training rows.

Before the first step the engine adds up `moments` over the shards, in one pass, and the driver puts
them into the weights with `set_moments`. C channels: the last axis of an input.
"""

from math import sqrt
from typing import Any

import numpy as np

from dpnn.nn.core.layer import Cache, Context, Layer, Params, Rows, Views, expect
from dpnn.nn.core.network import Network
from dpnn.nn.core.params import Param
from dpnn.nn.kernels.arrays import Array

SEEN = 1e-4  # deviations by which the mean may be wrong


class Normalization(Layer):
    """y = (x - mean - rest) scale, of each channel over all training rows; stands at an input.

    All three are found in one pass over the shards before the first step. scale is 1 / deviation,
    and 0 of a constant channel; rest is what float32 cannot hold of the mean, where that shows: so
    times in seconds, as whole numbers, keep each second.
    """

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        channels = expect(x, "…, C")[-1:]
        zeros = Param(channels, (0.0,), 1.0)
        return {"mean": zeros, "rest": zeros, "scale": Param(channels, (1.0,), 1.0)}, x

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        if ctx.run.moments is not None:
            ctx.run.moments.append(self.moments(x, ctx))
        y = ctx.xp.subtract(x, p["mean"], out=ctx.empty("y", x.shape))
        if p["rest"].any():
            y -= p["rest"]
        y *= p["scale"]
        return y, None

    def moments(self, x: Array, ctx: Context) -> Array:
        """Over the rows, of each channel: (3 C,) float64.

        Σ of the mean m of these rows, Σ of (x - m)², both means over the positions of a row, and
        Σ m². So the variance within is that of small numbers, however far they are from 0.
        """
        wide = x.reshape(-1, x.shape[-1]).astype("float64")  # (N, C)
        mean = wide.sum(axis=0) / max(len(wide), 1)
        wide -= mean
        within = ctx.xp.square(wide, out=wide).sum(axis=0) / max(len(wide), 1)
        return ctx.xp.concatenate([mean, within, mean * mean]) * len(x)

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Any:
        for view in g.values():
            view.fill(0)
        return ctx.xp.multiply(dy, p["scale"], out=ctx.empty("dx", dy.shape))


def check(place: Context, after: bool = False) -> bool:
    """Whether there is a Normalization in a place, `after` another; ValueError where it can't be.

    Its numbers come from the data as it is: nothing before it is trained, or normalized as well.
    """
    found = isinstance(place.layer, Normalization)
    if found and (after or place.needs_dx):
        raise ValueError(
            f"{place.name} must come before every layer that is trained and every other "
            "Normalization: its mean and scale are those of the input rows"
        )
    for child in place.children:
        found |= check(child, after or (found and place.layer.chained))
    return found


def moments_size(network: Network) -> int:
    """How many numbers `moments` gives; 0 where no layer is a Normalization."""
    return sum(3 * place.x[-1] for place in _places(network))


def moments(network: Network, x: Any) -> Array:
    """Executor. What each Normalization's `moments` says of some rows: (moments_size,) float64."""
    network.run.moments = []
    network.forward(x)
    found, network.run.moments = network.run.moments, None
    return network.run.xp.concatenate(found)


def set_moments(network: Network, weights: Array, sums: np.ndarray, rows: float) -> None:
    """Driver. Put mean and scale, from the summed `moments` of `rows` rows, into weights."""
    views = network.layout.named(weights)
    for place in _places(network) if rows else ():
        size = place.x[-1]
        (mean, within, second), sums = sums[: 3 * size].reshape(3, size) / rows, sums[3 * size :]
        between = second - mean * mean
        # Rounding errors are no variance: a constant column becomes 0, not noise.
        variance = within + np.where(between > 1e-15 * sqrt(rows) * second, between, 0)
        constant = variance <= 1e-20 * second
        scale = np.where(constant, 0, np.where(constant, 1, variance) ** -0.5)
        _set(views, place.prefix, mean, np.minimum(scale, np.finfo(np.float32).max))


def shapes_of_variance(network: Network) -> dict[str, tuple[int, ...]]:
    """The parameters in order as they were in version 0.1.0: mean and variance."""
    prefixes = {place.prefix for place in _places(network)}
    shapes = {}
    for entry in network.layout.entries:
        prefix, name = entry.name[: entry.name.rfind(".") + 1], entry.name.rpartition(".")[2]
        if prefix not in prefixes:
            shapes[entry.name] = entry.shape
        elif name != "rest":
            shapes[prefix + {"scale": "variance"}.get(name, name)] = entry.shape
    return shapes


def of_variance(network: Network, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The parameters as they are now, from those of `shapes_of_variance`."""
    views = network.layout.named(np.zeros_like(network.weights))
    for place in _places(network):
        mean, variance = (found.pop(place.prefix + name) for name in ("mean", "variance"))
        _set(views, place.prefix, mean, variance.astype(np.float64) ** -0.5)
        found |= {place.prefix + name: views[place.prefix + name] for name in place.params}
    return found


def _set(views: Views, prefix: str, mean: np.ndarray, scale: np.ndarray) -> None:
    """float64 -> float32, in two parts where one is too far off for the deviation."""
    rest = mean - mean.astype(np.float32)
    views[prefix + "mean"][...] = mean
    views[prefix + "rest"][...] = np.where(np.abs(rest) * scale > SEEN, rest, 0)
    views[prefix + "scale"][...] = scale


def _places(network: Network) -> list[Context]:
    return [c for c in network.context.walk() if isinstance(c.layer, Normalization)]
