"""The frames engine over Spark Connect, on one executor and on two: same bits through kills."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.connect_server import server

ROOT = Path(__file__).resolve().parents[2]
NAMES = [f"3/{steps}/{what}" for steps in (0, 4) for what in ("quiet", "worker", "executor")]
pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("executors", [1, 2])
def test_same_bits_through_kills(executors, tmp_path):
    pytest.importorskip("grpc")
    with server(f"local-cluster[{executors},1,1024]") as url:
        done = subprocess.run(
            [sys.executable, "-m", "tests.engines.connect_fit", url, str(tmp_path), *NAMES],
            cwd=ROOT,
            env={key: value for key, value in os.environ.items() if key != "PATH"},
            capture_output=True,
            text=True,
            timeout=420,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    found = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert list(found) == NAMES
    for name, one in found.items():
        assert one["equal"], one
        assert (one["deaths"] > 0) != name.endswith("quiet"), one
