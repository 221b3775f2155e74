"""Conditions on the columns of Parquet files, as Spark would judge them.

Executor; needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from dpnn.spark.conditions import Condition, Field

_COMPARED = {
    "EqualTo": pc.equal,
    "LessThan": pc.less,
    "LessThanOrEqual": pc.less_equal,
    "GreaterThan": pc.greater,
    "GreaterThanOrEqual": pc.greater_equal,
}


def judged(condition: Condition, values: Callable[[Field], pa.Array]) -> pa.BooleanArray:
    """(n,) true, false or null.

    values  the array of a field, cast as it says; may have nulls
    """
    if condition.field is None:
        parts = [judged(part, values) for part in condition.parts]
        if condition.kind == "not":
            return pc.invert(parts[0])
        return reduce(pc.and_kleene if condition.kind == "and" else pc.or_kleene, parts)
    array = values(condition.field)
    if condition.kind == "is":
        return array
    if condition.kind == "IsNull":
        return array.is_null()
    if condition.kind == "IsNotNull":
        return array.is_valid()
    if condition.kind == "In":
        found = pc.is_in(array, pa.array(condition.literals, array.type))
        return pc.if_else(array.is_valid(), found, pa.scalar(None, pa.bool_()))
    (literal,) = condition.literals
    found = _COMPARED[condition.kind](array, pa.scalar(literal, array.type))
    if pa.types.is_floating(array.type) and condition.kind.startswith("Greater"):
        return pc.or_kleene(found, pc.is_nan(array))  # to Spark NaN is above all numbers
    return found
