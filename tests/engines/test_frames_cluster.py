"""The frames engine over Spark Connect, on one executor and on two: same bits through kills."""

import os

import pytest

from tests.connect_server import server
from tests.engines.clusters import drive

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize(
    ("executors", "names"),
    [(1, ["3/0/worker", "3/4/executor"]), (2, ["3/0/executor", "3/4/worker"])],
)
def test_same_bits_through_kills(executors, names, tmp_path):
    pytest.importorskip("grpc")
    env = {key: value for key, value in os.environ.items() if key != "PATH"}
    with server(f"local-cluster[{executors},1,1024]") as url:
        found = drive("connect_fit", url, str(tmp_path), *names, env=env)
    assert [one["name"] for one in found] == names
    for one in found:
        assert one["equal"], one
        assert one["deaths"], one
