"""From a DataFrame's schema and the user's column names to what ingest selects and decodes.

    inputs="pixels"                                    one column as it is: (n,) or (n, …)
    inputs=["a", "b"]                                  side by side: (n, k)
    inputs={"num": ["a", "b"], "carrier": "carrier"}   several inputs by name

Everything that the schema can tell is told here, before any job. Driver; needs pyspark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from dpnn.data.arrow import Column, Part, Spec
from dpnn.data.encoders.encoders import Encoders
from dpnn.data.encoders.wishes import Wishes, check_roles
from dpnn.data.saying import hint
from dpnn.spark.source import plan_facts

Inputs = str | Sequence[str] | Mapping[str, str | Sequence[str]] | Wishes | Encoders

_INTEGERS = (T.ByteType, T.ShortType, T.IntegerType, T.LongType)  # narrowest first
_FLOATS = (T.FloatType, T.DoubleType, T.DecimalType)
_SMALL = (T.ByteType, T.ShortType, T.BooleanType, T.BinaryType, T.FloatType)  # fit float32
_CURE = {
    "string": "cast it where it holds numbers (cast('double')), else number it (StringIndexer)",
    "date": "make it a number first, e.g. F.unix_date or F.month",
    "timestamp": "make it a number first, e.g. F.unix_timestamp",
    "struct": "select its numeric fields as columns of their own",
    "map": "select its numeric entries as columns of their own",
}


def choose(
    df: DataFrame,
    inputs: Inputs,
    label: str | Sequence[str] | None = None,
    weight: str | None = None,
    num_classes: int | None = None,
) -> tuple[list[SparkColumn], Spec]:
    """The columns to select, in the order in which the spec takes them."""
    if isinstance(inputs, Wishes):
        return _raw(df, inputs, label, weight)
    if isinstance(inputs, Encoders):
        chosen, spec = _raw(df, inputs.wishes, label, weight)
        return chosen, replace(spec, encoders=inputs)
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


def _raw(
    df: DataFrame, wishes: Wishes, label: str | Sequence[str] | None, weight: str | None
) -> tuple[list[SparkColumn], Spec]:
    """Raw columns as they are, numbers exact; then label and weight."""
    check_roles(wishes.names, label)
    selected = [
        *(_raw_number(find(df, number.name)) for number in wishes.numbers),
        *(_raw_category(find(df, category.name)) for category in wishes.categories),
        *(_raw_date(find(df, date.name)) for date in wishes.dates),
    ]
    parts, text = [], False
    for name, columns in (("y", label), ("w", weight)):
        if columns is None:
            continue
        text = text or (name == "y" and is_text(df, columns))
        if name == "y" and text:
            part, chosen = Part("y", (Column((str(columns),)),)), [_quoted(str(columns))]
        else:
            part, chosen = _part(df, name, columns)
        parts.append(part)
        selected += chosen
    aliased = [column.alias(f"c{i}") for i, column in enumerate(selected)]
    return aliased, Spec(tuple(parts), None, wishes, text)


def is_text(df: DataFrame, label: str | Sequence[str]) -> bool:
    """Whether a label's values are the names of classes."""
    return isinstance(label, str) and isinstance(
        find(df, label).dataType, (T.StringType, T.BooleanType)
    )


def _raw_number(field: T.StructField) -> SparkColumn:
    kind = _leaf(field)
    if isinstance(kind, T.BinaryType):
        raise ValueError(f"column {field.name!r} is binary: a raw number column holds numbers")
    return _read(field, T.DoubleType() if isinstance(kind, T.DecimalType) else None)


def _raw_category(field: T.StructField) -> SparkColumn:
    kinds = (T.StringType, T.BooleanType, T.DateType, *_INTEGERS, *_FLOATS)
    if not isinstance(field.dataType, kinds):
        raise ValueError(
            f"column {field.name!r} is {_name(field)}: categories are strings, numbers, booleans "
            "or dates"
        )
    return _quoted(field.name)


def _raw_date(field: T.StructField) -> SparkColumn:
    if not isinstance(field.dataType, (T.DateType, T.TimestampType, T.TimestampNTZType)):
        raise ValueError(
            f"column {field.name!r} is {_name(field)}, not a date: e.g. df.withColumn("
            f"{field.name!r}, F.to_date({field.name!r}))"
        )
    return _quoted(field.name)


def _groups(inputs: Inputs) -> list[str | Sequence[str]]:
    """What names the columns of each input."""
    if isinstance(inputs, Wishes | Encoders):
        return [inputs.names]
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


def indicator(df: DataFrame, column: str) -> SparkColumn:
    """What a task must see of the column that is true for validation rows: `splits.ByColumn`.

    A boolean, or what a partition column makes of one: "true" and "false", or 0 and 1.
    """
    kind, flag = find(df, column).dataType, _quoted(column)
    if isinstance(kind, T.BooleanType):
        return flag
    if isinstance(kind, (T.StringType, *_INTEGERS)):
        return F.lower(flag.cast("string"))
    raise ValueError(
        f"the validation indicator {column!r} is {kind.simpleString()}, expected boolean: "
        f"e.g. df.withColumn({column!r}, F.col({column!r}) > 0)"
    )


