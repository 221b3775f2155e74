"""Gradient check: every coordinate, in float64, against central differences."""

from __future__ import annotations

from typing import Any

import numpy as np

from dpnn.nn.layer import Layer
from dpnn.nn.losses import Loss
from dpnn.nn.model import Network


def gradient_check(
    layer: Layer,
    x: Any,
    y: np.ndarray | None = None,
    loss: Loss | None = None,
    weight: np.ndarray | None = None,
    seed: int = 0,
    step: float = 1e-5,
    tolerance: float = 1e-6,
) -> float:
    """The largest relative error of the gradients of `layer` at x; AssertionError above tolerance.

    Without a loss, checks a random projection of the output. Inputs of floats are checked too.
    The gradient is filled with NaN first, so a view that backward leaves out is found.
    """
    inputs = x if isinstance(x, dict) else {"x": x}
    inputs = {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in inputs.items()}
    x = inputs if isinstance(x, dict) else inputs["x"]
    shape = {k: v.shape[1:] for k, v in x.items()} if isinstance(x, dict) else x.shape[1:]
    net = Network(layer, shape, dtype=np.float64, needs_dx=True).init(seed)
    rng = np.random.default_rng(seed)
    net.weights += 0.1 * rng.standard_normal(net.weights.shape)
    projection = rng.standard_normal(net.forward(x, True).shape)

    def value() -> float:
        z = net.forward(x, True)
        return float((z * projection).sum()) if loss is None else net.loss(z, y, loss, weight)[0]

    net.bind(net.weights, np.full(net.layout.size, np.nan))
    z = net.forward(x, True)
    dz = projection.copy() if loss is None else net.loss(z, y, loss, weight)[1]
    dx = net.backward(dz)
    trained = net.layout.trained
    if np.isnan(net.gradient).any():
        missing = [n for n, g in net.layout.named(net.gradient).items() if np.isnan(g).any()]
        raise AssertionError(f"backward left {missing} unwritten")
    pairs = {"weights": (net.weights[:trained], net.gradient[:trained].copy())}
    for name, values in inputs.items():
        if values.dtype.kind == "f":
            found = dx[name] if isinstance(dx, dict) else dx
            pairs[name] = (values.reshape(-1), np.array(found).reshape(-1))
    worst = 0.0
    for name, (point, found) in pairs.items():
        for i in range(point.size):
            kept = point[i]
            point[i] = kept + step
            high = value()
            point[i] = kept - step
            low = value()
            point[i] = kept
            expected = (high - low) / (2 * step)
            error = abs(found[i] - expected) / max(1.0, abs(expected), abs(found[i]))
            if not error <= tolerance:
                where = name if name != "weights" else _name(net, i)
                raise AssertionError(f"{where}[{i}]: backward {found[i]}, numeric {expected}")
            worst = max(worst, error)
    return worst


def _name(net: Network, i: int) -> str:
    return next(e.name for e in net.layout.entries if e.start <= i < e.stop)
