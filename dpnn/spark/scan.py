"""Whether a DataFrame is nothing but a read of Parquet files: which files, and which columns.

Asked of Spark's optimized plan: columns of one relation as they are, cast to a type that holds
them, or packed side by side in an array; filters on partition columns, which Spark itself applies
to its list of files, and on others as far as `conditions` knows them. Any other plan is none, and
so is one of which there is any doubt, or one of more files than the driver should look at one by
one.

Driver; classic sessions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JError
from pyspark.sql import DataFrame

from dpnn.spark.conditions import (
    NUMBERS,
    Condition,
    Field,
    condition_of,
    conjuncts,
    each,
    field_of,
    kind_of,
    plain,
)

_RELATION = "LogicalRelation"
_FORMAT = "org.apache.spark.sql.execution.datasources.parquet.ParquetFileFormat"
_INDEX = "org.apache.spark.sql.execution.datasources.InMemoryFileIndex"
_FIELD_IDS = "spark.sql.parquet.fieldId.read.enabled"
_MOST_FILES = 1000  # a file takes a few questions to the JVM, of about a millisecond each


@dataclass(frozen=True)
class Projected:
    """A column of the DataFrame: a field, or several packed in an array."""

    fields: tuple[Field, ...]
    packed: bool = False


@dataclass(frozen=True)
class File:
    """A local file of so many bytes, and what its partition columns are there."""

    path: str
    size: int
    partition: dict[str, Any]


@dataclass(frozen=True)
class Scan:
    """What the rows of a DataFrame are read from, and which of them are its own."""

    columns: tuple[Projected, ...]
    files: tuple[File, ...]
    condition: Condition | None = None


def scan_of(df: DataFrame) -> Scan | None:
    """The scan that a DataFrame is; None where it is more, or reads no local Parquet files."""
    if df.isStreaming or df.sparkSession.conf.get(_FIELD_IDS, "false") == "true":
        return None
    try:
        return _scan(df)
    except Py4JError:  # a plan unlike those of the versions that are known
        return None


def _scan(df: DataFrame) -> Scan | None:
    execution = df._jdf.queryExecution()
    leaves = execution.analyzed().collectLeaves()
    if leaves.size() != 1 or leaves.head().nodeName() != _RELATION:
        return None  # to optimize it may be work
    project, condition, node = None, None, execution.optimizedPlan()
    if node.nodeName() == "Project":
        project, node = node, node.child()
    if node.nodeName() == "Filter":
        condition, node = node.condition(), node.child()
    if node.nodeName() != _RELATION or not _is_plain(node.relation()):
        return None
    relation = node.relation()
    partition = {field.name(): field for field in each(relation.partitionSchema())}
    made = node.output() if project is None else project.projectList()
    columns = [_projected(expression, set(partition)) for expression in each(made)]
    if not columns or None in columns:
        return None
    filters, tests = [], []
    for one in [] if condition is None else conjuncts(condition):
        names = {name.name() for name in each(one.references().toSeq())}
        if one.deterministic() and names <= set(partition):
            filters.append(one)
            continue
        test = condition_of(one, set(partition))
        if test is None:
            return None
        tests.append(test)
    files = _files(df, relation.location(), partition, filters)
    if files is None:
        return None
    rest = Condition("and", tuple(tests)) if tests else None
    return Scan(tuple(c for c in columns if c), files, rest)


def _is_plain(relation: Any) -> bool:
    if relation.getClass().getSimpleName() != "HadoopFsRelation":
        return False
    kinds = (relation.fileFormat().getClass(), relation.location().getClass())
    return [kind.getName() for kind in kinds] == [_FORMAT, _INDEX]


def _projected(expression: Any, partition: set[str]) -> Projected | None:
    if kind_of(expression) == "Alias":
        expression = expression.child()
    if kind_of(expression) != "CreateArray":
        field = field_of(expression, partition)
        return None if field is None else Projected((field,))
    fields = [field_of(child, partition) for child in each(expression.children())]
    if any(field is None or field.kind not in NUMBERS for field in fields):
        return None
    return Projected(tuple(field for field in fields if field), packed=True)


def _files(
    df: DataFrame, index: Any, partition: dict[str, Any], filters: list[Any]
) -> tuple[File, ...] | None:
    if index.allFiles().size() > _MOST_FILES:
        return None
    jvm: Any = df.sparkSession.sparkContext._jvm
    given, none = jvm.java.util.ArrayList(), jvm.java.util.ArrayList()
    for condition in filters:
        given.add(condition)
    seq = jvm.org.apache.spark.api.python.PythonUtils.toSeq
    found = []
    for folder in each(index.listFiles(seq(given), seq(none))):
        values = {
            name: plain(folder.values().get(i, field.dataType()))
            for i, (name, field) in enumerate(partition.items())
        }
        for status in each(folder.files()):
            scheme, _, path = status.getPath().toString().partition(":")
            if scheme != "file":
                return None
            found.append(File(path, status.getLen(), values))
    return tuple(found)
