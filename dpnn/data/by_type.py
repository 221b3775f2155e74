"""What raw columns are meant to be, where nobody says it. Driver; needs pyspark."""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import DataFrame
from pyspark.sql import types as T

from dpnn.data.columns import find
from dpnn.data.encoders.wishes import Category, Date, Number, Wishes
from dpnn.spark.session import Session


def by_type(df: DataFrame, leave_out: Iterable[str]) -> Wishes:
    """What each column is likely meant to be, by its type: all but those to leave out.

    Numbers are numbers; strings and booleans categories; dates and timestamps dates; arrays and
    vectors of numbers numbers. Anything else is left out. ValueError where there is no column of a
    name to leave out: it would be an input.
    """
    Session.of(df)  # the first call to a server says so where that is silent
    out = {find(df, name).name for name in leave_out}
    numbers, categories, dates = [], [], []
    for field in df.schema.fields:
        find(df, field.name)  # tells of twins
        kind = field.dataType
        while isinstance(kind, T.ArrayType):
            kind = kind.elementType
        if field.name in out:
            continue
        if isinstance(kind, T.NumericType) or kind.simpleString() == "vector":
            numbers.append(Number(field.name))
        elif isinstance(field.dataType, (T.StringType, T.BooleanType)):
            categories.append(Category(field.name))
        elif isinstance(field.dataType, (T.DateType, T.TimestampType, T.TimestampNTZType)):
            dates.append(Date(field.name))
    return Wishes(tuple(numbers), tuple(categories), tuple(dates))
