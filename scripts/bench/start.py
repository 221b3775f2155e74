"""Where the seconds of a whole command go: jobs/train.py from spark-submit to its end, by parts.

scripts/bench.sh start [RUN_FILE] [--rounds 3] [--set key=value …]

Each round is a process of its own, as cold as a user's. Medians of the rounds, in order of time;
and what Python itself needs to import what the driver and a first Python worker load.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PYTHON = {
    "Python, nothing imported": "pass",
    "of the driver: pyspark": "import pyspark.sql",
    "of the driver: dpnn and pyspark": "import pyspark.sql, dpnn.runs.cli, dpnn.data.ingest",
    "of a worker: pyspark": "import pyspark.worker",
    "of a worker: dpnn, NumPy and pyarrow": "import dpnn.data.from_files",
}


def command(arguments: list[str], output: str) -> dict[str, float]:
    """The seconds of each part of one command, and of all."""
    given = [f"{os.environ['SPARK_HOME']}/bin/spark-submit", "--master", "local[2]"]
    given += ["--properties-file", str(ROOT / "conf/spark-defaults.conf")]
    given += [str(HERE / "_start.py"), *arguments]
    for key in ("model", "history"):
        given += ["--set", f"output.{key}={output}/{key}"]
    start = time.time()
    settings = {**os.environ, "BEGAN": str(start)}
    done = subprocess.run(given, env=settings, capture_output=True, text=True, cwd=ROOT)
    seconds = time.time() - start
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    parts = json.loads(done.stdout.splitlines()[-1])
    return {**parts, "after the job's last line": seconds - sum(parts.values()), "all": seconds}


def imported(code: str) -> dict[str, float]:
    start = time.time()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    return {code: time.time() - start}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("run_file", nargs="?", default=str(ROOT / "conf/digits.toml"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    changes = [word for change in args.set for word in ("--set", change)]
    rounds: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as output:
        for _ in range(args.rounds):
            found = command([args.run_file, *changes], output)
            for code in PYTHON.values():
                found |= imported(code)
            rounds.append(found)
    middle = {name: statistics.median(found[name] for found in rounds) for name in rounds[0]}
    names = [name for name in middle if name not in PYTHON.values()]
    print(f"seconds of the command, medians of {args.rounds}")
    for name in names:
        print(f"  {name:<56}{middle[name]:8.2f}")
    print("seconds of Python's imports, each in a process of its own")
    for name, code in PYTHON.items():
        print(f"  {name:<56}{middle[code]:8.2f}")


if __name__ == "__main__":
    main()
