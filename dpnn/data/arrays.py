"""NumPy arrays to shards: the same checks, placement and messages as for a DataFrame, no Spark.

Driver; needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dpnn.data import checks
from dpnn.data.checks import DataError, Problem
from dpnn.data.dtypes import agreed, compact, kept
from dpnn.data.placement import checksum, content_order, place, row_hashes
from dpnn.data.shards import Facts, Layout, LocalShards, Split, as_split

Named = dict[str, np.ndarray]  # the arrays of one split by a shard's flat names


def from_arrays(
    x: Any, y: Any = None, w: Any = None, num_shards: int = 1, num_classes: int | None = None
) -> list[Split]:
    """Cut arrays into the shards that a DataFrame of the same rows would give; one split.

    x  (n, …) or {name: (n, …)}     y  (n,) or (n, …)     w  (n,) row weights
    Floats become float32 (see `dtypes`), booleans uint8; integers stay. Raises DataError for rows
    that cannot be trained on.
    """
    arrays = checked(x, y, w, num_classes)
    return cut(arrays, row_hashes(arrays), num_shards)


def local_shards(splits: Mapping[str, Named], num_shards: int) -> LocalShards:
    """Shards of checked arrays by the name of their split."""
    layouts = agreed({split: layout_of(arrays) for split, arrays in splits.items()})
    pieces: dict[str, list[Split]] = {}
    facts: dict[str, Facts] = {}
    for split, arrays in splits.items():
        for name, dtype, _ in layouts[split]:
            arrays[name] = arrays[name].astype(dtype, copy=False)
        if "w" in arrays:
            checks.check_heaviest(split, float(arrays["w"].max()))
        hashes = row_hashes(arrays)
        pieces[split] = cut(arrays, hashes, num_shards)
        rows = [piece.rows for piece in pieces[split]]
        labels = checks.span(arrays["y"]) if "y" in arrays else None
        ranges = checks.ranges(arrays)
        facts[split] = Facts(rows, layouts[split], labels, checksum(hashes), ranges)
    shards = [{split: pieces[split][i] for split in splits} for i in range(num_shards)]
    return LocalShards(shards, facts, {"rows": sum(facts["train"].rows)})


def cut(arrays: Named, hashes: np.ndarray, num_shards: int) -> list[Split]:
    """Each shard's rows, by their hashes."""
    if num_shards < 1:
        raise ValueError(f"num_shards is {num_shards}: it must be at least 1")
    if num_shards == 1:
        return [as_split(arrays, content_order(hashes))]
    shards = place(hashes, num_shards)
    found = []
    for shard in range(num_shards):
        rows = np.flatnonzero(shards == shard)
        mine = {name: array[rows] for name, array in arrays.items()}
        found.append(as_split(mine, content_order(hashes[rows])))
    return found


def layout_of(arrays: Named) -> Layout:
    return tuple((name, array.dtype.str, array.shape[1:]) for name, array in arrays.items())


def checked(x: Any, y: Any = None, w: Any = None, num_classes: int | None = None) -> Named:
    """The arrays as a shard keeps them, by its flat names; DataError as from `from_arrays`."""
    named = {f"x.{k}": (f"X[{k!r}]", v) for k, v in x.items()} if isinstance(x, dict) else {}
    named = named or {"x": ("X", x)}
    if y is not None:
        named["y"] = ("y", y)
    if w is not None:
        named["w"] = ("the weight array", w)
    arrays = {name: kept(name, plain(where, value)) for name, (where, value) in named.items()}
    _check_lengths({where: len(arrays[name]) for name, (where, _) in named.items()})
    if w is not None:
        arrays["w"] = arrays["w"].astype(np.float32, copy=False)
    checks.raise_problems(_problems(arrays, named, num_classes), num_classes)
    return arrays


def numbers(where: str, value: Any) -> np.ndarray:
    """An input of the dtype that a shard keeps; DataError where there are no numbers."""
    return compact(plain(where, value))


def plain(where: str, value: Any) -> np.ndarray:
    """An array of numbers in this machine's byte order; DataError where it is none."""
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
