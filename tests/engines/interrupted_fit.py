"""A driver that trains on local[2] until a signal ends it; prints its Python workers, then steps.

python -m tests.engines.interrupted_fit
"""

from __future__ import annotations

import json
import time

from pyspark.sql import SparkSession

from dpnn.engines.resident.engine import ResidentEngine
from tests.engines.test_resident_spark import PROGRAM, shards, train


def main() -> None:
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    spark = builder.config("spark.python.unix.domain.socket.enabled", "true").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")

    def report(step, weights):
        if step == 1:
            pids = [seat.pid for seat in engine._roster.seats.values()]
            print(json.dumps(pids), flush=True)
        time.sleep(0.2)

    data = shards(spark, 2)
    engine = ResidentEngine(PROGRAM, data)
    try:
        train(engine, steps=60, before=report)
    finally:
        engine.close()


if __name__ == "__main__":
    main()
