"""Files that tasks read themselves, beside the same files as Spark hands their rows over: the same
shards to the bit, or the same line.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F
from pyspark.sql import types as T

import dpnn
from dpnn import Dataset
from dpnn.data import from_files
from dpnn.data.encoders.raw import hashed
from dpnn.data.ingest import ingest
from dpnn.data.kept import LEVEL
from dpnn.data.spark_shards import SourceChanged
from dpnn.spark.conditions import Field
from dpnn.spark.scan import File, Projected, Scan, scan_of

pytestmark = pytest.mark.classic("tasks read files by the plan, which only a JVM shows")

N = 24
IDS = np.arange(N)


def columns(**changes):
    """A small table; a change of None takes a column away."""
    made = {
        "a": pa.array(IDS, pa.int32()),
        "b": pa.array(IDS / 7, pa.float64()),
        "c": pa.array(IDS / 3, pa.float32()),
        "even": pa.array(IDS % 2 == 0),
        "name": pa.array([f"n{i % 3}" for i in IDS]),
        "list": pa.array([[i, i + 1] for i in IDS], pa.list_(pa.int16())),
        "bytes": pa.array([bytes([i, 255 - i]) for i in IDS]),
        "y": pa.array(IDS % 2, pa.int64()),
    } | changes
    return pa.table({name: column for name, column in made.items() if column is not None})


def some(values, kind=None, at=(3,)):
    """The values with nulls at some places."""
    return pa.array([None if i in at else v for i, v in enumerate(values)], kind)


def write(folder: Path, **files) -> None:
    for name, table in files.items():
        path = folder / name.replace("__", "=").replace("_of_", "/") / f"part {name}%20.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, row_group_size=10)


def outcome(df, inputs, label="y", **others):
    """(reader, rows and layout and checksums and values) or (None, the error)."""
    try:
        with ingest(df, inputs, label, num_shards=2, **others) as shards:
            local = shards.fetch()
            values = [
                {n: np.take(a, rows.order, axis=0).tolist() for n, a in rows.arrays.items()}
                for shard in local.shards
                for rows in shard.values()
            ]
            return shards.source["reader"], repr((shards.facts, values))
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


def both(df, *named, **others):
    """The reader chosen, and what came of it: the same by Spark's rows."""
    reader, found = outcome(df, *named, **others)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(from_files, "scan_of", lambda frame: None)
        _, expected = outcome(df, *named, **others)
    assert found == expected
    return reader, found


ALL = {"mixed": ["a", "b", "c", "even", "day"], "whole": ["a", "y"], "list": "list"}
RAW = dpnn.columns(numeric=["a", "b"], categorical=["name", "day", "even"])
NULL_INSIDE = some([[1, 2]] * N, pa.list_(pa.int16()))
CODES = pa.array(IDS % 2, pa.float32()).dictionary_encode()
# What the second file has, the inputs, the reader, and a word of the error where there is one.
CASES = {
    "numbers": ({"c": CODES}, ALL | {"bytes": "bytes"}, "files", ""),
    "raw": ({"b": some(IDS / 7), "name": some(["m"] * N)}, RAW, "files", ""),
    "large numbers": ({"b": pa.array(IDS * 2.0**30 + 1)}, ["b", "a"], "files", ""),
    "texts by number": ({"name": pa.array(["k"] * N).dictionary_encode()}, RAW, "spark", ""),
    "null": ({"c": some(IDS / 3, pa.float32())}, ["a", "c"], None, "'c' has 1 null:"),
    "null inside": ({"list": NULL_INSIDE}, "list", None, "'list' has 1 null:"),
    "too large": ({"b": pa.array(IDS * 1e300)}, ["b", "c"], None, "as float32"),
    "ragged": ({"list": pa.array([[1]] * N, pa.list_(pa.int16()))}, "list", None, "equally long"),
    "narrower": ({"a": pa.array(IDS, pa.int16())}, ["a", "c"], "spark", ""),
    "wider": ({"a": pa.array(IDS, pa.int64())}, ["a", "c"], None, ""),
    "missing": ({"c": None}, ["a", "c"], None, "'c' has 24 nulls"),
    "another case": ({"c": None, "C": pa.array(IDS / 3, pa.float32())}, ["a", "c"], "spark", ""),
    "twins": ({"C": pa.array(IDS / 3, pa.float32())}, ["a", "c"], None, ""),
    "partition's name": ({"day": pa.array(IDS, pa.int32())}, ["a", "day"], "spark", ""),
    "no rows": ({}, ["a", "c"], "files", ""),
}


