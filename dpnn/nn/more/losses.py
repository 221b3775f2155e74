"""More losses that compare number by number: z and y (B, …)."""

from typing import Annotated

from dpnn.nn.core.fields import Limit, Rate, Share
from dpnn.nn.core.losses import Loss
from dpnn.nn.kernels import array_module


class MeanAbsoluteError(Loss):
    """|z - y|."""

    def value(self, z, y, xp):
        return xp.abs(z - y)

    def derivative(self, z, y, xp):
        return xp.sign(z - y)


class Huber(Loss):
    """(z - y)² / 2 within delta, delta (|z - y| - delta / 2) beyond. Huber 1964."""

    delta: Rate = 1.0

    def value(self, z, y, xp):
        inner = self.derivative(z, y, xp)
        return inner * (z - y - 0.5 * inner)

    def derivative(self, z, y, xp):
        return xp.clip(z - y, -self.delta, self.delta)


class Poisson(Loss):
    """exp(z) - y z:  z the logarithm of the expected count."""

    def value(self, z, y, xp):
        return xp.exp(z) - y * z

    def derivative(self, z, y, xp):
        return xp.exp(z) - y

    def prediction(self, z):
        return array_module(z).exp(z)


class Quantile(Loss):
    """The pinball loss, whose minimum is the q-quantile of y. Koenker & Bassett 1978."""

    q: Share = 0.5

    def value(self, z, y, xp):
        return (z - y) * self.derivative(z, y, xp)

    def derivative(self, z, y, xp):
        return (z > y) - z.dtype.type(self.q)


class Scaled(Loss):
    """Another loss, of z / scale and y / scale: of values in units that may be large or small."""

    loss: Loss
    scale: Annotated[float, Limit(1e-30)]

    @property
    def task(self) -> str:  # type: ignore[override]
        return self.loss.task

    def check(self, output_shape):
        self.loss.check(output_shape)

    def __call__(self, z, y, w, ctx):
        value, dz = self.loss(z / self.scale, y / self.scale, w, ctx)
        dz *= 1 / self.scale
        return value, dz
