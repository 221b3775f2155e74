"""Files lost under the job's feet, and sources that change between reads."""

import errno
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pyspark import RDD
from pyspark.sql import functions as F

from dpnn.data.files import MissingShard, open_shard
from dpnn.data.ingest import ingest
from dpnn.data.kept import LEVEL, KeptRDD
from dpnn.data.spark_shards import SourceChanged
from dpnn.spark.errors import translated
from dpnn.spark.session import Session
from dpnn.spark.source import read


def column_sums(handles) -> Iterator[float]:
    for handle in handles:
        yield float(open_shard(handle)["train"].x.sum())


@pytest.fixture
def shards(spark_session):
    df = spark_session.range(100, numPartitions=3).selectExpr("cast(id as float) x", "id % 5 as y")
    with ingest(df, "x", "y", num_shards=4) as shards:
        yield shards


def sums(shards) -> list[float]:
    return shards.map(column_sums)


def sums_as_they_lie(shards) -> list[float]:
    verified = shards.verified
    return shards.kept.map(lambda facts: column_sums(verified(facts)))


def overwrite(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[8:16] = b"\xff" * 8
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


@pytest.mark.parametrize(
    "harm",
    [
        shutil.rmtree,
        lambda d: truncate(d / "train/x"),
        lambda d: (d / "train/order").unlink(),
        lambda d: overwrite(d / "train/x"),
        lambda d: overwrite(d / "train/order"),
    ],
    ids=["gone", "truncated", "no order", "damaged", "order damaged"],
)
def test_a_lost_file_is_made_again(shards, harm):
    before, first = sums(shards), {h.shard: h for h in shards.handles}
    harm(Path(first[2].path))
    with pytest.raises(Exception, match="MissingShard: shard 2 of"):
        sums_as_they_lie(shards)
    assert sums(shards) == before
    now = {h.shard: h for h in shards.handles}
    assert now[2].path != first[2].path
    if isinstance(shards.kept, KeptRDD):  # others forget them all
        assert [now[s].path for s in (0, 1, 3)] == [first[s].path for s in (0, 1, 3)]
    assert contents(shards.handles) == contents(first.values())


def contents(handles) -> list[tuple[int, int]]:
    """Of the training rows. In which order they lie in a file is the shuffle's business."""
    return [(h.pieces["train"].rows, h.pieces["train"].checksum) for h in handles]


def test_repair_of_whole_shards_does_nothing(shards):
    before = shards.handles
    assert shards.repair() == []
    assert shards.handles == before


def test_a_missing_shard_says_where_it_was(shards):
    handle = shards.handles[1]
    shutil.rmtree(handle.path)
    with pytest.raises(MissingShard, match=f"shard 1 of {handle.rows} rows, written on .* at /"):
        open_shard(handle)


def test_other_errors_are_not_swallowed(shards):
    calls = []

    def action():
        calls.append(1)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        shards.guarded(action)
    assert calls == [1]


def lose_everything(shards) -> None:
    """Handles and files go, as with all executors."""
    for handle in shards.handles:
        shutil.rmtree(handle.path)
    kept = shards.kept.rdd if isinstance(shards.kept, KeptRDD) else shards.kept.frame()
    kept.unpersist(blocking=True)
    kept.persist(LEVEL)


def test_lost_handles_are_recomputed_within_the_job(shards):
    before = sums(shards)
    lose_everything(shards)
    assert sums_as_they_lie(shards) == before


def test_a_random_source_that_is_read_again_is_an_error(spark_session):
    noise = F.udf(lambda: float(np.random.default_rng().random()), "double").asNondeterministic()
    df = spark_session.range(50, numPartitions=2).select(noise().alias("x"), F.lit(1).alias("y"))
    with ingest(df, "x", "y", num_shards=2) as shards:
        drop_shuffle_files(shards)
        lose_everything(shards)
        with pytest.raises(SourceChanged, match=r"shard \d was computed again and has other") as e:
            sums(shards)
    assert "\n" not in str(e.value)
    assert "df.checkpoint()" in str(e.value)


def test_a_source_overwritten_between_reads_is_an_error(spark_session, tmp_path):
    path = str(tmp_path / "table")
    make = spark_session.range(50, numPartitions=1).selectExpr("cast(id as float) x", "1 as y")
    make.write.parquet(path)
    with ingest(read(spark_session, path), "x", "y", num_shards=2) as shards:
        (old,) = Path(path).glob("part-*.parquet")
        make.selectExpr("cast(x + 1 as float) as x", "y").write.parquet(f"{path} anew")
        (new,) = Path(f"{path} anew").glob("part-*.parquet")
        new.replace(old)
        (old.parent / f".{old.name}.crc").unlink()
        drop_shuffle_files(shards)
        lose_everything(shards)
        with pytest.raises(SourceChanged, match="the source changed between reads"):
            sums(shards)


def drop_shuffle_files(shards) -> None:
    """As a lost executor does: what was shuffled must be read from the source again. A DataFrame
    that is persisted anew always is."""
    if not isinstance(shards.kept, KeptRDD):
        return
    (root,) = {Path(h.path).parent.parent for h in shards.handles}
    cleaner = shards.session.sc._jsc.sc().cleaner().get()
    for shuffle in {int(file.name.split("_")[1]) for file in root.glob("*/shuffle_*")}:
        cleaner.doCleanupShuffle(shuffle, True)


def test_close_deletes_the_files_and_may_be_called_twice(shards):
    paths = [Path(h.path) for h in shards.handles]
    assert all(p.exists() for p in paths)
    shards.close()
    shards.close()
    assert not any(p.exists() for p in paths)


def test_small_arrays_keep_no_file_open(shards):
    before = len(list(Path("/proc/self/fd").iterdir()))
    held = [open_shard(handle) for handle in shards.handles]
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not any(shard["train"].x.flags.writeable for shard in held)


def test_too_many_open_files_are_no_lost_shard(shards, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(np, "fromfile", full)
    with pytest.raises(OSError, match="Too many open files") as told:
        open_shard(shards.handles[0])
    assert "ulimit -n" in told.value.__notes__[0]


def test_a_cancelled_ingest_is_one_line_and_leaves_nothing(spark_session, job_listing):
    sc = spark_session.sparkContext
    slow = F.udf(lambda i: time.sleep(0.02) or i, "long").asNondeterministic()
    df = spark_session.range(1000, numPartitions=2).repartition(2).select(slow("id").alias("x"))
    with ingest(df.limit(5), "x", num_shards=1) as shards:
        root = Path(shards.handles[0].path).parents[1]
        before = set(root.glob("dpnn-*"))
        ended = threading.Event()

        def cancel():
            while not ended.wait(0.5):  # whichever job runs
                sc.cancelAllJobs()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        try:
            with pytest.raises(RuntimeError, match=r"Job \d+ cancelled") as told:
                ingest(df, "x", num_shards=2)
        finally:
            ended.set()
            canceller.join()
        assert "\n" not in str(told.value)
        assert set(root.glob("dpnn-*")) == before


@pytest.mark.classic("it strikes within `collect` of an RDD")
@pytest.mark.parametrize("when", ["first", "second"])
def test_an_ingest_interrupted_while_it_writes_leaves_nothing(spark_session, monkeypatch, when):
    """Ctrl-C strikes while one shard is on disk and the other one not: by a hook in `collect`."""
    df = spark_session.range(100, numPartitions=2).select("id")
    with ingest(df, "id", num_shards=2) as shards:
        root = Path(shards.handles[0].path).parents[1]
    before = set(root.glob("dpnn-*"))
    collect, struck = RDD.collect, []

    def interrupted(rdd):
        if struck:
            return collect(rdd)
        struck.append(rdd)
        if when == "second":
            collect(rdd)
        raise KeyboardInterrupt

    monkeypatch.setattr(RDD, "collect", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ingest(df, "id", num_shards=2)
    assert set(root.glob("dpnn-*")) == before
    assert not spark_session.sparkContext.getJobTags()


@pytest.mark.classic("groups of jobs are of a SparkContext")
def test_cleaning_up_is_of_no_cancelled_group(spark_session):
    sc = spark_session.sparkContext
    df = spark_session.range(100, numPartitions=3).selectExpr("cast(id as float) x", "id % 5 as y")
    persisted = sc._jsc.getPersistentRDDs().size()
    sc.setJobGroup("ended", "a group whose future jobs are cancelled, too")
    try:
        shards = ingest(df, "x", "y", num_shards=2)
        folder = Path(shards.handles[0].path)
        sc._jsc.sc().cancelJobGroupAndFutureJobs("ended")
        with pytest.raises(Exception, match="cancelled"):
            sums(shards)
        shards.close()
        assert not folder.exists()
        assert sc.getLocalProperty("spark.jobGroup.id") == "ended"
        with pytest.raises(RuntimeError, match="the fit's Spark job was cancelled"):
            ingest(df, "x", "y", num_shards=2)
        assert sc._jsc.getPersistentRDDs().size() == persisted
    finally:
        sc.setLocalProperty("spark.jobGroup.id", None)
        sc.setLocalProperty("spark.job.description", None)


def test_what_hides_an_interrupt(spark_context):
    def clean_up():
        try:
            raise KeyboardInterrupt
        finally:
            raise ValueError("Gateway must be connected to send cancel cmd.")

    with pytest.raises(KeyboardInterrupt), translated(Session.active()):
        clean_up()
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:  # a caller that fits again after Ctrl-C
        with pytest.raises(ValueError, match="another"), translated(Session.active()):
            raise ValueError("another") from None


@pytest.mark.classic("what is kept is an RDD")
def test_close_makes_nothing_again_to_delete_it(shards, monkeypatch):
    paths, computed = [Path(h.path) for h in shards.handles], []
    shards.kept.rdd.unpersist(blocking=True)
    monkeypatch.setattr(shards.kept.rdd, "foreach", computed.append)
    shards.close()
    assert not computed
    assert not any(p.exists() for p in paths)
    assert not list(paths[0].parent.parent.glob(f"{paths[0].parent.name}*"))


@pytest.mark.classic("what is kept is an RDD")
def test_files_that_cannot_be_deleted_are_no_error(shards, monkeypatch):
    def broken(*_):
        raise RuntimeError("Job aborted due to stage failure")

    monkeypatch.setattr(shards.kept.rdd, "foreach", broken)
    shards.close()
    assert shards.kept.rdd.is_cached is False
