"""Executors get the driver's own dpnn."""

import io
import sys
import zipfile
from pathlib import Path

import pytest

import dpnn
from dpnn.spark.shipping import archive, ship

ROOT = Path(dpnn.__file__).parent


def test_the_archive_is_the_package_and_threadpoolctl_and_depends_on_content_alone():
    data = archive(ROOT)
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    assert {"dpnn/__init__.py", "dpnn/data/files.py", "threadpoolctl.py"} <= set(names)
    assert all(name.endswith(".py") for name in names)
    assert archive(ROOT) == data


@pytest.mark.classic("to a SparkContext; each fit over Connect shows the other way")
def test_tasks_import_what_was_shipped_and_the_driver_stays_as_it_was(spark_session):
    sc = spark_session.sparkContext
    before = list(sys.path)
    ship(sc)
    ship(sc)
    assert sys.path == before

    def on_path(_: int) -> list[str]:
        return [p for p in sys.path if "/dpnn-" in p]

    shipped = sc.parallelize([0, 1], 2).map(on_path).collect()
    assert all(len(paths) == 1 and paths[0].endswith(".zip") for paths in shipped)
