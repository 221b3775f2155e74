"""What makes probabilities of numbers, and their logarithms: exact to rounding at both ends."""

import numpy as np

from dpnn.nn.kernels.arrays import Array, array_module
from dpnn.nn.kernels.sums import add_columns, max_columns


def sigmoid(x: Array, out: Array) -> Array:
    """1 / (1 + exp(-x)) into out, which is returned and may be x.

    By an exponential: 65,536 float32 take 106 us, by a tanh 190, which also rounds to 6e-8 where x
    is far below 0.
    """
    xp = array_module(x)
    xp.negative(x, out=out)
    with np.errstate(over="ignore"):  # 1 / inf is the 0 that is meant
        xp.exp(out, out=out)
    out += 1
    return xp.divide(1, out, out=out)


def plain_sigmoid(x: Array) -> Array:
    xp = array_module(x)
    e = xp.exp(-xp.abs(x))
    return xp.where(x > 0, 1, e) / (1 + e)


def softmax(x: Array) -> Array:
    """exp(x) / Σ exp(x) along the last axis, in place."""
    xp = array_module(x)
    x -= max_columns(x)  # the largest becomes 0: nothing overflows
    xp.exp(x, out=x)
    x /= add_columns(x)
    return x


def plain_softmax(x: Array) -> Array:
    xp = array_module(x)
    e = xp.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(y: Array, dy: Array) -> Array:
    """dx = y (dy - Σ y dy), in place of dy."""
    dy -= array_module(y).einsum("...i,...i->...", y, dy)[..., None]
    dy *= y
    return dy


def plain_softmax_backward(y: Array, dy: Array) -> Array:
    return y * (dy - (y * dy).sum(axis=-1, keepdims=True))


def cross_entropy(z: Array, right: Array, smooth: float, dz: Array) -> Array:
    """-Σ q log softmax(z) of each row of z (N, C), q = (1 - smooth) onehot(right) + smooth / C.

    Fills dz = softmax(z) - q. The right class's share is never subtracted from 1, beside which
    what is small would be rounded away.
    """
    xp, e, flat = array_module(z), dz, dz.reshape(-1)
    place = xp.arange(0, z.size, z.shape[1])
    place += right  # one index a number: twice as quick as a pair
    xp.subtract(z, max_columns(z), out=e)
    shifted = flat[place]  # (N,) the right class's logit below the largest
    own = xp.exp(shifted)
    if smooth:
        shifted = (1 - smooth) * shifted + smooth * e.mean(axis=1)
    xp.exp(e, out=e)
    flat[place] = 0
    others = add_columns(e)[:, 0]
    total = others + own
    e /= total[:, None]
    own -= 1
    own += others
    values = xp.log1p(own)
    values -= shifted
    others /= total
    flat[place] = xp.negative(others, out=others)  # p - 1
    if smooth:
        e -= smooth / z.shape[1]
        flat[place] += smooth
    return values


def plain_cross_entropy(z: Array, right: Array, smooth: float, dz: Array) -> Array:
    xp, classes = array_module(z), z.shape[1]
    p, q = plain_softmax(z), (1 - smooth) * xp.eye(classes)[right] + smooth / classes
    dz[...] = p - q
    return -(q * xp.log(p)).sum(axis=1)


def logistic_error(z: Array, y: Array) -> Array:
    """σ(z) - y as (1 - y) σ(z) - y σ(-z), of one exponential: exact also where they nearly meet."""
    xp = array_module(z)
    e = xp.exp(-xp.abs(z))
    error = xp.maximum(z > 0, e)  # (1 + e) σ(z)
    error *= 1 - y
    against = xp.where(z > 0, e, 1)  # (1 + e) σ(-z)
    against *= y
    error -= against
    e += 1
    error /= e
    return error


def plain_logistic_error(z: Array, y: Array) -> Array:
    return (1 - y) * plain_sigmoid(z) - y * plain_sigmoid(-z)
