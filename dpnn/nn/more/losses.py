"""More losses that compare number by number: z and y (B, …)."""

from types import ModuleType

from dpnn.nn.core.losses import Loss
from dpnn.nn.kernels.arrays import Array, array_module


class MeanAbsoluteError(Loss):
    """|z - y|."""

    def value(self, z: Array, y: Array, xp: ModuleType) -> Array:
        return xp.abs(z - y)

    def slope(self, z: Array, y: Array, xp: ModuleType) -> Array:
        return xp.sign(z - y)


class Huber(Loss):
    """(z - y)² / 2 within delta, delta (|z - y| - delta / 2) beyond. Huber 1964."""

    delta: float = 1.0

    def value(self, z: Array, y: Array, xp: ModuleType) -> Array:
        inner = self.slope(z, y, xp)
        return inner * (z - y - 0.5 * inner)

    def slope(self, z: Array, y: Array, xp: ModuleType) -> Array:
        return xp.clip(z - y, -self.delta, self.delta)


class Poisson(Loss):
    """exp(z) - y z:  z the logarithm of the expected count."""

    def value(self, z: Array, y: Array, xp: ModuleType) -> Array:
        return xp.exp(z) - y * z

    def slope(self, z: Array, y: Array, xp: ModuleType) -> Array:
        return xp.exp(z) - y

    def prediction(self, z: Array) -> Array:
        return array_module(z).exp(z)


class Quantile(Loss):
    """The pinball loss, whose minimum is the q-quantile of y. Koenker & Bassett 1978."""

    q: float = 0.5

    def value(self, z: Array, y: Array, xp: ModuleType) -> Array:
        return (z - y) * self.slope(z, y, xp)

    def slope(self, z: Array, y: Array, xp: ModuleType) -> Array:
        return (z > y) - z.dtype.type(self.q)
