"""Metric sums beside the loss: what a shard adds up, and what the driver makes of the total.

A tail is float64: loss sum, weight sum, rows, then the task's metric sums. All metrics are
weighted like the loss; for several outputs they are means over the outputs. (rmse is the root of
such a mean; r2, a ratio, needs the sums of each output: it is not known of very many, and leaves
out those whose targets are all alike, to 3e-8 of their size.)
"""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from dpnn import nn
from dpnn.nn.kernels.arrays import Array, to_host

LOSS, WEIGHT, ROWS = 0, 1, 2
HEAD = 3  # entries of a tail before the metric sums
OUTPUTS = 64  # up to which each has sums of its own


def tail_size(loss: nn.Loss, output_shape: tuple[int, ...]) -> int:
    if loss.task != "values":
        return HEAD + 1
    outputs = prod(output_shape)
    return HEAD + 4 * (outputs if outputs <= OUTPUTS else 1)


def metric_sums(loss: nn.Loss, z: Array, y: Array, w: Array | None) -> np.ndarray:
    """The sums over some rows; z (B, …) outputs, y targets, w (B,) or None."""
    xp = nn.array_module(z)
    if loss.task == "values":
        parts = _errors(z.reshape(len(z), prod(z.shape[1:])), y)
    else:
        classes = loss.task == "classes"
        found = xp.argmax(z, axis=-1) if classes else z > 0
        true = y.reshape(found.shape)
        hits = found == (true if classes else true > 0.5)
        hits = hits.reshape(len(z), prod(hits.shape[1:]))
        parts = [hits.mean(axis=1, keepdims=True, dtype=np.float64)]
    weights = xp.ones(len(z)) if w is None else w.astype(np.float64)
    return to_host(xp.concatenate([xp.dot(weights, part) for part in parts]))


def _errors(z: Array, y: Array) -> list[Array]:
    """|z - y|, (z - y)², y and y², each (B, outputs); of very many outputs only means."""
    xp, target = nn.array_module(z), y.reshape(z.shape).astype(np.float64)
    error = z - target
    if z.shape[1] <= OUTPUTS:
        return [xp.abs(error), error * error, target, target * target]
    means = [part.mean(axis=1, keepdims=True) for part in (xp.abs(error), error * error)]
    return [*means, *[xp.zeros_like(means[0])] * 2]  # no variance: r2 is unknown


def check_weight_sum(tail: np.ndarray) -> None:
    """ValueError where there is nothing to divide by."""
    if tail[WEIGHT] <= 0:
        raise ValueError("the rows' weights sum to 0: at least one row needs a positive weight")


def means(loss: nn.Loss, tail: np.ndarray) -> dict[str, float]:
    """{"loss": …, "accuracy": …} or {"loss", "mae", "rmse", "r2"} from a total tail."""
    check_weight_sum(tail)
    means = tail / tail[WEIGHT]
    result = {"loss": float(means[LOSS])}
    if loss.task == "values":
        absolute, squared, first, second = means[HEAD:].reshape(4, -1)
        variance = second - first * first
        result["mae"] = float(absolute.mean())
        result["rmse"] = sqrt(squared.mean())
        varies = variance > 1e-15 * second  # else it is rounding errors of a constant
        shares = 1 - squared[varies] / variance[varies]
        result["r2"] = float(shares.mean()) if varies.any() else float("nan")
    else:
        result["accuracy"] = float(means[HEAD])
    return result
