"""However the driver ends, no task, process, file or memory of a fit is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engines.crew import alive

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_everything(number, tmp_path):
    env = {
        **os.environ,
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(tmp_path),
        "SPARK_LOCAL_DIRS": str(tmp_path),
    }
    shared = set(Path("/dev/shm").iterdir())
    driver = subprocess.Popen(
        [sys.executable, "-m", "tests.engines.interrupted_fit"],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = driver.stdout.readline()
    assert first, driver.communicate()[1][-3000:]
    workers = json.loads(first)
    assert len(workers) == 2
    assert all(map(alive, workers))
    driver.send_signal(number)
    _, errors = driver.communicate(timeout=120)
    if number == signal.SIGINT:
        assert "KeyboardInterrupt" in errors
    end = time.monotonic() + 60
    while any(map(alive, workers)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(alive, workers))
    assert set(Path("/dev/shm").iterdir()) <= shared
    if number == signal.SIGINT:
        assert not list(tmp_path.rglob("order"))  # the shards' files went with Spark
