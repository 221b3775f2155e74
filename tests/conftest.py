"""What every test needs set before the first Spark session starts."""

import os
import sys
from pathlib import Path

import pytest

os.environ["PYSPARK_PYTHON"] = sys.executable  # workers would take python3 from PATH
os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")

# Python workers find dpnn where the tests do, installed or not.
root = str(Path(__file__).resolve().parents[1])
paths = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p and p != root]
os.environ["PYTHONPATH"] = os.pathsep.join([root, *paths])


@pytest.fixture
def job_listing(spark_context):
    """Gives Spark's status tracker once it has heard of all jobs that began and ended so far.

    Its events come by a queue of their own, after the job's result has reached the driver.
    """

    def listing():
        spark_context._jsc.sc().listenerBus().waitUntilEmpty()
        return spark_context.statusTracker()

    return listing
