"""DataFrame to shards: one pass over the source, and what must be so before anything trains on it.

Select and filter (pushed down by Spark, or read by the tasks themselves: `from_files`), `split`
each Arrow batch by row content and by the rule that says which rows are for validation, shuffle the
pieces to their shards, `write` each shard to a local disk. A second DataFrame's pieces are shuffled
together with the first one's.

Driver; needs pyspark.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dpnn.data import from_files, ingest_tasks
from dpnn.data.arrow import Spec
from dpnn.data.checks import DataError
from dpnn.data.columns import Inputs, choose, describe, indicator
from dpnn.data.encoders.encoders import Encoders
from dpnn.data.encoding import encoded
from dpnn.data.kept import Fact, Kept, KeptRDD
from dpnn.data.kept_frame import KeptFrame
from dpnn.data.pieces import PieceWriter, delete_pieces
from dpnn.data.saying import say
from dpnn.data.settling import settled
from dpnn.data.spark_shards import SparkShards
from dpnn.data.splits import ByColumn, ByContent, Rule, Whole
from dpnn.spark.classic import ClassicSession
from dpnn.spark.reading import shown
from dpnn.spark.session import Session


@dataclass(frozen=True)
class Source:
    """Rows to read, and which split each of them is for.

    hashed  the last column is the rows' hashes
    plan    how tasks read its files themselves; None where Spark reads
    """

    frame: DataFrame
    spec: Spec
    rule: Rule
    hashed: bool = False
    plan: from_files.Plan | None = None


def ingest(
    df: DataFrame,
    inputs: Inputs,
    label: str | list[str] | None = None,
    weight: str | None = None,
    num_shards: int | None = None,
    validation: Any = None,
    show: bool = False,
    hashed: str | None = None,
) -> SparkShards:
    """Driver. Read a DataFrame once and lay its rows down as shards on the executors' disks.

    num_shards  as many as the cluster has slots unless given
    validation  the name of a boolean column, a share of the rows, or a second DataFrame
    show        how far it is, on a terminal
    hashed      a column of row hashes, where the columns' own are not what places a row

    With `Encoders` as inputs the shards keep the raw columns.
    Raises DataError for rows that cannot be trained on.
    """
    known = isinstance(inputs, Encoders)
    if isinstance(inputs, Encoders):
        inputs = inputs.wishes
    session = Session.of(df)
    num_shards = session.expected_slots() if num_shards is None else num_shards
    if num_shards < 1:
        raise ValueError(f"num_shards is {num_shards}: it must be at least 1")
    sources = _sources(df, validation, columns_of=(inputs, label, weight), hashed=hashed)
    session.ship()
    record = describe(df, inputs, label, weight)
    plans = [from_files.plan_of(source.frame) for source in sources]
    direct = [replace(source, plan=plan) for source, plan in zip(sources, plans, strict=True)]
    try:
        raw = _read(session, direct, num_shards, record, show)
    except DataError:
        if not any(plans):
            raise  # else Spark's rows tell it as they do of any source
        raw = _read(session, sources, num_shards, record, show)
    spec = sources[0].spec
    if known or spec.wishes is None:
        return raw
    try:
        return encoded(raw, spec.wishes, spec.text_label)
    except BaseException:
        raw.close()
        raise


def _read(
    session: Session, sources: Sequence[Source], num_shards: int, record: dict[str, Any], show: bool
) -> SparkShards:
    """The rows of the sources as they are, in shards. DataError of rows that are bad."""
    run = uuid.uuid4().hex[:12]
    kept: Kept | None = None
    facts: list[Fact] = []
    tag = f"dpnn-{run}"
    disks = session.disks if isinstance(session, ClassicSession) else []
    try:
        with (
            session.translated(),
            session.described(f"dpnn ingest into {num_shards} shards"),
            session.tagged(tag),
            shown(session, tag, _what(sources), show),
        ):
            kept = _lay_down(session, sources, run, num_shards, bool(disks))
            facts = kept.facts()
        if disks and isinstance(kept, KeptRDD):
            kept.forget_shuffles()
        layouts = settled(facts, [source.rule for source in sources], sources[0].spec)
        return SparkShards(kept, run, facts, layouts, record | _reader(sources))
    except BaseException:
        if kept is not None:
            with suppress(Exception):
                _clear(kept, run, facts)
        raise
    finally:
        delete_pieces(run, disks)


def _reader(sources: Sequence[Source]) -> dict[str, Any]:
    """Who read, and what of it is known."""
    plans = [source.plan for source in sources if source.plan is not None]
    if len(plans) < len(sources):
        return {"reader": "spark" if sources[0].plan is None else "files"}
    counts = [plan.read for plan in plans]
    return {"reader": "files", "read": {key: sum(c[key] for c in counts) for key in counts[0]}}


def _what(sources: Sequence[Source]) -> str:
    """What the progress line calls it."""
    read = _reader(sources).get("read")
    if read is None:
        return "reading the data"
    return f"reading {read['rows']:,} rows, {read['bytes'] / 1e6:,.0f} MB"


def _sources(
    df: DataFrame, validation: Any, columns_of: tuple[Any, ...], hashed: str | None
) -> list[Source]:
    """One source, or two where validation rows have a DataFrame of their own."""
    columns, spec = choose(df, *columns_of)
    if hashed is not None:
        columns.append(F.col(hashed))
    if validation is None:
        return [Source(df.select(*columns), spec, Whole(), hashed is not None)]
    if isinstance(validation, str):
        flag = indicator(df, validation).alias("held")
        return [Source(df.select(*columns, flag), spec, ByColumn(validation))]
    if isinstance(validation, float):
        return [Source(df.select(*columns), spec, ByContent(validation))]
    first = Source(df.select(*columns), spec, Whole("train", "training: "), hashed is not None)
    columns, spec = choose(validation, *columns_of)
    if hashed is not None:
        columns.append(F.col(hashed))
    rule = Whole("validation", "validation: ")
    return [first, Source(validation.select(*columns), spec, rule, hashed is not None)]


def _clear(kept: Kept, run: str, facts: list[Fact]) -> None:
    """Delete what an ingest that failed has laid down; one that was interrupted, as it can."""
    try:
        if not facts:
            kept.session.cancel(f"dpnn-{run}")
        kept.delete(run, [fact["handle"]["path"] for fact in facts])
    finally:
        kept.release()


def _lay_down(
    session: Session, sources: Sequence[Source], run: str, num_shards: int, near: bool
) -> Kept:
    """What is kept of one fact (handle and findings) a shard.

    near  all tasks share a disk
    """
    spec = sources[0].spec

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        shard = TaskContext.get().partitionId()  # type: ignore[union-attr]
        for fact in ingest_tasks.write(batches, spec, run, shard):
            yield pa.RecordBatch.from_pydict({"fact": [fact]})

    frames = (_pieces(source, num_shards, run, near) for source in sources)
    pieces = reduce(lambda a, b: a.union(b), frames)
    facts = pieces.repartitionById(num_shards, "shard").mapInArrow(write, "fact string")
    kept: Kept
    if isinstance(session, ClassicSession):
        kept = KeptRDD.of(session, facts)
    else:
        kept = KeptFrame(session, facts)
    if not kept.persisted:
        say(
            "this platform keeps nothing between jobs (it refuses to persist): each step reads all "
            "rows again, and so takes as long as a read; take large steps, or engine='local' where "
            "the data fits this machine"
        )
    return kept


def _pieces(source: Source, num_shards: int, run: str, near: bool) -> DataFrame:
    task = partial(
        ingest_tasks.split,
        spec=source.spec,
        rule=source.rule,
        num_shards=num_shards,
        hashed=source.hashed,
    )

    plan, frame, spec = source.plan, source.frame, source.spec
    if plan is not None:
        frame = plan.frame(frame.sparkSession)

    def split(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        pieces = PieceWriter(run) if near else None
        mine = partial(task, pieces=pieces)
        try:
            if plan is None:
                yield from mine(batches)
            else:
                yield from from_files.run(
                    batches, plan, mine, lambda p: ingest_tasks.bad([p], spec)
                )
        finally:
            if pieces is not None:
                pieces.close()

    return frame.mapInArrow(split, ingest_tasks.travel_schema(source.spec))
