"""What every test needs set before the first Spark session starts."""

import os
import sys
from pathlib import Path

os.environ["PYSPARK_PYTHON"] = sys.executable  # workers would take python3 from PATH
os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")

# Python workers find dpnn where the tests do, installed or not.
root = str(Path(__file__).resolve().parents[1])
paths = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p and p != root]
os.environ["PYTHONPATH"] = os.pathsep.join([root, *paths])
