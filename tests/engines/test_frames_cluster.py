"""The frames engine over Spark Connect, on executors of its own: same bits through kills."""

import os

import pytest

from tests.connect_server import server
from tests.engines.clusters import drive

pytestmark = pytest.mark.cluster

NAMES = ["3/0/executor", "3/4/worker", "3/4/executors"]


def test_same_bits_through_kills(tmp_path):
    pytest.importorskip("grpc")
    env = {key: value for key, value in os.environ.items() if key != "PATH"}
    with server("local-cluster[2,1,1024]") as url:
        found = drive("connect_fit", url, str(tmp_path), *NAMES, env=env)
    assert [one["name"] for one in found] == NAMES
    for one in found:
        assert one["equal"], one
        assert one["deaths"], one