@pytest.mark.parametrize("name", CASES)
def test_files_of_all_kinds(spark_session, tmp_path, name):
    changes, inputs, expected, told = CASES[name]
    second = columns().slice(0, 0) if name == "no rows" else columns(**changes)
    write(tmp_path, day__1=columns(), day__2=second)
    schema = spark_session.read.parquet(str(tmp_path / "day=1")).schema.add("day", T.IntegerType())
    df = spark_session.read.schema(schema).parquet(str(tmp_path))
    reader, found = both(df, inputs)
    assert reader == expected, found
    assert told in found
    assert "\n" not in found


def test_bytes_and_short_numbers_keep_their_width(spark_session, tmp_path):
    write(tmp_path, day__1=columns(), day__2=columns())
    df = spark_session.read.parquet(str(tmp_path))
    for frame, reader in ((df, "files"), (df.where("abs(a) >= 0"), "spark")):
        with ingest(
            frame, {"image": "bytes", "list": "list", "flag": "even"}, "a", None, 2
        ) as made:
            assert made.source["reader"] == reader
            layout = {name: (dtype, shape) for name, dtype, shape in made.facts["train"].layout}
        assert layout["x.image"] == ("|u1", (2,))
        assert layout["x.list"] == ("<i2", (2,))
        assert layout["x.flag"] == ("|u1", ())


def test_texts_come_as_their_codes(tmp_path):
    """With nulls, over several pages, and where a writer gave up its dictionary."""
    texts = [None if i % 7 == 0 else f"t{i % 5}" for i in range(50)] + [f"u{i}" for i in range(50)]
    table = pa.table({"s": texts, "n": np.arange(100)})
    for options in ({}, {"dictionary_pagesize_limit": 64}, {"use_dictionary": False}):
        path = tmp_path / "table.parquet"
        pq.write_table(table, path, data_page_size=64, **options)
        file = File(str(path), path.stat().st_size, {})
        scan = Scan(
            (Projected((Field("s", "string"),)), Projected((Field("n", "bigint"),))), (file,)
        )
        plan = from_files.plan(scan, 1)
        found, names = [], {}
        for batch in from_files.batches(plan.tasks[0][0], plan):
            assert pa.types.is_dictionary(batch.column(0).type)
            hashes, some_names = hashed(batch.column(0), "s")
            names |= some_names
            found += hashes.tolist()
        assert [names.get(value) for value in found] == texts


def test_damage(spark_session, tmp_path):
    """Pages, a footer, nothing at all: after Spark has looked at another file."""
    write(tmp_path, day__1=columns(), day__2=columns())
    (path,) = (tmp_path / "day=2").iterdir()
    good = path.read_bytes()
    df = spark_session.read.parquet(str(tmp_path))
    assert both(df, ["a", "c"])[0] == "files"
    pages = good[:4] + b"\xff" * 300 + good[304:]
    for data in (pages, good[:-4] + b"none"):
        path.write_bytes(data)
        reader, found = both(again(df, tmp_path), ["a", "c"])
        assert reader is None
        assert "\n" not in found
    path.write_bytes(b"")
    assert both(again(df, tmp_path), ["a", "c"])[0] == "files"


def again(df, path: Path):
    """Listed anew, with the columns of before."""
    return df.sparkSession.read.schema(df.schema).parquet(str(path))


