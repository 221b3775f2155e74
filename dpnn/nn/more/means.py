"""From the sums over rows to what moves the weights: on the driver, and in a shard's own steps."""

from __future__ import annotations

import numpy as np

from dpnn.nn.core.params import Layout
from dpnn.nn.kernels import Array
from dpnn.nn.more.optimizers import clip_by_global_norm
from dpnn.nn.more.tail import Tail


def mean_gradient(
    layout: Layout, weights: Array, sums: Array, tail: Tail, clip_norm: float | None
) -> np.ndarray | None:
    """(trained,) the mean gradient, clipped, in the memory of `sums`; None where no row weighs.

    Moves the state in `weights` that is not trained.
    """
    if tail.rows:  # shards smaller than the number of steps leave some empty
        layout.update_state(weights, sums, tail.rows)
    weight = tail.weight
    if weight <= 0:  # rows that all weigh nothing change nothing
        return None
    gradient = sums[: layout.trained]
    gradient *= 1 / weight
    if clip_norm is not None:
        clip_by_global_norm(gradient, clip_norm)
    return gradient


def mean_move(layout: Layout, weights: Array, sums: Array, tail: Tail) -> np.ndarray | None:
    """(trained,) what a round's moves are on average, with the sign of a gradient: to subtract.

    In the memory of `sums`; None where no row weighs. Moves the state that is not trained.
    """
    if tail.rows:
        weights[layout.trained :] += sums[layout.trained :] / tail.rows
    if tail.weight <= 0:
        return None
    move = sums[: layout.trained]
    move *= -1 / tail.weight
    return move