def find(df: DataFrame, name: str) -> T.StructField:
    """The field of a column; a missing one is an error that names the nearest."""
    alike = [field for field in df.schema.fields if field.name.lower() == name.lower()]
    found = [field for field in alike if field.name == name]
    exact = len(alike) == 1 or df.sparkSession.conf.get("spark.sql.caseSensitive") == "true"
    if len(found) == 1 and not exact:
        raise ValueError(
            f"Spark takes the columns {' and '.join(repr(field.name) for field in alike)} for one: "
            "rename or drop all but one"
        )
    if len(found) > 1:
        raise ValueError(
            f"the data has {len(found)} columns of the name {name!r}: rename or drop all but one"
        )
    if not found:
        raise ValueError(f"no column {name!r} in the data{hint(name, df.columns)}")
    return found[0]


def _part(df: DataFrame, name: str, columns: str | Sequence[str]) -> tuple[Part, list[SparkColumn]]:
    if isinstance(columns, str):
        field = find(df, columns)
        target: T.DataType | None = None
        if name == "w" or isinstance(_leaf(field), _FLOATS[1:]):
            target = _number([_leaf(field)], exact=name.startswith("x"))
        if name.startswith("x") and _is_vector(field):
            return Part(name, (Column((columns,)),)), [F.unwrap_udt(_quoted(columns))]
        if name == "w" and not isinstance(field.dataType, (*_INTEGERS, *_FLOATS, T.BooleanType)):
            raise ValueError(f"weight column {columns!r} is {_name(field)}: it must be a number")
        return Part(name, (Column((columns,)),)), [_read(field, target)]
    if not columns:
        raise ValueError(f"no columns are named for {name!r}: name one or more")
    fields = [find(df, column) for column in columns]
    if len(fields) == 1 and _is_vector(fields[0]):
        return _part(df, name, columns[0])
    target = _common([_leaf(field) for field in fields], exact=name.startswith("x"))
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

        dtype = "float32" if target == T.FloatType() else "float64"
        return F.when(column.isNotNull(), vector_to_array(column, dtype))  # fails on a null
    if target is None or _is_binary(field):
        return column
    wrapped: T.DataType = target
    while isinstance(kind, T.ArrayType):
        wrapped, kind = T.ArrayType(wrapped), kind.elementType
    return column.cast(wrapped) if kind != target else column


def _leaf(field: T.StructField) -> T.DataType:
    """The number type inside a column; anything else is an error that names the cure."""
    kind = field.dataType
    if _is_vector(field):
        return T.DoubleType()
    while isinstance(kind, T.ArrayType):
        kind = kind.elementType
    if isinstance(kind, (*_INTEGERS, *_FLOATS, T.BooleanType)) or _is_binary(field):
        return kind
    cure = next((c for k, c in _CURE.items() if kind.typeName().startswith(k)), None)
    raise ValueError(
        f"column {field.name!r} is {_name(field)}, not numbers: "
        + (cure or "numbers, booleans, arrays of them, vectors and binary (one byte a value) are")
    )


def _number(kinds: Sequence[T.DataType], exact: bool) -> T.DataType:
    """The type for numbers of these kinds that are not all whole.

    exact  whole numbers among them must stay whole: float32 has them up to 2^24
    """
    if not exact or all(isinstance(kind, _SMALL) for kind in kinds):
        return T.FloatType()
    whole = all(
        isinstance(kind, T.DecimalType) and not kind.scale and kind.precision <= 18
        for kind in kinds
    )
    return T.LongType() if whole else T.DoubleType()


def _common(kinds: Iterable[T.DataType], exact: bool) -> T.DataType | None:
    """The type that columns side by side are cast to; None where they are equal already."""
    kinds = list(kinds)
    if any(isinstance(kind, _FLOATS) for kind in kinds):
        return _number(kinds, exact)
    if all(kind == kinds[0] for kind in kinds):
        return None
    widths = [_INTEGERS.index(type(kind)) if type(kind) in _INTEGERS else 0 for kind in kinds]
    if any(isinstance(kind, T.BinaryType) for kind in kinds):
        widths.append(_INTEGERS.index(T.ShortType))  # bytes go to 255
    return _INTEGERS[max(widths)]()


def _is_vector(field: T.StructField) -> bool:
    kind = field.dataType
    return isinstance(kind, T.UserDefinedType) and kind.simpleString() == "vector"


def _is_binary(field: T.StructField) -> bool:
    return isinstance(field.dataType, T.BinaryType)


def _name(field: T.StructField) -> str:
    return field.dataType.simpleString()


def _quoted(name: str) -> SparkColumn:
    return F.col("`" + name.replace("`", "``") + "`")
