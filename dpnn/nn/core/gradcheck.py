"""Gradient check: every coordinate, in float64, against central differences."""

from typing import Any

import numpy as np

from .layer import Layer
from .losses import Loss
from .network import Network, each


def gradient_check(
    layer: Layer,
    x: Any,
    y: Any = None,
    loss: Loss | None = None,
    weight: Any = None,
    seed: int = 0,
    step: float = 1e-5,
    tolerance: float = 1e-6,
) -> float:
    """The largest error of the gradients of `layer` at x; AssertionError above tolerance.

    An error is relative where the gradient is above 1, else absolute. Without a loss, checks a
    random projection of the output. Inputs of floats are checked too; of several, those that
    backward gives a gradient for (a mask has none). The gradient is filled with NaN first, so a
    view that backward leaves out is found.
    """
    x = each(x, _wide)
    rows = each(x, lambda v: v.shape[1:])
    net = Network(layer, rows, dtype=np.float64, needs_dx=True).init(seed)
    net.gradient.fill(np.nan)
    rng = np.random.default_rng(seed)
    net.weights += 0.1 * rng.standard_normal(net.layout.size)
    projection = rng.standard_normal(net.forward(x, True).shape)

    def value():
        z = net.forward(x, True)
        if loss is None:
            return (z * projection).sum(), projection
        return net.loss(z, y, loss, weight)

    dx = net.backward(value()[1])
    found = net.layout.named(net.gradient.copy())
    found |= each(_named(dx), np.copy)
    points = net.parameters | _named(x)
    state = net.parameters.keys() - net.gradients.keys()
    worst = 0.0
    for name, point in points.items():
        if point.dtype.kind != "f" or name not in found:
            continue
        if found[name].shape != point.shape:
            raise AssertionError(f"{name}: backward gave a gradient of {found[name].shape}")
        for i in np.ndindex(point.shape):
            got = expected = found[name][i]
            if name not in state:  # behind state lie sums: it is enough that they are written
                expected = _difference(value, point, i, step)
            error = abs(got - expected) / max(1.0, abs(expected), abs(got))
            if not error <= tolerance:
                raise AssertionError(f"{name}{list(i)}: backward {got}, numeric {expected}")
            worst = max(worst, error)
    return worst


def _wide(x):
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def _named(x):
    return x if isinstance(x, dict) else {"x": x}


def _difference(value, point, i, step):
    """d value / d point[i]."""
    kept = point[i]
    point[i] = kept + step
    high = value()[0]
    point[i] = kept - step
    low = value()[0]
    point[i] = kept
    return (high - low) / (2 * step)
