"""Hosts with networks of their own: namespaces joined by a bridge. Skipped where not permitted."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from dpnn.engines.protocol import Kind, Plan
from tests.engines.crew import Crew
from tests.engines.test_resident_exchange import check

HOSTS = 5


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def network():
    """(driver's address, [namespace], [link of each]): five hosts on a bridge."""
    tag = f"{os.getpid() % 100_000}"
    bridge, names = f"dpb{tag}", [f"dpnn-{tag}-{i}" for i in range(HOSTS)]
    links = [f"dpv{tag}-{i}" for i in range(HOSTS)]
    net = f"10.{os.getpid() % 200 + 20}.77"
    try:
        ip("link", "add", bridge, "type", "bridge")
        ip("addr", "add", f"{net}.1/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for i, (name, link) in enumerate(zip(names, links, strict=True)):
            ip("netns", "add", name)
            ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", link, "master", bridge, "up")
            ip("-n", name, "addr", "add", f"{net}.{i + 10}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield f"{net}.1", names, links
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespaces here: {error}")
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=60)
        subprocess.run(["ip", "link", "del", bridge], capture_output=True, timeout=60)


def crew(network, **options):
    address, names, _ = network
    inside = [["ip", "netns", "exec", name] for name in names]
    parts = [[0, 1], [2], [3], [4, 5], [6]]
    return Crew(70_001, parts, share=False, bind=address, inside=inside, **options)


def test_a_tree_of_real_hosts(network):
    address = network[0]
    with crew(network, fan_in=2) as hosts:
        for step in range(4):
            check(hosts, Plan(Kind.TRAIN, 0, step, 4))
        seats = hosts.root._generation.seats
        assert len({seat.address for seat in seats} - {address}) == HOSTS
        groups = hosts.root._generation.groups
        assert max(len(group.children) for group in groups) == 2
        hosts.kill(0)
        check(hosts, Plan(Kind.TRAIN, 0, 4, 5))


def test_a_cut_link(network):
    """No packet says that the host is gone: within `patience` its place is given to another try."""
    link = network[2][0]
    with crew(network, fan_in=2, patience=1.5) as hosts:
        check(hosts, Plan(Kind.TRAIN, 0, 0, 3))
        original = hosts.assemble

        def assemble():
            if len(hosts.roster.seats) < HOSTS:  # not before: a neighbour may miss it first
                ip("link", "set", link, "up")
                hosts.start(0)
            original()

        hosts.assemble = assemble
        ip("link", "set", link, "down")
        start = time.monotonic()
        check(hosts, Plan(Kind.TRAIN, 0, 1, 3))
        assert time.monotonic() - start < 120
        assert hosts.roster.lost >= 1
        check(hosts, Plan(Kind.TRAIN, 0, 2, 3))
