"""Bad rows, found where the data is and told once, with their number, to the user.

Tasks return problems as values instead of raising: so they are counted over the whole data set,
and no task is tried again for nothing. Executor and driver; needs NumPy alone.
"""

from __future__ import annotations

import json
from ast import literal_eval
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dpnn.data.sparse import Sparse


class DataError(ValueError):
    """The data cannot be trained on as it is. The message names the thing and the cure."""


class EmptySplit(DataError):
    """The rule that cuts the rows into training and validation rows leaves one of them none."""

    def __init__(self, split: str, asked: str) -> None:
        cure = "give more rows, or say otherwise which rows validate"
        super().__init__(f"{split}: {asked} leaves it no rows: {cure}")


@dataclass(frozen=True)
class Problem:
    """One kind of fault in one place. `low` and `high` are examples: lengths or bad values.

    example  of values that are no numbers
    told     what the line begins with, where there are several data sets
    """

    kind: str  # a key of _TEXT
    where: str  # "column 'age'", "X"
    count: int
    low: float = 0
    high: float = 0
    example: str = ""
    told: str = ""


_TEXT = {
    "null": "{where} has {count} null{s}: drop or fill them, e.g. df.dropna(subset=[{name}])",
    "null inside": (
        "{where} has {count} null{s} inside its arrays: drop such rows, or fill them, e.g. "
        "F.transform({name}, lambda v: F.coalesce(v, F.lit(0)))"
    ),
    "null deep": "{where} has {count} null{s} inside its arrays: drop such rows",
    "infinite": (
        "{where} has {count} infinite value{s}: drop or replace {them}, e.g. {keep_finite}"
    ),
    "nonfinite": (
        "{where} has {count} value{s} that {are} NaN or infinite (as float32): "
        "drop or replace them, e.g. {keep_finite}"
    ),
    "nonfinite inside": (
        "{where} has {count} value{s} that {are} NaN or infinite (as float32): "
        "drop such rows, or replace them"
    ),
    "ragged": (
        "{where} has rows of {low:g} and of {high:g} values: "
        "all rows must be equally long; pad, cut or filter them"
    ),
    "label": (
        "{where} has {count} value{s} that {are} no class number from 0 to {classes}, "
        "e.g. {low:g}: number the classes from 0 (StringIndexer does)"
    ),
    "indicator": (
        "the validation indicator {name} has {count} value{s} that {are} neither true nor false, "
        "e.g. {example}: make it boolean, e.g. df.withColumn({name}, F.col({name}) == {example})"
    ),
    "unread": "the files cannot be read past Spark: {where}",
    "negative": "{where} has {count} negative weight{s}, e.g. {low:g}: weights must be >= 0",
}


def check_values(values: np.ndarray, where: Sequence[str]) -> list[Problem]:
    """NaN and infinities in (n, …); `where` names each of the columns that were packed, or all."""
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return []
    bad = ~np.isfinite(values.reshape(len(values), -1))
    if len(where) == 1:
        kind = "nonfinite inside" if values.ndim > 1 else "nonfinite"
        return [Problem(kind, where[0], int(bad.sum()))]
    counts = bad.sum(axis=0)
    return [Problem("nonfinite", w, int(n)) for w, n in zip(where, counts, strict=True) if n]


def check_labels(y: np.ndarray, num_classes: int | None, where: str) -> list[Problem]:
    """Class numbers must be whole and in 0 … num_classes - 1."""
    if num_classes is None:
        return []
    bad = (y < 0) | (y >= num_classes)
    if y.dtype.kind == "f":
        bad |= y != np.floor(y)
    return [Problem("label", where, int(bad.sum()), float(y[bad].min()))] if bad.any() else []


Span = tuple[float, float, float | None]  # lowest, highest, and one that is not whole


def span(y: np.ndarray) -> Span | None:
    """What is known of the labels of some rows; None of no rows."""
    if not y.size:
        return None
    broken = y[y != np.floor(y)] if y.dtype.kind == "f" else y[:0]
    return float(y.min()), float(y.max()), float(broken.flat[0]) if broken.size else None


def span_of(spans: Iterable[Span | None]) -> Span | None:
    """The span over several sets of rows."""
    known = [s for s in spans if s is not None]
    if not known:
        return None
    lows, highs, broken = zip(*known, strict=True)
    return min(lows), max(highs), next((b for b in broken if b is not None), None)


Ranges = dict[str, tuple[list[float], list[float]]]  # array -> lowest and highest by channel


def ranges(arrays: Mapping[str, Any]) -> Ranges:
    """Of the inputs whose dtype has whole numbers that float32 has not, (n, …, channels)."""
    found = {}
    for name, array in arrays.items():
        wide = array.dtype.itemsize >= 4 and array.dtype != np.float32
        if name.startswith("x") and wide and len(array):
            low, high = _range(array)
            found[name] = low.astype(float).tolist(), high.astype(float).tolist()
    return found


def _range(array: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(array, Sparse):
        return array.range()
    flat = array.reshape(-1, array.shape[-1] if array.ndim > 1 else 1)
    return flat.min(axis=0), flat.max(axis=0)


def ranges_of(several: Iterable[Ranges]) -> Ranges:
    """The ranges over several sets of rows."""
    found: Ranges = {}
    for some in several:
        for name, (low, high) in some.items():
            lows, highs = found.get(name, (low, high))
            found[name] = list(map(min, lows, low)), list(map(max, highs, high))
    return found


def check_heaviest(split: str, heaviest: float) -> None:
    """DataError where the rows of a split all weigh nothing."""
    if heaviest <= 0:
        name = {"train": "training"}.get(split, split)
        raise DataError(
            f"the {name} rows' weights sum to 0: at least one row needs a positive weight"
        )


def check_weights(w: np.ndarray, where: str) -> list[Problem]:
    bad = w < 0
    return [Problem("negative", where, int(bad.sum()), float(w[bad].min()))] if bad.any() else []


def merged(problems: Iterable[Problem]) -> list[Problem]:
    """One problem per kind and place, counts summed, in order of first sight."""
    found: dict[tuple[str, str, str], Problem] = {}
    for p in problems:
        old = found.get((p.told, p.kind, p.where))
        if old:
            low, high = min(p.low, old.low), max(p.high, old.high)
            example = min(p.example, old.example)
            p = replace(p, count=p.count + old.count, low=low, high=high, example=example)
        found[p.told, p.kind, p.where] = p
    return list(found.values())


def raise_problems(problems: Iterable[Problem], num_classes: int | None = None) -> None:
    """Raise a `DataError` of one line if there is any problem."""
    lines = [_line(p, num_classes) for p in merged(problems)]
    if lines:
        more = f" (and {len(lines) - 3} more such problems)" if len(lines) > 3 else ""
        raise DataError("; ".join(lines[:3]) + more)


def _line(p: Problem, num_classes: int | None) -> str:
    column = p.where.startswith("column ")
    name = literal_eval(p.where.removeprefix("column ")) if column else p.where
    quoted = "`" + name.replace("`", "``") + "`"  # what Spark takes for one name
    condition = json.dumps(f"abs({quoted}) < 3e38", ensure_ascii=False)
    return p.told + _TEXT[p.kind].format(
        where=p.where,
        name=repr(name if name.isidentifier() else quoted),
        count=f"{p.count:,}",
        s="" if p.count == 1 else "s",
        are="is" if p.count == 1 else "are",
        them="it" if p.count == 1 else "them",
        low=p.low,
        high=p.high,
        example=p.example,
        classes=(num_classes or 1) - 1,
        keep_finite=f"df.where({condition})" if column else "np.nan_to_num",
    )
