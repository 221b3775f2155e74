"""The resident engine on clusters of this machine: same bits through kills of any kind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pyspark
import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.cluster

QUIET = [f"resident/{n}/quiet" for n in (1, 3, 8)]
KILLS = ["resident/2/worker", "resident/5/one after the other", "resident/2/both"]
CONF = ["spark.python.unix.domain.socket.enabled=true", "spark.ui.showConsoleProgress=false"]


def environment(**more):
    env = {
        **os.environ,
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
        **more,
    }
    env.pop("SPARK_MASTER", None)
    return env


def run(master, *arguments, env=None):
    """What the driver says of each scenario, by name."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.engines.cluster_fit", master, *CONF, *arguments],
        cwd=ROOT,
        env=env or environment(),
        capture_output=True,
        text=True,
        timeout=420,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, done.stderr[-3000:]
    return {line["name"]: line for line in lines}


def check(results, names):
    assert set(results) == set(names)
    for result in results.values():
        assert result["equal"], result


@contextmanager
def cluster(folder, **more):
    """The URL of a master and two workers, as `scripts/cluster.sh` starts them."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = environment(DPNN_CLUSTER_DIR=str(folder), DPNN_PORT=str(port), **more)
    script = ["bash", str(ROOT / "scripts/cluster.sh")]
    done = subprocess.run([*script, "start"], env=env, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    try:
        yield done.stdout.strip().splitlines()[-1]
    finally:
        subprocess.run([*script, "stop"], env=env, check=True, timeout=60)


@pytest.fixture(scope="module")
def standalone(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("cluster")) as master:
        yield master


@pytest.fixture(scope="module")
def local_cluster(tmp_path_factory):
    """A SPARK_HOME of links: local-cluster writes into it."""
    home = tmp_path_factory.mktemp("spark-home")
    for entry in Path(pyspark.__file__).parent.iterdir():
        (home / entry.name).symlink_to(entry)
    return environment(SPARK_HOME=str(home))


def test_same_bits_standalone(standalone):
    results = run(standalone, *QUIET)
    check(results, QUIET)
    assert [results[name]["tasks"] for name in QUIET] == [1, 2, 2]  # no more than shards
    assert results[QUIET[1]]["auto"][0] == "resident"


def test_kills_standalone(standalone):
    results = run(standalone, *KILLS)
    check(results, KILLS)
    assert all(result["lost"] for result in results.values())
    assert results[KILLS[0]]["submissions"] == 1  # Spark brought the task back by itself


def test_a_speculative_copy_steps_in(tmp_path):
    """Spark copies a task only to another host, and only if one executor could run all tasks."""
    names = ["resident/3/original"]
    with cluster(tmp_path, DPNN_HOSTS="127.0.0.2 127.0.0.3", DPNN_CORES="4") as master:
        results = run(
            master,
            "spark.executor.cores=4",
            "spark.speculation=true",
            "spark.speculation.task.duration.threshold=1s",
            "spark.speculation.interval=100ms",
            *names,
        )
    check(results, names)
    assert [result["copies"] for result in results.values()] == [[True]]
    assert {result["submissions"] for result in results.values()} == {1}


def test_fewer_slots_than_shards(standalone):
    names = ["resident/8/quiet"]
    results = run(standalone, "spark.cores.max=1", *names)
    check(results, names)
    assert results[names[0]]["tasks"] == 1


def test_encryption_takes_the_job_engine(standalone):
    results = run(standalone, "spark.io.encryption.enabled=true", "resident/2/quiet")
    assert results["resident/2/quiet"]["auto"][0] == "job"


def test_local_cluster(local_cluster):
    names = ["resident/5/quiet", "resident/3/executor"]
    check(run("local-cluster[2,1,1024]", *names, env=local_cluster), names)
