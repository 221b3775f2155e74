"""A Spark Connect server in a process of its own, and nothing of Java for its clients.

python -m tests.connect_server PORT [MASTER] runs one by hand.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark

ROOT = Path(__file__).resolve().parents[1]
PYSPARK = Path(pyspark.__file__).parent
CLASS = "org.apache.spark.sql.connect.service.SparkConnectServer"
SETTINGS = (
    "spark.sql.shuffle.partitions=2",
    "spark.python.unix.domain.socket.enabled=true",
    "spark.ui.enabled=false",
    "spark.connect.grpc.binding.address=127.0.0.1",
    "spark.connect.progress.reportInterval=100ms",
    "spark.sql.artifact.copyFromLocalToFs.allowDestLocal=true",
    f"spark.executor.extraJavaOptions={os.environ.get('SPARK_SUBMIT_OPTS', '')}",
)


def command(port: int, master: str, more: Iterable[str] = ()) -> list[str]:
    made = [str(PYSPARK / "bin/spark-submit"), "--class", CLASS, "--master", master]
    made += ["--driver-memory", "1g"]
    for setting in (*SETTINGS, f"spark.connect.grpc.binding.port={port}", *more):
        made += ["--conf", setting]
    return [*made, "spark-internal"]


@contextmanager
def server(master: str = "local[2]", more: Iterable[str] = ()) -> Iterator[str]:
    """The URL of a server while within."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="dpnn-connect-") as folder:
        home = Path(folder) / "spark"  # of links: local-cluster writes into it
        home.mkdir()
        for entry in PYSPARK.iterdir():
            (home / entry.name).symlink_to(entry)
        env = {k: v for k, v in os.environ.items() if k not in ("SPARK_REMOTE", "PYTHONPATH")}
        env |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
        env |= {"SPARK_HOME": str(home), "SPARK_LOCAL_DIRS": str(Path(folder) / "local")}
        env.pop("SPARK_CONNECT_MODE_ENABLED", None)
        (Path(folder) / "own").mkdir()  # the tests' own classes; dpnn itself comes by the session
        (Path(folder) / "own/tests").symlink_to(ROOT / "tests")
        env["PYTHONPATH"] = str(Path(folder) / "own")
        with (Path(folder) / "log").open("w") as log:
            started = subprocess.Popen(
                command(port, master, more), env=env, cwd=folder, stdout=log, stderr=log
            )
        try:
            end = time.monotonic() + 120
            while not answers(port):
                if started.poll() is not None or time.monotonic() > end:
                    raise RuntimeError((Path(folder) / "log").read_text()[-3000:])
                time.sleep(0.2)
            yield f"sc://127.0.0.1:{port}"
        finally:
            started.send_signal(signal.SIGTERM)
            try:
                started.wait(20)
            except subprocess.TimeoutExpired:
                started.kill()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    os.execv(
        PYSPARK / "bin/spark-submit", command(int(sys.argv[1]), *sys.argv[2:3] or ["local[2]"])
    )
