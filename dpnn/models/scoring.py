"""A trained model over a DataFrame: what it says of each row, beside the row's own columns.

Only the model's inputs go into Python, as arguments of an Arrow UDF; all other columns stay where
they are, and Spark reads past what nobody asks for. Functions say which side they run on.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from dpnn.data import tables
from dpnn.data.arrow import Spec, decode
from dpnn.data.checks import DataError, Problem, raise_problems
from dpnn.data.shards import as_split
from dpnn.data.tables import Wanted
from dpnn.models.outputs import Output
from dpnn.models.scorer import Scorer, Sent, bound, forward

_last = threading.local()  # Executor. The last batch of this thread, and its raw outputs


def transform(df: Any, scorer: Scorer, sent: Sent, inputs: Any, named: Mapping[str, Output]) -> Any:
    """Driver. `df` with a column for each of `named`."""
    from dpnn.data.columns import choose

    exact = df.sparkSession.conf.get("spark.sql.caseSensitive") == "true"
    taken = df.columns if exact else [name.lower() for name in df.columns]
    for name in named:
        if (name if exact else name.lower()) in taken:
            raise ValueError(f"the data has a column {name!r} already: rename or drop it")
    columns, spec = choose(df, inputs)
    wanted = tables.wanted(inputs)
    new = [
        _udf(partial(score, spec=spec, wanted=wanted, scorer=scorer, sent=sent, output=output))(
            *columns
        ).alias(name)
        for name, output in named.items()
    ]
    return df.select("*", *new)


def udf(scorer: Scorer, sent: Sent, inputs: Any, output: Output) -> Any:
    """Driver. The model as a function of its input columns."""
    wanted = tables.wanted(inputs)
    return _udf(partial(score, spec=None, wanted=wanted, scorer=scorer, sent=sent, output=output))


def _udf(task: Any) -> Any:
    """Driver. An Arrow UDF of `score` with all but its columns given."""
    from pyspark.sql import functions as F

    made: Any = F.arrow_udf  # whose types have no place for any number of columns
    kind = _column_type(task.keywords["scorer"], task.keywords["output"])
    return made(lambda *columns: task(columns), kind)


def score(
    columns: Sequence[pa.Array],
    spec: Spec | None,
    wanted: Wanted,
    scorer: Scorer,
    sent: Sent,
    output: Output,
) -> pa.Array:
    """Executor. What the model says of the rows of one batch.

    spec   what to make of columns that Spark has cast; None: they are the user's own
    """
    marks = (sent.key, *map(_mark, columns))
    if getattr(_last, "marks", None) != marks:
        if spec is None:
            decoded = tables.arrays(columns, wanted)
        else:
            names = [f"c{i}" for i in range(len(columns))]
            decoded = decode(pa.RecordBatch.from_arrays(list(columns), names), spec)
        _last.z = forward(bound(scorer, sent), inputs_of(*decoded), wanted)
        _last.marks, _last.columns = marks, columns  # kept, so that their addresses are theirs
    return _arrow(output(scorer.loss, _last.z))


def inputs_of(arrays: dict[str, np.ndarray], problems: list[Problem]) -> Any:
    """Either side. The inputs of what `decode` gives; DataError of bad rows."""
    try:
        raise_problems(problems)
    except DataError as error:  # how many there are in all, no task of a lazy frame can know
        raise DataError(f"in a batch of rows, {error}") from None
    return as_split(arrays, np.empty(0)).x


def _mark(column: pa.Array) -> tuple[Any, ...]:
    """What tells a column that is kept from all others: where it lies."""
    places = (None if part is None else part.address for part in column.buffers())
    return (len(column), column.offset, str(column.type), *places)


def _arrow(array: np.ndarray) -> pa.Array:
    """(B, …) as a column of numbers, or of arrays as deep as there are more axes."""
    values = pa.array(np.ascontiguousarray(array).reshape(-1))
    for axis in range(array.ndim - 1, 0, -1):
        rows = int(np.prod(array.shape[:axis]))
        offsets = np.arange(rows + 1, dtype=np.int32) * array.shape[axis]
        values = pa.ListArray.from_arrays(offsets, values)
    return values


def _column_type(scorer: Scorer, output: Output) -> Any:
    """Driver. The Spark type of what an output gives."""
    from pyspark.sql import types as T

    kind: Any = T.DoubleType() if output.dtype == "float64" else T.FloatType()
    for _ in output(scorer.loss, np.zeros((1, *scorer.output_shape), np.float32)).shape[1:]:
        kind = T.ArrayType(kind, containsNull=False)
    return kind
