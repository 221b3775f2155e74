"""Why a step's numbers are not finite, as far as the numbers at hand tell. Executor."""

from __future__ import annotations

from typing import Any

import numpy as np

from dpnn.data.shards import Rows

FAR = 1e12  # from here on a square, or a sum of products, is soon too large for float32
RATE = "lower the learning rate or clip gradients"


def cause(weights: np.ndarray, rows: Rows, first: bool) -> str:
    """The likely cause and its cure, in a few words.

    weights  the flat vector that the step began with
    rows     the rows of the step
    first    whether the weights are still those of the start
    """
    if not np.isfinite(weights).all():
        return f"the weights are not finite since an earlier step: {RATE}"
    heaviest = _largest(rows.w)
    if not heaviest < FAR:
        return f"a row weighs {heaviest:.3g}: scale the row weights"
    inputs = max(map(_largest, rows.x.values() if isinstance(rows.x, dict) else [rows.x]))
    targets = _largest(rows.y)
    for what, size, cure in (
        ("the inputs", inputs, "scale them, or begin the model with Normalization()"),
        ("the targets", targets, "scale them"),
    ):
        if not size < FAR:
            return f"{what} reach {size:.3g}: {cure}"
    if first:
        return (
            f"these are the first weights, the inputs reach {inputs:.3g} and the targets "
            f"{targets:.3g}: scale both to about 1"
        )
    return RATE


def _largest(array: Any) -> float:
    """The largest size in an array; NaN where there is one."""
    if array is None or not array.size:
        return 0.0
    return float(np.abs(array.astype(np.float64)).max())
