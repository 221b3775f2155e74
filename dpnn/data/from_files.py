"""Rows straight from Parquet files: tasks read row groups of their own, past Spark's rows.

Where a DataFrame is nothing but a read of files (`spark.scan`), what a task gets of it is made by
pyarrow here, batch by batch, equal to what Spark would hand over: the same rows fall into the same
shards, to the bit. The driver reads the footers. Where a file is not just as Spark's schema says
(another type, a column that is missing, damage), and where a row cannot be trained on, Spark reads
in its place, and its words are the user's.

Functions say which side they run on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from dpnn.data.checks import Problem
from dpnn.data.conditions import judged
from dpnn.data.spark_shards import SourceChanged
from dpnn.spark.classic import ClassicSession
from dpnn.spark.conditions import NUMBERS, Condition, Field
from dpnn.spark.scan import File, Projected, Scan, scan_of
from dpnn.spark.session import Session

BATCH = 1 << 22  # bytes of the file that are decoded at once
_MOST_ROWS = 1 << 16  # of a batch
_TASK = 1 << 26  # bytes of the files that a task reads, where there are many
_FOOTERS = 8  # threads that read them
_READ_AHEAD = 1 << 20  # bytes of a column that are read from the disk at once
# Spark's type of a column, and what it must be in the file to be read by pyarrow the same.
_ARROW: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
}


class Unfit(Exception):
    """Executor. Something that Spark had better read."""


@dataclass(frozen=True)
class RowGroup:
    """One of a file: rows, bytes before compression, and bytes of the file that are read."""

    file: File
    index: int
    rows: int
    size: int
    read: int


@dataclass(frozen=True)
class Plan:
    """What tasks do: each reads some row groups, and makes these columns of the rows that meet the
    condition.
    """

    columns: tuple[Projected, ...]
    tasks: tuple[tuple[RowGroup, ...], ...]
    condition: Condition | None = None

    def frame(self, spark: SparkSession) -> DataFrame:
        """Driver. A row for each task: what `run` takes."""
        return spark.range(0, len(self.tasks), 1, len(self.tasks))

    @property
    def read(self) -> dict[str, int]:
        """For the record: how many files, row groups, rows, and bytes of the files."""
        groups = [group for task in self.tasks for group in task]
        return {
            "files": len({group.file.path for group in groups}),
            "row_groups": len(groups),
            "rows": sum(group.rows for group in groups),
            "bytes": sum(group.read for group in groups),
        }


def plan_of(frame: DataFrame) -> Plan | None:
    """Driver. How tasks read the files of a DataFrame themselves; None where Spark reads."""
    session = Session.of(frame)
    if not isinstance(session, ClassicSession):
        return None
    scan = scan_of(frame)
    return None if scan is None else plan(scan, session.slots())


def plan(scan: Scan, slots: int) -> Plan | None:
    """Driver. Row groups dealt out to tasks; None where Spark had better read the files."""
    fields = {field for column in scan.columns for field in column.fields}
    fields |= set(scan.condition.fields() if scan.condition else ())
    stored = {field.name: field.kind for field in fields if not field.of_partition}
    constant = {field.kind for field in fields if field.of_partition}
    kinds = (*NUMBERS, "string")
    if not stored or not constant <= set(kinds) or any("." in name for name in stored):
        return None
    names = {name for file in scan.files for name in file.partition}
    with ThreadPoolExecutor(_FOOTERS) as pool:
        footers = list(pool.map(partial(_row_groups, stored=stored, partition=names), scan.files))
    groups = [group for some in footers for group in some or ()]
    if None in footers or not groups:
        return None
    total = sum(group.size for group in groups)
    count = min(len(groups), max(2 * slots, total // _TASK, 1))
    tasks: list[list[RowGroup]] = [[] for _ in range(count)]
    done = 0
    for group in groups:
        tasks[min(done * count // max(total, 1), count - 1)].append(group)
        done += group.size
    return Plan(scan.columns, tuple(tuple(task) for task in tasks if task), scan.condition)


def _row_groups(file: File, stored: dict[str, str], partition: set[str]) -> list[RowGroup] | None:
    """Driver. Of one file; None where it is not just as the schema says."""
    try:
        if Path(file.path).stat().st_size != file.size:
            return None
        footer = pq.read_metadata(file.path)
        schema = footer.schema.to_arrow_schema()
    except (OSError, pa.ArrowException):
        return None
    names = [name.lower() for name in schema.names]
    if any(name.lower() in names for name in partition):
        return None
    for name, kind in stored.items():
        if names.count(name.lower()) != 1 or name not in schema.names:
            return None
        if not _is_of(schema.field(name).type, kind):
            return None
    found = []
    for index in range(footer.num_row_groups):
        group = footer.row_group(index)
        chunks = [group.column(i) for i in range(group.num_columns)]
        read = [c.total_compressed_size for c in chunks if c.path_in_schema.split(".")[0] in stored]
        found.append(RowGroup(file, index, group.num_rows, group.total_byte_size, sum(read)))
    return found


def _is_of(found: pa.DataType, kind: str) -> bool:
    while kind.startswith("array<"):
        if not pa.types.is_list(found):
            return False
        kind, found = kind[len("array<") : -1], found.value_type
        if kind == "string" or kind == "binary":
            return False
    return kind in _ARROW and found == _ARROW[kind]


def run(
    ids: Iterable[pa.RecordBatch], plan: Plan, task: Any, bad: Callable[[Problem], Any]
) -> Iterator[Any]:
    """Executor. What a task makes of the row groups of tasks by their numbers; `bad` of a problem
    where Spark had better read them.
    """
    groups = (g for batch in ids for i in batch.column(0).to_pylist() for g in plan.tasks[i])
    try:
        yield from task(batch for group in groups for batch in batches(group, plan))
    except (Unfit, OSError, pa.ArrowException) as error:
        yield bad(Problem("unread", str(error), 1))
        deque(ids, 0)  # to its end, or Spark would end the worker


def batches(group: RowGroup, plan: Plan) -> Iterator[pa.RecordBatch]:
    """Executor. The rows of a row group as Spark would hand them over; texts as their codes.

    Raises Unfit, OSError or ArrowException where Spark had better read them; SourceChanged.
    """
    tested = list(plan.condition.fields()) if plan.condition else []
    fields = [*(field for column in plan.columns for field in column.fields), *tested]
    stored = [field for field in fields if not field.of_partition]
    names = list(dict.fromkeys(field.name for field in stored))
    coded = {f.name for f in stored if f.kind == "string"} - {f.name for f in tested}
    partition = group.file.partition
    rows = int(np.clip(BATCH * group.rows // max(group.size, 1), 1024, _MOST_ROWS))
    path = group.file.path
    open_file = partial(pq.ParquetFile, buffer_size=_READ_AHEAD, pre_buffer=False)
    with open_file(path, read_dictionary=sorted(coded)) as file:
        footer = file.metadata
        same = group.index < footer.num_row_groups and Path(path).stat().st_size == group.file.size
        if not same or footer.row_group(group.index).num_rows != group.rows:
            raise SourceChanged(
                f"{path} is not the file that was there before: the source changed between reads; "
                "leave its files as they are until the fit has ended"
            )
        for some in file.iter_batches(rows, [group.index], names, use_threads=False):
            if plan.condition is not None:
                values = partial(_cast_nulls, some, partition)
                some = some.filter(judged(plan.condition, values))
            made = [_made(some, column, partition) for column in plan.columns]
            yield pa.RecordBatch.from_arrays(made, [f"c{i}" for i in range(len(made))])


def _made(batch: pa.RecordBatch, column: Projected, partition: dict[str, Any]) -> pa.Array:
    values = [_cast(_values(batch, field, partition), field) for field in column.fields]
    if not column.packed:
        return values[0]
    if any(array.null_count for array in values):
        raise Unfit
    side_by_side = np.empty((batch.num_rows, len(values)), _numbers(values[0]).dtype)
    for i, array in enumerate(values):
        side_by_side[:, i] = _numbers(array)
    ends = pa.array(np.arange(batch.num_rows + 1, dtype=np.int32) * np.int32(len(values)))
    return pa.ListArray.from_arrays(ends, side_by_side.reshape(-1))


def _values(batch: pa.RecordBatch, field: Field, partition: dict[str, Any]) -> pa.Array:
    if not field.of_partition:
        return batch.column(field.name)
    return pa.repeat(pa.scalar(partition[field.name], _ARROW[field.kind]), batch.num_rows)


def _cast(array: pa.Array, field: Field) -> pa.Array:
    if field.target in ("", field.kind):
        return array
    if array.null_count:
        raise Unfit
    with np.errstate(over="ignore"):
        made = _numbers(array).astype(_ARROW[field.target].to_pandas_dtype())
    return pa.array(made, _ARROW[field.target], from_pandas=False)


def _cast_nulls(batch: pa.RecordBatch, partition: dict[str, Any], field: Field) -> pa.Array:
    array = _values(batch, field, partition)
    return array.cast(_ARROW[field.target], safe=False) if field.target else array


def _numbers(array: pa.Array) -> np.ndarray:
    return array.to_numpy(zero_copy_only=False)
