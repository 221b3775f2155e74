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
from dpnn.spark.session import is_connect

_GLOB = re.compile(r"[*?\[{]")


def read(spark: SparkSession, path: str, where: str | None = None) -> DataFrame:
    """A Parquet file, directory (partitioned or not) or glob on any Hadoop file system.

    `where` is a SQL condition; Spark pushes it down. Raises FileNotFoundError where nothing lies
    at the path, ValueError where it is not Parquet or the condition does not fit it.
    """
    connect = is_connect(spark)
    if not (connect or _GLOB.search(path) or HadoopPath(path).exists()):  # Spark would log a trace
        raise FileNotFoundError(f"no such path: {path}")
    try:
        df = spark.read.parquet(path)
        _ = df.schema  # Connect looks when it is asked
    except (PySparkException, Py4JJavaError) as error:
        raise _unreadable(path, error) from None
    if where is None:
        return df
    try:
        df = df.where(where)
        _ = df.isStreaming  # the schema would be that of before: Connect asks nobody for it
        return df
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
    """Root paths of the files under a DataFrame, and the conditions of its filters.

    Over Spark Connect the folders of the files, and no conditions.
    """
    paths: list[str] = []
    filters: list[str] = []
    if is_connect(df):  # whose plans nobody may look into
        return _folders(df.inputFiles()), filters
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


def _folders(files: list[str]) -> list[str]:
    """Where files lie, above what are folders of partitions."""
    found = set()
    for file in files:
        parts = re.sub("^file:/+", "file:/", file).split("/")[:-1]
        while parts and "=" in parts[-1]:
            parts.pop()
        found.add("/".join(parts))
    return sorted(found)
