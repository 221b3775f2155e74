"""Reading Parquet by path, and the record of what a model was trained on.

Driver; needs pyspark.
"""

from __future__ import annotations

import re

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession

from dpnn.spark.errors import first_line
from dpnn.spark.hadoop import HadoopPath

_GLOB = re.compile(r"[*?\[{]")


def read(spark: SparkSession, path: str, where: str | None = None) -> DataFrame:
    """A Parquet file, directory (partitioned or not) or glob on any Hadoop file system.

    `where` is a SQL condition; Spark pushes it down. Raises FileNotFoundError where nothing lies
    at the path, ValueError where it is not Parquet or the condition does not fit it.
    """
    if not _GLOB.search(path) and not HadoopPath(path).exists():  # Spark would log a long trace
        raise FileNotFoundError(f"no such path: {path}")
    try:
        df = spark.read.parquet(path)
    except (PySparkException, Py4JJavaError) as error:
        raise _unreadable(path, error) from None
    if where is None:
        return df
    try:
        return df.where(where)
    except (PySparkException, Py4JJavaError) as error:
        raise ValueError(f"where = {where!r} does not fit {path}: {first_line(error)}") from None


def _unreadable(path: str, error: Exception) -> Exception:
    text = str(error)
    if "PATH_NOT_FOUND" in text:
        return FileNotFoundError(f"no such path: {path}")
    if isinstance(error, AnalysisException) and "UNABLE_TO_INFER_SCHEMA" in text:
        return ValueError(f"no Parquet files at {path}: the directory is empty or of other files")
    if "is not a Parquet file" in text or "FOOTER" in text:
        return ValueError(f"{path} is not Parquet: write it with df.write.parquet first")
    return ValueError(f"cannot read {path}: {first_line(error)}")


def plan_facts(df: DataFrame) -> tuple[list[str], list[str]]:
    """Root paths of the files under a DataFrame, and the conditions of its filters."""
    paths: list[str] = []
    filters: list[str] = []
    todo = [df._jdf.queryExecution().analyzed()]
    while todo:
        node = todo.pop()
        kind = node.nodeName()
        if kind == "Filter":
            filters.append(node.condition().sql())
        elif kind == "LogicalRelation" and "HadoopFsRelation" in str(node.relation().getClass()):
            roots = node.relation().location().rootPaths()
            paths += [roots.apply(i).toString() for i in range(roots.size())]
        children = node.children()
        todo += [children.apply(i) for i in range(children.size())]
    return paths, filters
