"""Layers that shape, scale or thin out what passes: nothing is trained."""

from math import prod

from dpnn.nn.core.layer import Cache, Context, Layer, Params, Rows, Views, expect
from dpnn.nn.kernels.arrays import Array


class Flatten(Layer):
    """x (B, …) -> y (B, product of the rest)."""

    def shapes(self, x: Rows, ctx: Context) -> tuple[Params, Rows]:
        return {}, (prod(expect(x, "…")),)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        return x.reshape(len(x), *ctx.y), None

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Array:
        return dy.reshape(len(dy), *ctx.x)


class Rescale(Layer):
    """y = scale x + offset; takes integers as they are."""

    scale: float
    offset: float = 0.0

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        y = ctx.empty("y", x.shape)
        ctx.xp.multiply(x, self.scale, out=y, dtype=ctx.dtype, casting="unsafe")
        if self.offset:
            y += self.offset
        return y, None

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Array:
        return ctx.xp.multiply(dy, self.scale, out=ctx.empty("dx", dy.shape))


class Dropout(Layer):
    """While training, zero each value with probability `rate` and scale the others by 1/(1-rate).

    The mask hangs on (seed, epoch, step, shard, layer), so a retry draws the same one.
    Srivastava et al. 2014.
    """

    rate: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate >= 1:
            raise ValueError(f"Dropout: rate is the probability of dropping, not {self.rate}")

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Cache]:
        x = ctx.floats(x)
        if not ctx.run.training or self.rate == 0:
            return x, None
        threshold = min(round(self.rate * 65536), 65535)  # 16 random bits a value
        words = ctx.rng().bit_generator.random_raw(-(-x.size // 4))
        bits = ctx.xp.asarray(words.view("uint16")[: x.size].reshape(x.shape))
        mask = ctx.empty("mask", x.shape)
        ctx.xp.greater_equal(bits, threshold, out=mask, casting="unsafe")
        mask *= 65536 / (65536 - threshold)
        return ctx.xp.multiply(x, mask, out=ctx.empty("y", x.shape)), mask

    def backward(self, p: Views, g: Views, cache: Cache, dy: Array, ctx: Context) -> Array:
        if cache is None:
            return dy
        return ctx.xp.multiply(dy, cache, out=ctx.empty("dx", dy.shape))
