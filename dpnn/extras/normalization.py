"""Normalization of inputs, by their mean and variance over all training rows.

Before the first step the engine adds up `moments` over the shards, in one pass, and the driver puts
them into the weights with `set_moments`. C channels: the last axis of an input.
"""

from typing import Any

import numpy as np

from dpnn.nn.backend import Array
from dpnn.nn.layer import Cache, Context, Layer, Params, Rows, ShapeError, Views, expect
from dpnn.nn.model import Network
from dpnn.nn.params import Layout, Param


class Normalization(Layer):
    """y = (x - mean) / √variance, of each channel over all training rows; stands at an input.

    Both are found in one pass over the shards before the first step.
    """

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        channels = expect(x, "…, C")[-1:]
        return {"mean": Param(channels, (0.0,), 1.0), "variance": Param(channels, (1.0,), 1.0)}, x

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        x = ctx.floats(x)
        if ctx.run.moments is not None:
            ctx.run.moments.append(self.moments(x, ctx))
        y = ctx.xp.subtract(x, p["mean"], out=ctx.empty("y", x.shape))
        y *= p["variance"] ** -0.5
        return y, None

    def moments(self, x: Array, ctx: Context) -> Array:
        """Sums over the rows of x and x², means over the positions of a row: (2 C,) float64."""
        if ctx.needs_dx:
            raise ShapeError(f"{ctx.name} must come before every layer that is trained")
        wide = x.reshape(-1, x.shape[-1]).astype("float64")  # (N, C)
        sums = ctx.xp.concatenate([wide.sum(axis=0), (wide * wide).sum(axis=0)])
        return sums * (len(x) / max(len(wide), 1))

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Any:
        g["mean"].fill(0)
        g["variance"].fill(0)
        return ctx.xp.multiply(dy, p["variance"] ** -0.5, out=ctx.empty("dx", dy.shape))


def moments_size(layout: Layout) -> int:
    """How many numbers `moments` gives; 0 where no layer is a Normalization."""
    return sum(e.stop - e.start for e in layout.entries if e.momentum == 1)


def moments(network: Network, x: Any) -> Array:
    """Executor. Σ_rows of x, then of x², for each Normalization: (moments_size,) float64."""
    network.run.moments = []
    network.forward(x)
    found, network.run.moments = network.run.moments, None
    return network.run.xp.concatenate(found)


def set_moments(layout: Layout, weights: Array, sums: np.ndarray, rows: float) -> None:
    """Driver. Put mean and variance, from the summed `moments` of `rows` rows, into weights."""
    state = [slice(e.start, e.stop) for e in layout.entries if e.momentum == 1]
    for mean, variance in zip(state[::2], state[1::2], strict=True):
        size = mean.stop - mean.start
        (first, second), sums = sums[: 2 * size].reshape(2, size) / rows, sums[2 * size :]
        spread = second - first * first
        weights[mean] = first
        # A constant column has rounding errors for a variance: it becomes 0, not noise.
        weights[variance] = np.where(spread > 1e-12 * second, spread, 1)
