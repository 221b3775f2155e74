"""DataFrame to shards: one pass over the source, and what must be so before anything trains on it.

Select and filter (pushed down by Spark), `split` each Arrow batch by row content, shuffle the
pieces to their shards, `write` each shard to a local disk.

Driver; needs pyspark.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import reduce

import pyarrow as pa
from pyspark import RDD, TaskContext
from pyspark.sql import DataFrame, Row

from dpnn.data import ingest_tasks
from dpnn.data.arrow import Spec
from dpnn.data.checks import DataError, Problem, raise_problems
from dpnn.data.columns import Inputs, describe, resolve
from dpnn.data.files import delete_run
from dpnn.data.placement import add_checksums
from dpnn.data.spark_shards import LEVEL, SparkShards, remove
from dpnn.spark.jobs import DESCRIPTION, UNGROUPED, job_properties, translated
from dpnn.spark.shipping import context, ship


def ingest(
    df: DataFrame,
    inputs: Inputs,
    label: str | list[str] | None = None,
    weight: str | None = None,
    num_shards: int | None = None,
    num_classes: int | None = None,
) -> SparkShards:
    """Driver. Read a DataFrame once and lay its rows down as shards on the executors' disks.

    num_shards: as many as the cluster has slots unless given. With `num_classes` the labels must
    be class numbers below it. Raises DataError for rows that cannot be trained on.
    """
    sc = context(df)
    num_shards = sc.defaultParallelism if num_shards is None else num_shards
    if num_shards < 1:
        raise ValueError(f"num_shards is {num_shards}: it must be at least 1")
    frame, spec = resolve(df, inputs, label, weight, num_classes)
    ship(sc)
    run = uuid.uuid4().hex[:12]
    with translated(sc):
        cached = _lay_down(frame, spec, run, num_shards)
    facts: list[dict] = []
    described = {DESCRIPTION: f"dpnn ingest into {num_shards} shards"}
    try:
        sc.addJobTag(f"dpnn-{run}")
        with translated(sc), job_properties(sc, described):
            facts = cached.collect()
        _check(facts, spec)
        return SparkShards(sc, cached, run, facts, describe(df, inputs, label, weight))
    except BaseException:
        with suppress(Exception):
            _clear(cached, run, facts)
        raise
    finally:
        with suppress(Exception):  # the context may be gone
            sc.removeJobTag(f"dpnn-{run}")


def checksum(
    df: DataFrame, inputs: Inputs, label: str | list[str] | None, weight: str | None
) -> int:
    """Driver. What the checksums of all shards of a DataFrame should add up to: one more read."""
    frame, spec = resolve(df, inputs, label, weight, None)
    ship(df.sparkSession.sparkContext)

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found = str(ingest_tasks.content(batches, spec))  # Spark has no unsigned type for it
        yield pa.RecordBatch.from_pydict({"checksum": [found]})

    found = frame.mapInArrow(task, "checksum string").collect()
    return reduce(add_checksums, (int(row.checksum) for row in found), 0)


def _clear(cached: RDD, run: str, facts: list[dict]) -> None:
    """Delete what an ingest that failed has laid down; one that was interrupted, as it can."""
    sc = cached.ctx
    try:
        with job_properties(sc, UNGROUPED):
            if facts:
                remove(cached, run)
            else:
                sc.cancelJobsWithTag(f"dpnn-{run}")
                slots = 2 * sc.defaultParallelism  # likely to reach every executor
                sc.parallelize(range(slots), slots).foreach(lambda _: delete_run(run))
    finally:
        cached.unpersist()


def _lay_down(frame: DataFrame, spec: Spec, run: str, num_shards: int) -> RDD:
    """The persisted RDD of one fact (handle and findings) a shard."""

    def split(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return ingest_tasks.split(batches, spec, num_shards)

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        shard = TaskContext.get().partitionId()  # type: ignore[union-attr]
        for fact in ingest_tasks.write(batches, spec, run, shard):
            yield pa.RecordBatch.from_pydict({"fact": [fact]})

    pieces = frame.mapInArrow(split, ingest_tasks.travel_schema(spec))
    facts = pieces.repartitionById(num_shards, "shard").mapInArrow(write, "fact string")
    return facts.rdd.mapPartitionsWithIndex(_numbered).persist(LEVEL)


def _numbered(shard: int, rows: Iterable[Row]) -> Iterator[dict]:
    """Facts with the number of their own partition: a lost one may be computed again inside the
    task of a coalesced RDD, whose `partitionId` is another.
    """
    for row in rows:
        fact = json.loads(row.fact)
        fact["handle"][0] = shard
        yield fact


def _check(facts: list[dict], spec: Spec) -> None:
    """Raise for bad rows and none at all; settle the layout, which empty shards don't know."""
    raise_problems((Problem(**p) for fact in facts for p in fact["problems"]), spec.num_classes)
    layouts = {json.dumps(x): x for fact in facts for x in fact["layouts"]}
    if not layouts:
        raise DataError("the data has no rows: check its path and filter")
    if len(layouts) > 1:
        a, b = list(layouts.values())[:2]
        i = next(i for i in range(len(a)) if a[i] != b[i])
        told = " and ".join(w for column in spec.parts[i].columns for w in column.where)
        raise DataError(
            f"{told}: rows have shape {tuple(a[i][2])} and shape {tuple(b[i][2])}: "
            "all rows must be equally long; pad, cut or filter them"
        )
    layout = tuple((n, dtype, tuple(shape)) for n, dtype, shape in next(iter(layouts.values())))
    for fact in facts:
        fact["layout"] = layout
