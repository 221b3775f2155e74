"""Clusters that several tests share: each takes seconds to start."""

import pytest

from tests.engines.clusters import TWO_HOSTS, cluster


@pytest.fixture(scope="session")
def standalone(tmp_path_factory):
    """The master's URL: two workers of one core."""
    with cluster(tmp_path_factory.mktemp("cluster")) as master:
        yield master


@pytest.fixture(scope="session")
def two_hosts(tmp_path_factory):
    """The master's URL: two workers of four cores, each on a host of its own to Spark."""
    with cluster(tmp_path_factory.mktemp("hosts"), **TWO_HOSTS) as master:
        yield master