def test_no_partition(spark_session, tmp_path):
    """Hive's name of a null, as a number, and as a category that is missing."""
    write(tmp_path, kind__k_of_day__1=columns())
    write(tmp_path, kind__k_of_day____HIVE_DEFAULT_PARTITION__=columns())
    (folder,) = {path.parent for path in tmp_path.rglob("*.parquet") if "HIVE" in str(path)}
    folder.rename(tmp_path / "kind=k" / "day=__HIVE_DEFAULT_PARTITION__")
    df = spark_session.read.parquet(str(tmp_path))
    reader, found = both(df, ["a", "day"])
    assert reader is None
    assert "'day' has 24 nulls" in found
    assert both(df, dpnn.columns(numeric=["a"], categorical=["day", "kind"]))[0] == "files"
    assert both(df.where("day is null"), ["a", "c"])[0] == "files"


def test_plans(spark_session, tmp_path):
    """Columns and partitions are read from files; what computes, or is kept, is Spark's."""
    write(tmp_path, day__1=columns(), day__2=columns(b=pa.array(IDS / 5)), day__3=columns())
    df = spark_session.read.parquet(str(tmp_path))
    renamed = df.select(F.col("b").alias("a"), F.col("a").alias("b"), "y", "even", "day")
    assert both(renamed.withColumn("more", F.rand()), ["a", "b"], validation="even")[0] == "files"
    assert both(df.where("day between 2 and 7 and day != 3"), ["a"], validation=0.3)[0] == "files"
    assert both(df.where("day = 2"), ["a"], validation=df.where("a < 5"))[0] == "files"
    assert both(df.where("day = 9"), ["a", "b"])[0] is None
    assert both(df.where("a > 4 and (day = 2 or not even)"), ["a", "b"])[0] == "files"
    assert both(df.where("a > 4 and a % 5 > 0"), ["a", "b"])[0] == "spark"
    assert both(df.withColumn("a", F.col("a") + 1), ["a", "b"])[0] == "spark"
    for other in (df.limit(20), df.union(df), df.withColumn("a", F.col("a").cast("tinyint"))):
        assert scan_of(other) is None
    kept = df.where("day < 3").cache()
    assert kept.count() == 2 * N
    assert scan_of(kept) is None
    kept.unpersist()


def test_what_was_read_is_told(spark_session, tmp_path, capsys):
    """Of the training and the validation rows, files and bytes of the columns that are used."""
    write(tmp_path, day__1=columns(), day__2=columns(), day__3=columns())
    df = spark_session.read.parquet(str(tmp_path))
    last = df.where("day = 3")
    with Dataset(df.where("day < 3"), ["a", "c"], "y", validation=last, num_shards=2) as data:
        read = data.source["read"]
    footers = [pq.read_metadata(path) for path in tmp_path.rglob("*.parquet")]
    chunks = [f.row_group(i).column(k) for f in footers for i in range(3) for k in range(8)]
    used = [chunk for chunk in chunks if chunk.path_in_schema in ("a", "c", "y")]
    size = sum(chunk.total_compressed_size for chunk in used)
    assert len(used) == 27
    assert read == {"files": 3, "row_groups": 9, "rows": 3 * N, "bytes": size}
    told = capsys.readouterr().err
    assert f" s, from 3 files (9 row groups, {size / 1e6:.1f} MB) past Spark's rows\n" in told


CONDITIONS = {
    "i > 3 and i <= 9 and s != 'n1'": True,
    "i < 3 or f >= 2": True,
    "not (i < 3 or f >= 2)": True,
    "not (i < 3 and f < 2)": True,
    "f > 1.5": True,
    "not (f > 1.5)": True,
    "f >= 1.5 or s < 'n1'": True,
    "3 > f": True,
    "f = 0": True,
    "d < -0.5 or d = 0.0D": True,
    "s in ('n0', 'n2', 'k')": True,
    "not s in ('n0', 'k')": True,
    "i not in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)": True,
    "b": True,
    "not b or day = 1": True,
    "b is null and s is not null": True,
    "s <= 'n1\u00e9'": True,
    "i > 2.5D and cast(b as int) < 1": True,
    "k > 9007199254740992.0D": True,
    "s in ('n0', null)": False,
    "f in (1, 2)": False,
    "f > double('NaN')": False,
    "b <=> null": True,
    "b <=> true": False,
    "i > k": False,
    "s like 'n%'": False,
    "i + 1 > 4": False,
}


