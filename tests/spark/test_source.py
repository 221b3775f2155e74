"""Reading by path, and the record of what was read."""

import pytest

from dpnn.data.ingest import ingest
from dpnn.spark.source import read


@pytest.fixture(scope="module")
def table(spark_session, tmp_path_factory):
    """Partitioned by year."""
    path = str(tmp_path_factory.mktemp("source") / "table")
    frame = spark_session.range(30).selectExpr("cast(id as float) x", "id % 3 + 2020 as year")
    frame.repartition(1).write.partitionBy("year").parquet(path)
    return path


@pytest.mark.classic("filters stand in the plan, which only a JVM shows")
def test_partition_columns_are_inputs_and_filters_are_recorded(spark_session, table):
    df = read(spark_session, table, "year > 2020 and x < 20")
    with ingest(df, ["x", "year"], num_shards=2) as shards:
        assert sum(shards.facts["train"].rows) == 13
        counts = shards.source.pop("read")
        assert (counts["files"], counts["rows"]) == (2, 20)
        assert shards.source == {
            "paths": [f"file:{table}"],
            "where": ["((year > 2020) AND (CAST(x AS DOUBLE) < CAST(20 AS DOUBLE)))"],
            "schema": {"x": "float", "year": "int"},
            "reader": "files",
            "rows": 13,
        }


def test_only_the_columns_and_rows_asked_for_are_scanned(spark_session, table, capsys):
    df = read(spark_session, table, "year = 2021 and x > 3").select("x")
    df.explain(extended=True)
    plan = capsys.readouterr().out
    assert "PartitionFilters: [isnotnull(year" in plan
    assert "GreaterThan(x,3.0)" in plan


def test_globs_and_single_files(spark_session, table):
    assert read(spark_session, f"{table}/year=202[01]").count() == 20


def test_errors_are_one_line(spark_session, table, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.parquet").write_text("no parquet at all, but long enough for a footer")
    cases = [
        (f"{table}/nowhere", None, FileNotFoundError, "no such path: .*nowhere"),
        (str(tmp_path / "empty"), None, ValueError, "no Parquet files at"),
        (str(tmp_path / "text.parquet"), None, ValueError, "text.parquet is not Parquet"),
        (table, "yaer = 2020", ValueError, "where = 'yaer = 2020' does not fit .*yaer"),
        (table, "year = = 1", ValueError, "where = 'year = = 1' does not fit"),
    ]
    for path, where, kind, told in cases:
        with pytest.raises(kind, match=told) as error:
            read(spark_session, path, where)
        assert "\n" not in str(error.value)
