"""Columns of Arrow and pandas tables to the arrays that a model takes, as a DataFrame's would be.

The same types and the same numbers as by way of Spark (`data/columns.py` casts there), so that the
same rows have the same score. Executor and driver; needs NumPy and pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpnn.data.arrow import Column, Notes, Part, Spec, decode
from dpnn.data.checks import DataError, Problem
from dpnn.data.encoders.encoders import Encoders
from dpnn.data.encoders.wishes import Category, Date, Number, Wishes, check_roles
from dpnn.data.saying import hint
from dpnn.data.vectors import as_lists, is_vectors, of_objects

Wanted = dict[str, Any]  # a shard's flat name -> the column, or the list of columns, that it is of


def wanted(inputs: Any, label: Any = None, weight: str | None = None) -> Wanted:
    """Which array is of which columns; "x" may be of raw ones, by their wishes or encoders."""
    several = isinstance(inputs, Mapping)
    found = {f"x.{name}": names for name, names in inputs.items()} if several else {"x": inputs}
    found |= {} if label is None else {"y": label}
    return found | ({} if weight is None else {"w": weight})


def names_of(wanted: Wanted) -> list[str]:
    """All columns, in order; a column that is wanted twice comes twice."""
    return [name for key in wanted for name in _group(wanted, key)]


def is_table(data: Any) -> bool:
    """Whether it is a pandas DataFrame, or a table of any library that speaks Arrow."""
    return (
        _is_pandas(data)
        or (hasattr(data, "column_names") and hasattr(data, "num_rows") and hasattr(data, "schema"))
        or (hasattr(data, "__arrow_c_stream__") and hasattr(data, "columns"))
    )


def columns_of(data: Any, names: Iterable[str]) -> list[pa.Array]:
    """The named columns, each in one piece; ValueError names what is missing."""
    known = list(data.columns) if _is_pandas(data) else None
    if known is None and not hasattr(data, "column_names"):
        data = pa.table(data)
    known = data.column_names if known is None else known
    found = []
    for name in names:
        if name not in known:
            raise ValueError(f"no column {name!r} in the data{hint(name, known)}")
        column = _of_series(name, data[name]) if _is_pandas(data) else data.column(name)
        chunked = isinstance(column, pa.ChunkedArray)
        found.append(_one(column) if chunked else column)
    return found


def arrays(
    columns: Sequence[pa.Array],
    wanted: Wanted,
    num_classes: int | None = None,
    notes: Notes | None = None,
) -> tuple[dict[str, np.ndarray], list[Problem]]:
    """What `decode` makes of columns in the order of `names_of(wanted)`; fills `notes` of raw ones.

    Where one array is wanted of several columns, it may also come packed: as one column of arrays.
    """
    if isinstance(wanted.get("x"), Wishes | Encoders):
        return _raw(columns, wanted, num_classes, notes)
    given = [_plain(column) for column in columns]
    names = names_of(wanted)
    if len(given) == 1 < len(names) == len(_group(wanted, "x")):
        parts = [Part("x", (Column(tuple(names), packed=True),), stacked=True)]
    elif len(given) == len(names):
        parts, place = [], 0
        for name, group in wanted.items():
            own = _group(wanted, name)
            span = slice(place, place + len(own))
            place = span.stop
            given[span] = _alike(given[span], own, name)
            stacked = not isinstance(group, str)
            parts.append(Part(name, tuple(Column((column,)) for column in own), stacked))
    else:
        told = ", ".join(names)
        raise ValueError(f"the model takes {len(names)} columns ({told}), got {len(given)}")
    batch = pa.RecordBatch.from_arrays(given, names=[f"c{i}" for i in range(len(given))])
    return decode(batch, Spec(tuple(parts), num_classes))


def _raw(
    columns: Sequence[pa.Array], wanted: Wanted, num_classes: int | None, notes: Notes | None
) -> tuple[dict[str, np.ndarray], list[Problem]]:
    """Raw columns as they are, then label and weight."""
    inputs: Wishes | Encoders = wanted["x"]
    check_roles(inputs.names, wanted.get("y"))
    names, raw = names_of(wanted), len(inputs.names)
    if len(columns) != len(names):
        told = ", ".join(names)
        raise ValueError(f"the model takes {len(names)} columns ({told}), got {len(columns)}")
    given = [*map(as_lists, columns[:raw]), *(as_lists(_plain(column)) for column in columns[raw:])]
    parts = [
        Part(name, tuple(Column((column,)) for column in _group(wanted, name)), name == "w")
        for name in wanted
        if name != "x"
    ]
    if isinstance(inputs, Encoders):
        text = bool(inputs.classes)
        spec = Spec(tuple(parts), num_classes, inputs.wishes, text, inputs)
    else:
        text = "y" in wanted and is_text(given[raw].type)
        spec = Spec(tuple(parts), num_classes, inputs, text)
    batch = pa.RecordBatch.from_arrays(given, names=[f"c{i}" for i in range(len(given))])
    return decode(batch, spec, notes)


def by_type(data: Any, leave_out: Iterable[str]) -> Wishes:
    """What each column of a table is likely meant to be: as `by_type` of a DataFrame."""
    columns_of(data, out := set(leave_out))
    names = [name for name in column_names(data) if name not in out]
    numbers, categories, dates = [], [], []
    for name, column in zip(names, columns_of(data, names), strict=True):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if is_text(kind):
            categories.append(Category(name))
        elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            dates.append(Date(name))
        elif _is_number(_leaf(kind)) and not _is_bytes(kind):
            numbers.append(Number(name))
    return Wishes(tuple(numbers), tuple(categories), tuple(dates))


def column_names(data: Any) -> list[Any]:
    """All of a table's."""
    if _is_pandas(data):
        return list(data.columns)
    return data.column_names if hasattr(data, "column_names") else pa.table(data).column_names


