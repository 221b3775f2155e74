"""How far a job is, as its line says it."""

import pytest

from dpnn.spark.reading import Progress, line, progress


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (Progress(0, 4), "0 of 4 tasks"),
        (Progress(1, 4), "1 of 4 tasks, 30 s left"),
        (Progress(3, 4, 1500, 2_400_000), "3 of 4 tasks, 1,500 rows, 2 MB, 3 s left"),
        (Progress(4, 4, size=2_400_000), "4 of 4 tasks, 2 MB"),
    ],
)
def test_the_line(now, told):
    bar = ("━" * 6 * now.done).ljust(24)
    assert line("reading", now, 10.0) == f"dpnn: reading {bar} {told}"


def test_rows_and_bytes_of_a_scan(spark_session, spark_context, tmp_path, job_listing):
    spark_session.range(1000, numPartitions=3).write.parquet(str(tmp_path / "table"))
    size = sum(path.stat().st_size for path in tmp_path.rglob("*.parquet"))
    spark_context.addJobTag("scan")
    try:
        df = spark_session.read.parquet(str(tmp_path / "table")).repartition(2)
        assert len(df.mapInArrow(lambda batches: batches, "id long").collect()) == 1000
    finally:
        spark_context.removeJobTag("scan")
    job_listing()
    now = progress(spark_context, "scan")
    assert now.done == now.tasks >= 3
    assert now.rows == 1000
    assert 0 < now.size <= size
