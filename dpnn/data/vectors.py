"""Spark's vectors in Arrow: structs of type (0: sparse), size, indices and values.

Executor and driver; needs NumPy and pyarrow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TYPE = pa.struct(
    {
        "type": pa.int8(),
        "size": pa.int32(),
        "indices": pa.list_(pa.int32()),
        "values": pa.list_(pa.float64()),
    }
)
_NAMES = {field.name for field in TYPE}


def is_vectors(array: pa.Array) -> bool:
    """Whether it is a column of Spark's vectors."""
    return isinstance(array, pa.StructArray) and {field.name for field in array.type} == _NAMES


def as_lists(column: pa.Array) -> pa.Array:
    """Spark's vectors as arrays; anything else as it is."""
    if not is_vectors(column):
        return column
    if not column.null_count and pc.all(pc.equal(column.field("type"), 1)).as_py():
        return column.field("values").cast(pa.list_(pa.float64()), safe=False)
    rows: list[Any] = []
    for vector in column.to_pylist():
        numbers = vector and vector["values"]
        if vector and vector["type"] == 0:
            numbers = np.zeros(vector["size"])
            numbers[vector["indices"]] = vector["values"]
        rows.append(numbers)
    return pa.array(rows, pa.list_(pa.float64()))


def of_objects(series: Any) -> pa.Array:
    """Of pyspark.ml's vectors, as Spark stores them."""
    told: list[Any] = []
    for vector in series:
        if not hasattr(vector, "toArray"):
            told.append(None)
        elif hasattr(vector, "indices"):
            some = {"indices": vector.indices, "values": vector.values}
            told.append({"type": 0, "size": vector.size, **some})
        else:
            told.append({"type": 1, "values": vector.toArray()})
    return pa.array(told, TYPE)