def test_conditions(spark_session, tmp_path):
    """On numbers, NaN, texts, booleans and nulls: the same rows as Spark's, or left to it."""
    tests = np.array([np.nan, -0.0, 0.0, 1.0, 1.5, 2.5, np.inf, -np.inf])
    values = {
        "n": IDS,
        "i": some(IDS.tolist(), pa.int32(), at=(3, 8)),
        "f": some(np.resize(tests, N).tolist(), pa.float32(), at=(5, 20)),
        "d": some(np.resize(-tests, N).tolist(), pa.float64(), at=(6,)),
        "s": some([["n0", "n1", "n1é", "n2"][i % 4] for i in IDS], at=(1, 3)),
        "b": some((IDS % 3 == 0).tolist(), at=(2, 3)),
        "k": pa.array(2**53 + IDS - 4),
    }
    write(tmp_path, day__1=pa.table(values), day__2=pa.table(values))
    df = spark_session.read.parquet(str(tmp_path))
    answers = [f"({condition}) as c{i}" for i, condition in enumerate(CONDITIONS)]
    table = df.selectExpr("n", "day", *answers).collect()
    for i, (condition, known) in enumerate(CONDITIONS.items()):
        plan = from_files.plan_of(df.where(condition).select("n", "day"))
        assert (plan is not None) == known, condition
        if plan is None:
            continue
        made = [b for task in plan.tasks for g in task for b in from_files.batches(g, plan)]
        found = sorted(tuple(row.values()) for batch in made for row in batch.to_pylist())
        expected = sorted((row.n, row.day) for row in table if row[f"c{i}"])
        assert found == expected, condition
        assert 0 < len(expected) < 2 * N, condition


def test_very_many_files_are_left_to_spark(spark_session, tmp_path, monkeypatch):
    write(tmp_path, day__1=columns(), day__2=columns(), day__3=columns())
    df = spark_session.read.parquet(str(tmp_path))
    monkeypatch.setattr("dpnn.spark.scan._MOST_FILES", 2)
    assert both(df, ["a", "c"])[0] == "spark"
    monkeypatch.setattr("dpnn.spark.scan._MOST_FILES", 3)
    assert both(df, ["a", "c"])[0] == "files"


def test_lost_shards_are_read_from_the_files_again(spark_session, tmp_path):
    write(tmp_path, day__1=columns(), day__2=columns())
    with ingest(spark_session.read.parquet(str(tmp_path)), ["a", "c"], "y", None, 2) as shards:
        assert shards.source["reader"] == "files"
        before = shards.handles
        lose(shards)
        assert [h.pieces for h in shards.rdd.collect()] == [h.pieces for h in before]
        (path,) = (tmp_path / "day=2").iterdir()
        pq.write_table(columns(c=pa.array(IDS / 4, pa.float32())), path)
        lose(shards)
        with pytest.raises(SourceChanged, match="the source changed between reads"):
            shards.guarded(lambda: shards.rdd.collect())


def lose(shards) -> None:
    """Handles and what was shuffled, as with all executors."""
    (root,) = {Path(handle.path).parent.parent for handle in shards.handles}
    cleaner = shards.session.sc._jsc.sc().cleaner().get()
    for shuffle in {int(file.name.split("_")[1]) for file in root.glob("*/shuffle_*")}:
        cleaner.doCleanupShuffle(shuffle, True)
    shards.kept.rdd.unpersist(blocking=True)
    shards.kept.rdd.persist(LEVEL)
