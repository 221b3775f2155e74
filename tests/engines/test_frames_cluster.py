"""The frames engine over Spark Connect, on one executor and on two: same bits through kills."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.connect_server import server

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.cluster


@pytest.mark.parametrize(
    ("executors", "names"),
    [(1, ["3/0/worker", "3/4/executor"]), (2, ["3/0/executor", "3/4/worker"])],
)
def test_same_bits_through_kills(executors, names, tmp_path):
    pytest.importorskip("grpc")
    with server(f"local-cluster[{executors},1,1024]") as url:
        done = subprocess.run(
            [sys.executable, "-m", "tests.engines.connect_fit", url, str(tmp_path), *names],
            cwd=ROOT,
            env={key: value for key, value in os.environ.items() if key != "PATH"},
            capture_output=True,
            text=True,
            timeout=420,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    found = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert list(found) == names
    for one in found.values():
        assert one["equal"], one
        assert one["deaths"], one
