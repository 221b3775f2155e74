"""How weights begin. Fans are read from the shape: (…, in, out), leading axes a kernel's window.

Variance 2 / (in + out): Glorot & Bengio 2010. 2 / in: He et al. 2015. 1 / in: LeCun et al. 1998.
Orthogonal: Saxe et al. 2013. "auto" is He before a rectifier and Glorot elsewhere.
"""

from math import prod, sqrt

import numpy as np

from dpnn.nn.kernels import orthogonal

from .layer import Context, Views
from .spec import nearest


def initialize(place: Context, views: Views, rng: np.random.Generator, then="") -> str:
    """Fill the views of all parameters of a place, last layer first.

    `then` is the activation that comes next; returns the one that the layer before will meet.
    """
    below = then
    for child in reversed(place.children):
        below = initialize(child, views, rng, below if place.layer.chained else then)
    for name, param in place.params.items():
        views[place.prefix + name][...] = _values(param, rng, then)
        below = ""
    return place.layer.activation or below


def _values(param, rng, then):
    shape, initial = param.shape, param.initial
    if callable(initial):
        return initial(rng, shape)
    if not isinstance(initial, str):
        return np.repeat(initial, prod(shape) // len(initial)).reshape(shape)
    if initial == "normal":
        return rng.normal(0, 0.05, shape)
    if initial == "orthogonal":
        return orthogonal(rng, prod(shape[:-1]), shape[-1]).reshape(shape)
    if initial == "auto":
        initial = "he" if then == "relu" else "glorot"
    return sqrt(3 * _variance(initial, shape)) * rng.uniform(-1, 1, shape)


def _variance(initial, shape):
    fan_in = prod(shape[:-1])
    fan_out = prod(shape[:-2]) * shape[-1]
    variance = {"glorot": 2 / (fan_in + fan_out), "he": 2 / fan_in, "lecun": 1 / fan_in}
    if initial not in variance:
        known = ["auto", "normal", "orthogonal", *variance]
        raise ValueError(f"unknown initializer {initial!r}{nearest(initial, known)}")
    return variance[initial]