def is_text(kind: pa.DataType) -> bool:
    """Whether a label's values are names of classes."""
    types = pa.types
    return types.is_string(kind) or types.is_large_string(kind) or types.is_boolean(kind)


def _group(wanted: Wanted, name: str) -> list[str]:
    group = wanted.get(name, ())
    if isinstance(group, Wishes | Encoders):
        return group.names
    return [group] if isinstance(group, str) else list(group)


def _is_pandas(data: Any) -> bool:
    kind = type(data)
    return kind.__module__.split(".")[0] == "pandas" and kind.__name__ == "DataFrame"


def _of_series(name: str, series: Any) -> pa.Array | pa.ChunkedArray:
    if series.dtype == object and any(hasattr(value, "toArray") for value in series[:1]):
        return of_objects(series)
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(f"column {name!r} is not numbers: {str(error).splitlines()[0]}") from None


def _one(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _plain(array: pa.Array) -> pa.Array:
    """Without what stands for an array of numbers: dictionaries, lists of fixed size."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    if is_vectors(array):
        return array
    target = _with_leaf(array.type, None)
    return array if target == array.type else array.cast(target)


def _alike(columns: list[pa.Array], names: list[str], part: str) -> list[pa.Array]:
    """Numbers that stand side by side: floats all of them where one is no whole number."""
    if part.startswith("x") and len(columns) == 1 and is_vectors(columns[0]):
        return columns  # which `decode` takes as they are
    columns = [as_lists(column) for column in columns]
    leaves = [_leaf(column.type) for column in columns]
    for leaf, column, name in zip(leaves, columns, names, strict=True):
        if not _is_number(leaf):
            raise DataError(
                f"column {name!r} is {column.type}, not numbers: numbers, booleans, lists of them, "
                "vectors and binary (one byte a value) are"
            )
    broken = any(pa.types.is_floating(leaf) or pa.types.is_decimal(leaf) for leaf in leaves)
    if not (broken or part == "w"):
        return columns
    target = _number(leaves, exact=part.startswith("x"))
    return [
        column if _is_bytes(leaf) else _numbers(column, leaf, target)
        for leaf, column in zip(leaves, columns, strict=True)
    ]


def _number(leaves: Sequence[pa.DataType], exact: bool) -> pa.DataType:
    """As `columns.py` has it: whole numbers among others must stay whole."""
    if not exact or all(map(_is_small, leaves)):
        return pa.float32()
    whole = all(pa.types.is_decimal(k) and not k.scale and k.precision <= 18 for k in leaves)
    return pa.int64() if whole else pa.float64()


def _is_small(leaf: pa.DataType) -> bool:
    """Whether float32 holds all numbers of this type."""
    small = (pa.float32(), pa.float16(), pa.bool_(), pa.int8(), pa.int16(), pa.uint8(), pa.uint16())
    return leaf in small or _is_bytes(leaf)


def _numbers(column: pa.Array, leaf: pa.DataType, target: pa.DataType) -> pa.Array:
    if pa.types.is_decimal(leaf):  # by its digits: rounded once, as Spark does
        column = column.cast(_with_leaf(column.type, pa.string()))
    return column.cast(_with_leaf(column.type, target), safe=False)


def _leaf(kind: pa.DataType) -> pa.DataType:
    while _is_list(kind):
        kind = kind.value_type
    return kind


def _with_leaf(kind: pa.DataType, leaf: pa.DataType | None) -> pa.DataType:
    """The type with another type of number inside, and lists of fixed size as plain ones."""
    if not _is_list(kind):
        return leaf or kind
    inner = _with_leaf(kind.value_type, leaf)
    return pa.large_list(inner) if pa.types.is_large_list(kind) else pa.list_(inner)


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    known = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
    return _is_bytes(kind) or any(is_kind(kind) for is_kind in known)


def flags(data: Any, name: str) -> pa.RecordBatch:
    """The column that is true for validation rows, as `splits.ByColumn` takes it."""
    (column,) = columns_of(data, [name])
    column = _plain(column)
    kind = column.type
    if not pa.types.is_boolean(kind):
        if not (pa.types.is_integer(kind) or pa.types.is_string(kind)):
            raise ValueError(f"the validation indicator {name!r} is {kind}, expected boolean")
        column = pc.utf8_lower(column.cast(pa.string()))
    return pa.RecordBatch.from_arrays([column], names=["held"])
