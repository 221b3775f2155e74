"""Drivers on clusters: MASTER SCENARIO... [key=value...], one JSON line for each scenario."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

from pyspark.sql import SparkSession


def run(scenario: Callable[[SparkSession, str], dict]) -> None:
    """Play each scenario named on the command line on one session with these settings."""
    master, *rest = sys.argv[1:]
    builder = SparkSession.builder.master(master).appName("dpnn cluster test")
    for item in rest:
        if "=" in item:
            key, _, value = item.partition("=")
            builder = builder.config(key, value)
    java = os.environ.get("SPARK_SUBMIT_OPTS", "")
    builder = builder.config("spark.executor.extraJavaOptions", java)
    spark = builder.config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    for name in rest:
        if "=" not in name:
            print(json.dumps(scenario(spark, name)), flush=True)
    spark.stop()
