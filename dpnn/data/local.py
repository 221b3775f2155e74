"""Arrays and tables of this process to shards, without Spark. Driver."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from dpnn.data import tables
from dpnn.data.arrays import Named, checked, local_shards
from dpnn.data.arrow import Notes
from dpnn.data.checks import DataError, EmptySplit, raise_problems
from dpnn.data.encoders.wishes import Wishes
from dpnn.data.encoding_tasks import encoded_here
from dpnn.data.placement import row_hashes
from dpnn.data.roles import Columns
from dpnn.data.shards import LocalShards
from dpnn.data.sparse import dense
from dpnn.data.splits import ByColumn, ByContent, Rule

_NO_FLAGS = pa.RecordBatch.from_pydict({})


def of_arrays(data: Any, validation: Any, num_shards: int | None) -> LocalShards:
    """(X, y) or (X, y, weights); validation likewise, or a share of the rows."""
    return _shards(_read_arrays, data, validation, num_shards)


def of_table(data: Any, columns: Columns, validation: Any, num_shards: int | None) -> LocalShards:
    """A pandas or Arrow table; validation likewise, a boolean column, or a share of the rows."""
    wanted = tables.wanted(columns.inputs, columns.label, columns.weight)
    notes = Notes()

    def read(table: Any, name: str) -> Named:
        if not tables.is_table(table):
            raise TypeError(f"{name} must be a table like the data, got {type(table).__name__}")
        given = tables.columns_of(table, tables.names_of(wanted))
        own = Notes()
        arrays, problems = tables.arrays(given, wanted, notes=own)
        raise_problems(problems)
        notes.add(own)
        if not len(arrays["y"]):
            raise DataError("the data has no rows")
        return {name: dense(array) for name, array in arrays.items()}

    if isinstance(validation, str):
        arrays, flags = read(data, "data"), tables.flags(data, validation)
        shards = local_shards(_cut(arrays, ByColumn(validation), flags), _count(num_shards))
    else:
        shards = _shards(read, data, validation, num_shards)
    if not isinstance(columns.inputs, Wishes):
        return shards
    return encoded_here(shards, columns.inputs, notes)


def _shards(
    read: Callable[[Any, str], Named], data: Any, validation: Any, num_shards: int | None
) -> LocalShards:
    if validation is None:
        splits = {"train": read(data, "data")}
    elif isinstance(validation, float):
        splits = _cut(read(data, "data"), ByContent(validation), _NO_FLAGS)
    else:
        splits = {
            "train": _told("training", read, data, "data"),
            "validation": _told("validation", read, validation, "validation"),
        }
    return local_shards(splits, _count(num_shards))


def _cut(arrays: Named, rule: Rule, flags: pa.RecordBatch) -> dict[str, Named]:
    """Train and validation rows, as the rule has it."""
    raise_problems(rule.problems(flags))
    held = rule.held(flags, row_hashes(arrays))
    for kind, rows in (("training", ~held), ("validation", held)):
        if not rows.any():
            raise EmptySplit(kind, rule.asked)
    return {
        "train": {name: array[~held] for name, array in arrays.items()},
        "validation": {name: array[held] for name, array in arrays.items()},
    }


def _count(num_shards: int | None) -> int:
    return num_shards or os.cpu_count() or 1


def _read_arrays(data: Any, name: str) -> Named:
    if not isinstance(data, tuple | list) or len(data) not in (2, 3):
        raise TypeError(
            f"{name} must be a Spark DataFrame, a pandas or Arrow table, or arrays (X, y) or "
            f"(X, y, weights), got {type(data).__name__}"
        )
    x, y, *rest = data
    if y is None:
        raise TypeError(f"{name} has no labels: give (X, y) or (X, y, weights)")
    return checked(x, y, rest[0] if rest else None)


def _told(which: str, read: Callable[[Any, str], Named], data: Any, name: str) -> Named:
    """`read`, whose errors say which of two data sets they are of."""
    try:
        return read(data, name)
    except ValueError as error:
        kind = DataError if isinstance(error, DataError) else ValueError
        raise kind(f"{which}: {error}") from None
