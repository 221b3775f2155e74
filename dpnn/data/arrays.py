"""NumPy arrays to shards: the same checks, placement and messages as for a DataFrame, no Spark.

Driver; needs NumPy alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dpnn.data import checks
from dpnn.data.checks import DataError, Problem
from dpnn.data.placement import content_order, place, row_hashes
from dpnn.data.shards import Shape, Shard, as_shard


def from_arrays(
    x: Any, y: Any = None, w: Any = None, num_shards: int = 1, num_classes: int | None = None
) -> list[Shard]:
    """Cut arrays into shards: those that a DataFrame of the same rows would give.

    x  (n, …) or {name: (n, …)}     y  (n,) or (n, …)     w  (n,) row weights
    Floats become float32, booleans uint8; integers stay. Raises DataError for rows that cannot
    be trained on.
    """
    if num_shards < 1:
        raise ValueError(f"num_shards is {num_shards}: it must be at least 1")
    arrays = checked(x, y, w, num_classes)
    hashes = row_hashes(arrays)
    if num_shards == 1:
        return [as_shard(arrays, content_order(hashes))]
    shards = place(hashes, num_shards)
    cut = []
    for shard in range(num_shards):
        rows = np.flatnonzero(shards == shard)
        mine = {name: array[rows] for name, array in arrays.items()}
        cut.append(as_shard(mine, content_order(hashes[rows])))
    return cut


def checked(
    x: Any, y: Any = None, w: Any = None, num_classes: int | None = None
) -> dict[str, np.ndarray]:
    """The arrays as a shard keeps them, by its flat names; DataError as from `from_arrays`."""
    named = {f"x.{k}": (f"X[{k!r}]", v) for k, v in x.items()} if isinstance(x, dict) else {}
    named = named or {"x": ("X", x)}
    if y is not None:
        named["y"] = ("y", y)
    if w is not None:
        named["w"] = ("the weight array", w)
    arrays = {name: numbers(where, value) for name, (where, value) in named.items()}
    _check_lengths({where: len(arrays[name]) for name, (where, _) in named.items()})
    if w is not None:
        arrays["w"] = arrays["w"].astype(np.float32, copy=False)
    checks.raise_problems(_problems(arrays, named, num_classes), num_classes)
    return arrays


def input_shape(shards: list[Shard]) -> Shape | dict[str, Shape]:
    """The shape of one row of the input, or of each input by name."""
    x = shards[0].x
    if isinstance(x, dict):
        return {name: array.shape[1:] for name, array in x.items()}
    return x.shape[1:]


def numbers(where: str, value: Any) -> np.ndarray:
    """An array of the dtype that a shard keeps; DataError where there are no numbers."""
    if np.ma.is_masked(value):
        count = int(np.ma.getmaskarray(value).sum())
        raise DataError(f"{where} has {count:,} masked values: drop such rows or fill them")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise DataError(f"{where} is ragged: all rows must be equally long ({error})") from error
    if array.ndim == 0 or array.dtype.kind not in "biuf":
        raise DataError(
            f"{where} is {array.dtype} of shape {array.shape}: it must be an array of numbers "
            "with the rows first"
        )
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            array = array.astype(np.float32, copy=False)
    array = array.view(np.uint8) if array.dtype == bool else array
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _check_lengths(lengths: dict[str, int]) -> None:
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{where} has {n:,} rows" for where, n in lengths.items())
        raise DataError(f"{told}: they must have equally many")
    if 0 in lengths.values():
        raise DataError("the data has no rows")


def _problems(
    arrays: dict[str, np.ndarray], named: dict[str, tuple[str, Any]], num_classes: int | None
) -> list[Problem]:
    found = []
    for name, array in arrays.items():
        found += checks.check_values(array, [named[name][0]])
    if not found and "y" in arrays:
        found += checks.check_labels(arrays["y"], num_classes, "y")
    if not found and "w" in arrays:
        if arrays["w"].ndim != 1:
            raise DataError(f"the weight array has shape {arrays['w'].shape}: one a row is due")
        found += checks.check_weights(arrays["w"], "the weight array")
    return found
