"""The Spark session of benchmarks: two cores of this machine."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import SparkSession


def session(settings: Mapping[str, str] | None = None) -> SparkSession:
    """settings: further ones."""
    builder = SparkSession.builder.master("local[2]").appName("dpnn bench")
    builder = builder.config("spark.python.unix.domain.socket.enabled", "true")
    builder = builder.config("spark.ui.enabled", "false").config("spark.driver.memory", "4g")
    for key, value in (settings or {}).items():
        builder = builder.config(key, value)
    spark = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark
