"""A kill changes nothing: whole fits on a standalone cluster, by a user's calls."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.cluster

CONF = ["spark.python.unix.domain.socket.enabled=true", "spark.ui.showConsoleProgress=false"]
SPECULATION = [
    "spark.executor.cores=4",  # copies only if one executor could run all tasks
    "spark.speculation=true",
    "spark.speculation.interval=20ms",
    "spark.speculation.minTaskRuntime=20ms",
    "spark.speculation.task.duration.threshold=20ms",
]
TWO_HOSTS = {"DPNN_HOSTS": "127.0.0.2 127.0.0.3", "DPNN_CORES": "4"}  # no copy to the same host


@pytest.fixture
def cluster(tmp_path, request):
    """(master URL, environment) of a standalone cluster: so many workers, and further settings."""
    workers, more = request.param
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = {
        **os.environ,
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
        "DPNN_CLUSTER_DIR": str(tmp_path / "cluster"),
        "DPNN_PORT": str(port),
        "DPNN_WORKERS": str(workers),
        "DPNN_SPARK": str(Path(pyspark.__file__).parent),
        "DPNN_LATE_WORKER": str(tmp_path / "late"),
        **more,
    }
    (tmp_path / "late").mkdir()
    script = ["bash", str(ROOT / "scripts/cluster.sh")]
    started = subprocess.run(
        [*script, "start"], env=env, capture_output=True, text=True, timeout=180
    )
    assert started.returncode == 0, started.stderr
    yield started.stdout.strip().splitlines()[-1], env
    pid = tmp_path / "late/pid"
    if pid.exists():
        os.kill(int(pid.read_text()), signal.SIGTERM)
    subprocess.run([*script, "stop"], env=env, check=True, timeout=60)


def burn(cluster, *arguments):
    master, env = cluster
    done = subprocess.run(
        [sys.executable, "-m", "tests.engines.fire", master, *CONF, *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=420,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [line["name"] for line in lines] == [a for a in arguments if "=" not in a]
    for line in lines:
        assert line["equal"], line
        what = line["name"].split("/")[2]
        assert line["done"] == ([] if what == "nothing" else what.split("+"))
    return lines


@pytest.mark.parametrize("cluster", [(2, {})], indirect=True)
def test_kills_one_after_the_other(cluster):
    burn(cluster, "job/3/worker+executor", "resident/3/worker+executor")


@pytest.mark.parametrize("cluster", [(2, TWO_HOSTS)], indirect=True)
def test_kills_with_speculation(cluster):
    lines = burn(cluster, *SPECULATION, "job/3/worker", "resident/2/worker+executor")
    assert lines[0]["copies"] > 0


@pytest.mark.parametrize("cluster", [(1, {})], indirect=True)
def test_an_executor_added_late_to_too_few_slots(cluster):
    lines = burn(cluster, "job/3/late", "resident/4/nothing")
    assert lines[-1]["executors"] == 2
