"""Standalone clusters on this machine, and drivers on them that print what they found."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONF = ["spark.python.unix.domain.socket.enabled=true", "spark.ui.showConsoleProgress=false"]
SPECULATION = [  # only to another host, and only if one executor could run all tasks
    "spark.executor.cores=4",
    "spark.speculation=true",
]
TWO_HOSTS = {"DPNN_HOSTS": "127.0.0.2 127.0.0.3", "DPNN_CORES": "4"}


def environment(**more: str) -> dict[str, str]:
    env = {
        **os.environ,
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
        **more,
    }
    env.pop("SPARK_MASTER", None)
    return env


@contextmanager
def cluster(folder: Path, **more: str) -> Iterator[str]:
    """The URL of a master with two workers, as `scripts/cluster.sh` starts them."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = environment(DPNN_CLUSTER_DIR=str(folder), DPNN_PORT=str(port), **more)
    script = ["bash", str(ROOT / "scripts/cluster.sh")]
    done = subprocess.run([*script, "start"], env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    try:
        yield done.stdout.strip().splitlines()[-1]
    finally:
        subprocess.run([*script, "stop"], env=env, check=True, timeout=60)


def drive(module: str, *arguments: str, env: dict[str, str] | None = None) -> list[dict]:
    """What the driver says of each scenario."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.engines.{module}", *arguments],
        cwd=ROOT,
        env=env or environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
