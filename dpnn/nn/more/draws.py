"""How the weights of layers for tables begin: initializers, (rng, shape) -> values."""

import numpy as np

from dpnn.nn.core.params import Initial, Shape


def normal(deviation: float = 1.0) -> Initial:
    return lambda rng, shape: rng.normal(0, deviation, shape)


def uniform(limit: float) -> Initial:
    """Between -limit and limit."""
    return lambda rng, shape: rng.uniform(-limit, limit, shape)


def signs(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """-1 or 1."""
    return 2.0 * rng.integers(0, 2, shape) - 1
