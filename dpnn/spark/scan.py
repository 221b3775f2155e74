"""Whether a DataFrame is nothing but a read of Parquet files: which files, and which columns.

Asked of Spark's optimized plan: columns of one relation as they are, cast to a type that holds
them, or packed side by side in an array; filters on partition columns, which Spark itself applies
to its list of files. Any other plan is none, and so is one of which there is any doubt, or one of
more files than the driver should look at one by one.

Driver; classic sessions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JError
from pyspark.sql import DataFrame

_RELATION = "LogicalRelation"
_FORMAT = "org.apache.spark.sql.execution.datasources.parquet.ParquetFileFormat"
_INDEX = "org.apache.spark.sql.execution.datasources.InMemoryFileIndex"
_FIELD_IDS = "spark.sql.parquet.fieldId.read.enabled"
_WIDTHS = {"boolean": 0, "tinyint": 1, "smallint": 2, "int": 3, "bigint": 4}
_MOST_FILES = 1000  # a file takes a few questions to the JVM, of about a millisecond each
NUMBERS = (*_WIDTHS, "float", "double")


@dataclass(frozen=True)
class Field:
    """A column of the files, or of their partitions.

    kind    its type, as Spark has it
    target  what it is cast to: "float", "double", a wider whole number, or "" as it is
    """

    name: str
    kind: str
    target: str = ""
    of_partition: bool = False


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
    """What the rows of a DataFrame are read from."""

    columns: tuple[Projected, ...]
    files: tuple[File, ...]


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
    partition = {field.name(): field for field in _each(relation.partitionSchema())}
    made = node.output() if project is None else project.projectList()
    columns = [_projected(expression, set(partition)) for expression in _each(made)]
    if not columns or None in columns:
        return None
    filters = []
    if condition is not None:
        names = {name.name() for name in _each(condition.references().toSeq())}
        if not condition.deterministic() or not names <= set(partition):
            return None
        filters.append(condition)
    files = _files(df, relation.location(), partition, filters)
    return None if files is None else Scan(tuple(c for c in columns if c), files)


def _is_plain(relation: Any) -> bool:
    if relation.getClass().getSimpleName() != "HadoopFsRelation":
        return False
    kinds = (relation.fileFormat().getClass(), relation.location().getClass())
    return [kind.getName() for kind in kinds] == [_FORMAT, _INDEX]


def _projected(expression: Any, partition: set[str]) -> Projected | None:
    if _kind(expression) == "Alias":
        expression = expression.child()
    if _kind(expression) != "CreateArray":
        field = _field(expression, partition)
        return None if field is None else Projected((field,))
    fields = [_field(child, partition) for child in _each(expression.children())]
    if any(field is None or field.kind not in NUMBERS for field in fields):
        return None
    return Projected(tuple(field for field in fields if field), packed=True)


def _field(expression: Any, partition: set[str]) -> Field | None:
    target = ""
    if _kind(expression) == "Cast":
        target, expression = expression.dataType().simpleString(), expression.child()
    if _kind(expression) != "AttributeReference":
        return None
    kind, name = expression.dataType().simpleString(), expression.name()
    if target and not _holds(target, kind):
        return None
    return Field(name, kind, target, name in partition)


def _holds(target: str, kind: str) -> bool:
    """Whether a cast is one that NumPy makes the same."""
    if kind not in NUMBERS:
        return False
    return target in ("float", "double") or _WIDTHS.get(target, -1) >= _WIDTHS.get(kind, 9)


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
    for folder in _each(index.listFiles(seq(given), seq(none))):
        values = {
            name: _value(folder.values(), i, field.dataType())
            for i, (name, field) in enumerate(partition.items())
        }
        for status in _each(folder.files()):
            scheme, _, path = status.getPath().toString().partition(":")
            if scheme != "file":
                return None
            found.append(File(path, status.getLen(), values))
    return tuple(found)


def _value(row: Any, i: int, kind: Any) -> Any:
    """Of a partition column; Spark's strings as Python's."""
    value = row.get(i, kind)
    return value if value is None or isinstance(value, bool | int | float) else value.toString()


def _kind(expression: Any) -> str:
    return str(expression.getClass().getSimpleName())


def _each(items: Any) -> list[Any]:
    return [items.apply(i) for i in range(items.size())]
