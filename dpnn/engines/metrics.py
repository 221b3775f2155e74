"""Metric sums beside the loss: what a shard adds up, and what the driver makes of the total.

A tail is float64: loss sum, weight sum, rows, then the task's metric sums. All metrics are
weighted like the loss; for several outputs they are means over the outputs.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from dpnn import nn
from dpnn.nn.backend import Array

LOSS, WEIGHT, ROWS = 0, 1, 2
HEAD = 3  # entries of a tail before the metric sums
SIZES = {"classes": 1, "binary": 1, "values": 4}


def tail_size(loss: nn.Loss) -> int:
    return HEAD + SIZES[loss.task]


def metric_sums(loss: nn.Loss, z: Array, y: Array, w: Array | None) -> np.ndarray:
    """The sums over some rows; z (B, …) outputs, y targets, w (B,) or None."""
    xp = nn.array_module(z)
    if loss.task == "values":
        target = y.reshape(z.shape).astype(np.float64)
        error = z - target
        parts = [xp.abs(error), error * error, target, target * target]
    elif loss.task == "classes":
        parts = [xp.argmax(z, axis=-1) == y.reshape(z.shape[:-1])]
    else:
        parts = [(z > 0) == (y.reshape(z.shape) > 0.5)]
    per_row = max(parts[0].size // max(len(z), 1), 1)
    out = np.empty(len(parts))
    for i, part in enumerate(parts):
        rows = part.reshape(len(z), -1).sum(axis=1, dtype=np.float64)
        out[i] = float(rows.sum() if w is None else xp.dot(rows, w.astype(np.float64))) / per_row
    return out


def means(loss: nn.Loss, tail: np.ndarray) -> dict[str, float]:
    """{"loss": …, "accuracy": …} or {"loss", "mae", "rmse", "r2"} from a total tail."""
    if tail[WEIGHT] <= 0:
        raise ValueError("the rows' weights sum to 0: at least one row needs a positive weight")
    means = tail / tail[WEIGHT]
    result = {"loss": float(means[LOSS])}
    if loss.task == "values":
        absolute, squared, first, second = means[HEAD:]
        variance = second - first * first
        result["mae"] = float(absolute)
        result["rmse"] = sqrt(squared)
        varies = variance > 1e-15 * second  # else it is rounding errors of a constant
        result["r2"] = float(1 - squared / variance) if varies else float("nan")
    else:
        result["accuracy"] = float(means[HEAD])
    return result
