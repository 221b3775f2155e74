"""From a DataFrame's schema and the user's column names to what ingest selects and decodes.

    inputs="pixels"                                    one column as it is: (n,) or (n, …)
    inputs=["a", "b"]                                  side by side: (n, k)
    inputs={"num": ["a", "b"], "carrier": "carrier"}   several inputs by name

Everything that the schema can tell is told here, before any job. Driver; needs pyspark.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from dpnn.data.arrow import Column, Part, Spec
from dpnn.spark.source import plan_facts

Inputs = str | Sequence[str] | Mapping[str, str | Sequence[str]]

_INTEGERS = (T.ByteType, T.ShortType, T.IntegerType, T.LongType)  # narrowest first
_FLOATS = (T.FloatType, T.DoubleType, T.DecimalType)
_CURE = {
    "string": "cast it where it holds numbers (cast('double')), else number it (StringIndexer)",
    "date": "make it a number first, e.g. F.unix_date or F.month",
    "timestamp": "make it a number first, e.g. F.unix_timestamp",
    "struct": "select its numeric fields as columns of their own",
    "map": "select its numeric entries as columns of their own",
}


def resolve(
    df: DataFrame,
    inputs: Inputs,
    label: str | Sequence[str] | None,
    weight: str | None,
    num_classes: int | None,
) -> tuple[DataFrame, Spec]:
    """The DataFrame with just the columns to read, and what to make of them."""
    columns, spec = choose(df, inputs, label, weight, num_classes)
    return df.select(*columns), spec


def choose(
    df: DataFrame,
    inputs: Inputs,
    label: str | Sequence[str] | None = None,
    weight: str | None = None,
    num_classes: int | None = None,
) -> tuple[list[SparkColumn], Spec]:
    """The columns to select, in the order in which the spec takes them."""
    groups = _groups(inputs)
    if not groups or not all(map(_is_names, groups)):
        raise ValueError(f"inputs must be names of columns, got {inputs!r}")
    wanted: list[tuple[str, str | Sequence[str]]] = []
    if isinstance(inputs, Mapping):
        wanted += [(f"x.{name}", columns) for name, columns in inputs.items()]
    else:
        wanted.append(("x", inputs))
    if label is not None:
        wanted.append(("y", label))
    if weight is not None:
        wanted.append(("w", weight))
    parts, selected = [], []
    for name, columns in wanted:
        part, chosen = _part(df, name, columns)
        parts.append(part)
        selected += chosen
    aliased = [column.alias(f"c{i}") for i, column in enumerate(selected)]
    return aliased, Spec(tuple(parts), num_classes)


def _groups(inputs: Inputs) -> list[str | Sequence[str]]:
    """What names the columns of each input."""
    return list(inputs.values()) if isinstance(inputs, Mapping) else [inputs]


def _is_names(names: object) -> bool:
    """One name, or a list of some."""
    return isinstance(names, Sequence) and all(isinstance(name, str) for name in names)


def column_names(inputs: Inputs) -> list[str]:
    """All columns that an `inputs` argument names, in order."""
    return [
        name for group in _groups(inputs) for name in ([group] if isinstance(group, str) else group)
    ]


def describe(
    df: DataFrame,
    inputs: Inputs,
    label: str | list[str] | None = None,
    weight: str | None = None,
) -> dict[str, Any]:
    """What the rows come from: paths and filters as far as the plan tells, and column types."""
    used = column_names(inputs)
    used += [label] if isinstance(label, str) else list(label or ())
    used += [weight] if weight else []
    kinds = {field.name: field.dataType.simpleString() for field in df.schema.fields}
    paths, filters = plan_facts(df)
    return {"paths": paths, "where": filters, "schema": {name: kinds[name] for name in used}}


def split_by_indicator(df: DataFrame, column: str) -> tuple[DataFrame, DataFrame]:
    """(training rows, validation rows): the column is true for validation rows.

    A boolean, or what a partition column makes of one: "true" and "false", or 0 and 1.
    """
    kind, flag = find(df, column).dataType, _quoted(column)
    if isinstance(kind, (T.StringType, *_INTEGERS)):
        text = F.lower(flag.cast("string"))
        flag = F.when(text.isin("true", "1"), True).when(text.isin("false", "0"), False)
        if other := df.where(text.isNotNull() & flag.isNull()).select(_quoted(column)).first():
            raise ValueError(
                f"the validation indicator {column!r} has {other[0]!r}, expected true or false: "
                f"e.g. df.withColumn({column!r}, F.col({column!r}) == {other[0]!r})"
            )
    elif not isinstance(kind, T.BooleanType):
        raise ValueError(
            f"the validation indicator {column!r} is {kind.simpleString()}, expected boolean: "
            f"e.g. df.withColumn({column!r}, F.col({column!r}) > 0)"
        )
    return df.where(~F.coalesce(flag, F.lit(False))), df.where(flag)


def find(df: DataFrame, name: str) -> T.StructField:
    """The field of a column; a missing one is an error that names the nearest."""
    for field in df.schema.fields:
        if field.name == name:
            return field
    near = difflib.get_close_matches(name, df.columns, 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {_some(df.columns)}"
    raise ValueError(f"no column {name!r} in the data: {hint}")


def _part(df: DataFrame, name: str, columns: str | Sequence[str]) -> tuple[Part, list[SparkColumn]]:
    if isinstance(columns, str):
        field = find(df, columns)
        target: T.DataType | None = None
        if name == "w" or isinstance(_leaf(field), _FLOATS[1:]):
            target = T.FloatType()
        if name == "w" and not isinstance(field.dataType, (*_INTEGERS, *_FLOATS, T.BooleanType)):
            raise ValueError(f"weight column {columns!r} is {_name(field)}: it must be a number")
        return Part(name, (Column((columns,)),)), [_read(field, target)]
    if not columns:
        raise ValueError(f"no columns are named for {name!r}: name one or more")
    fields = [find(df, column) for column in columns]
    target = _common([_leaf(field) for field in fields])
    scalars = [f for f in fields if not isinstance(f.dataType, (T.ArrayType, T.UserDefinedType))]
    if len(scalars) == len(fields) > 1 and not any(_is_binary(f) for f in fields):
        packed = F.array(*(_read(field, target) for field in fields))
        return Part(name, (Column(tuple(columns), packed=True),), stacked=True), [packed]
    made = tuple(Column((column,)) for column in columns)
    return Part(name, made, stacked=True), [_read(field, target) for field in fields]


def _read(field: T.StructField, target: T.DataType | None) -> SparkColumn:
    """The column as numbers, scalar or nested as it was, cast to `target` where one is given."""
    column, kind = _quoted(field.name), field.dataType
    if isinstance(kind, T.UserDefinedType):
        from pyspark.ml.functions import vector_to_array

        return F.when(column.isNotNull(), vector_to_array(column, "float32"))  # fails on a null
    if target is None or _is_binary(field):
        return column
    wrapped: T.DataType = target
    while isinstance(kind, T.ArrayType):
        wrapped, kind = T.ArrayType(wrapped), kind.elementType
    return column.cast(wrapped) if kind != target else column


def _leaf(field: T.StructField) -> T.DataType:
    """The number type inside a column; anything else is an error that names the cure."""
    kind = field.dataType
    if isinstance(kind, T.UserDefinedType) and kind.simpleString() == "vector":
        return T.FloatType()
    while isinstance(kind, T.ArrayType):
        kind = kind.elementType
    if isinstance(kind, (*_INTEGERS, *_FLOATS, T.BooleanType)) or _is_binary(field):
        return kind
    cure = next((c for k, c in _CURE.items() if kind.typeName().startswith(k)), None)
    raise ValueError(
        f"column {field.name!r} is {_name(field)}, not numbers: "
        + (cure or "numbers, booleans, arrays of them, vectors and binary (one byte a value) are")
    )


def _common(kinds: Iterable[T.DataType]) -> T.DataType | None:
    """The type that columns side by side are cast to; None where they are equal already."""
    kinds = list(kinds)
    if any(isinstance(kind, _FLOATS) for kind in kinds):
        return T.FloatType()
    if all(kind == kinds[0] for kind in kinds):
        return None
    widths = [_INTEGERS.index(type(kind)) if type(kind) in _INTEGERS else 0 for kind in kinds]
    if any(isinstance(kind, T.BinaryType) for kind in kinds):
        widths.append(_INTEGERS.index(T.ShortType))  # bytes go to 255
    return _INTEGERS[max(widths)]()


def _is_binary(field: T.StructField) -> bool:
    return isinstance(field.dataType, T.BinaryType)


def _name(field: T.StructField) -> str:
    return field.dataType.simpleString()


def _quoted(name: str) -> SparkColumn:
    return F.col("`" + name.replace("`", "``") + "`")


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
