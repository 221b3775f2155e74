"""The exchange without Spark: canonical bits over shared memory and TCP trees, and recovery."""

from __future__ import annotations

import gc
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from dpnn.engines.protocol import EngineUnavailable, Kind, Plan, ShardError
from dpnn.engines.resident import root, tree
from dpnn.engines.resident.links import Travel
from tests.engines.crew import Crew, alive, expected

PARTS = [
    [[0]],
    [[0], [1]],
    [[0, 1], [2]],
    [[0, 1, 2], [3, 4]],
    [[0, 1, 2, 3], [4, 5, 6, 7]],
    [[3, 0], [1, 4], [2, 6], [5]],  # neighbours are torn apart
]
HOSTS = [f"127.0.0.{i}" for i in range(2, 10)]


def check(crew, plan):
    sums = crew.step(plan)
    wanted = expected(crew.weights, plan, crew.count)
    assert sums.tail.tobytes() == wanted.tail.tobytes()
    assert (sums.flat is None) == (wanted.flat is None)
    if sums.flat is not None:
        assert np.array_equal(sums.flat, wanted.flat)
    crew.weights[:] += 0.01


@pytest.mark.parametrize("parts", PARTS, ids=str)
@pytest.mark.parametrize("size", [10, 70_001])
@pytest.mark.parametrize("share", [True, False])
def test_same_bits(parts, size, share):
    """Both sides of SPREAD; every kind of plan."""
    with Crew(size, parts, share=share, fan_in=2) as crew:
        for plan in (
            Plan(Kind.MOMENTS),
            Plan(Kind.TRAIN, 0, 0, 2),
            Plan(Kind.EVALUATE),
            Plan(Kind.TRAIN, 0, 1, 2),
        ):
            check(crew, plan)


def test_tree_over_eight_hosts():
    """Fan-in 2 over real addresses: two hosts below the driver, two levels below them."""
    with Crew(70_001, [[s] for s in range(8)], share=False, hosts=HOSTS, fan_in=2) as crew:
        for step in range(5):
            check(crew, Plan(Kind.TRAIN, 0, step, 5))
        groups = crew.root._generation.groups
        assert max(len(group.children) for group in groups) == 2
        assert [seat.address for seat in crew.root._generation.seats] == HOSTS
        assert crew.root.costs.steps == 5
        assert crew.root.costs.bytes > 5 * 16 * 4 * 70_001  # down and up eight links


def test_two_tasks_share_each_of_three_hosts(monkeypatch):
    """Leaders sum their host's slots; the driver is on none of these hosts."""
    monkeypatch.setattr("dpnn.engines.resident.formation.host_key", lambda: "elsewhere")
    with Crew(70_001, [[s] for s in range(6)], fan_in=2) as crew:
        first = crew.assemble
        names = ["a", "a", "b", "b", "c", "c"]

        def assemble():
            first()
            for place, seat in crew.roster.seats.items():
                seat.key = names[place]

        crew.assemble = assemble
        for step in range(4):
            check(crew, Plan(Kind.TRAIN, 0, step, 4))
        assert [len(group.members) for group in crew.root._generation.groups] == [0, 2, 2, 2]


@pytest.mark.parametrize("whole", [0, 1])
def test_packed_sums_have_the_same_bits(whole):
    """Three levels of hosts; numbers that pack, and such as don't and go as they are."""
    sizes = []
    for packs in (False, True):
        with Crew(70_001, PARTS[-1], share=False, fan_in=1, travel=Travel(packs)) as crew:
            for step in range(3):
                check(crew, Plan(Kind.TRAIN, 0, step, 5, trial=whole))
            sizes.append(crew.root._generation._up)
    assert sizes[0] > 2 * 4 * 70_001
    assert sizes[1] < (0.55 if whole else 1.001) * sizes[0]


def test_of_weights_what_is_new_goes_down():
    """All of them at first, and again to all after a kill; then the rows that have changed."""
    sizes = []
    travel = Travel(packs=True, news=True)
    with Crew(150_001, [[0], [1], [2]], share=False, fan_in=1, travel=travel) as crew:
        for step in range(8):
            if step == 5:
                crew.kill(1)
            plan = Plan(Kind.TRAIN, 0, step, 8, trial=1)
            wanted = expected(crew.weights, plan, crew.count)
            assert np.array_equal(crew.step(plan).flat, wanted.flat)
            sizes.append(crew.root._generation._down)
            crew.weights[1000 * step : 1000 * step + 16] += 1
    whole = 3 * 4 * 150_001
    assert [size > 0.9 * whole for size in sizes] == [step in (0, 5) for step in range(8)]
    assert max(sizes[1:5] + sizes[6:]) < 3 * 2000


@pytest.mark.parametrize(("share", "packs"), [(True, False), (False, False), (False, True)])
def test_kills_at_any_moment(share, packs):
    """One task after the other dies, between steps and in the middle of them."""
    parts = [[0, 1], [2], [3, 4], [5]]
    with Crew(70_001, parts, share=share, fan_in=2, delay=0.02, travel=Travel(packs)) as crew:
        rng = np.random.default_rng(2)
        for step in range(13):  # the last one notices who died after the one before
            if step % 3 == 1:
                crew.kill(int(rng.integers(4)))
            if step % 3 == 2:
                victim, pause = int(rng.integers(4)), rng.uniform(0, 0.05)
                pid = os.fork()
                if pid == 0:
                    time.sleep(pause)
                    os.kill(crew.pids[victim], signal.SIGKILL)
                    os._exit(0)
            check(crew, Plan(Kind.TRAIN, 0, step, 13, trial=int(packs)))
            if step % 3 == 2:
                os.waitpid(pid, 0)
        assert crew.roster.lost >= 8


def test_the_memory_of_a_broken_generation_goes_at_once():
    """Not when Python next collects cycles: each would be as large as the model."""

    def memories():
        links = (p for p in Path("/proc/self/fd").iterdir() if p.is_symlink())
        return sum("memfd" in str(link.readlink()) for link in links)

    gc.disable()
    try:
        with Crew(1000, [[0], [1]]) as crew:
            check(crew, Plan(Kind.TRAIN, 0, 0, 5))
            before = memories()
            for step in range(1, 4):
                crew.kill(1)
                check(crew, Plan(Kind.TRAIN, 0, step, 5))
                assert memories() == before
    finally:
        gc.enable()


@pytest.mark.parametrize("share", [True, False])
def test_moments_of_very_many_columns(share):
    """A tail of 24 MB, longer than other frames may be."""
    with Crew(10, [[0], [1]], share=share, idle=True, tail=3_000_000) as crew:
        for _ in range(2):
            assert crew.step(Plan(Kind.MOMENTS)).tail.shape == (3_000_000,)


def test_a_silent_task_is_given_up():
    """Stopped, not dead: nothing but time tells."""
    with Crew(10, [[0], [1]], patience=0.5) as crew:
        check(crew, Plan(Kind.TRAIN, 0, 0, 2))
        crew.kill(1, signal.SIGSTOP)
        stopped = crew.pids[1]
        original = crew.assemble

        def assemble():
            if crew.pids[1] == stopped:
                crew.start(1)
            original()

        crew.assemble = assemble
        start = time.monotonic()
        check(crew, Plan(Kind.TRAIN, 0, 1, 2))
        assert 0.4 < time.monotonic() - start < 60
        os.kill(stopped, signal.SIGKILL)


def test_a_silent_host_in_the_tree_is_given_up():
    """The hosts above and below it wait for bytes that never come; all are freed."""
    parts = [[s] for s in range(4)]
    with Crew(70_001, parts, share=False, hosts=HOSTS[:4], fan_in=1, patience=1.0) as crew:
        check(crew, Plan(Kind.TRAIN, 0, 0, 2))
        stopped = crew.pids[1]
        crew.kill(1, signal.SIGSTOP)
        original = crew.assemble

        def assemble():
            if crew.pids[1] == stopped:
                crew.start(1)
            original()

        crew.assemble = assemble
        check(crew, Plan(Kind.TRAIN, 0, 1, 2))
        os.kill(stopped, signal.SIGKILL)


def test_a_speculative_copy_steps_in():
    with Crew(10, [[0], [1]], revive=False) as crew:
        check(crew, Plan(Kind.TRAIN, 0, 0, 3))
        first = crew.pids[0]
        copy = crew.start(0)
        check(crew, Plan(Kind.TRAIN, 0, 1, 3))
        assert crew.roster.seats[0].pid == first
        os.kill(first, signal.SIGKILL)
        check(crew, Plan(Kind.TRAIN, 0, 2, 3))
        assert crew.roster.seats[0].pid == copy


def test_an_older_attempt_is_told_to_leave():
    with Crew(10, [[0]]) as crew:
        check(crew, Plan(Kind.TRAIN, 0, 0, 2))
        zombie = crew.start(0, attempt=0)
        end = time.monotonic() + 60
        while alive(zombie) and time.monotonic() < end:
            check(crew, Plan(Kind.TRAIN, 0, 1, 2))
        assert not alive(zombie)


def test_errors_of_a_computation():
    """They arrive with their line, and the tasks stay."""
    with Crew(10, [[0], [1]]) as crew:
        with pytest.raises(ShardError, match=r"^non-finite loss at step 13 shard 1$"):
            crew.step(Plan(Kind.TRAIN, 0, 13, 20))
        with pytest.raises(ShardError, match=r"^shard 0: ZeroDivisionError: a bug\n") as error:
            crew.step(Plan(Kind.TRAIN, 0, 14, 20))
        assert "crew.py" in error.value.__notes__[0]
        check(crew, Plan(Kind.TRAIN, 0, 15, 20))
        assert crew.roster.lost == 0


def test_tasks_that_always_die(monkeypatch):
    monkeypatch.setattr(root, "ATTEMPTS", 3)
    with Crew(10, [[0]]) as crew:
        original = crew.assemble

        def assemble():
            original()
            crew.kill(0)

        crew.assemble = assemble
        with pytest.raises(EngineUnavailable, match="step 0 of epoch 0 broke 3 times"):
            crew.step(Plan(Kind.TRAIN, 0, 0, 1))


def test_memory_that_cannot_be_reached():
    """The keys agree, yet the path leads nowhere: TCP in place of shared memory."""
    with Crew(10, [[0], [1]]) as crew:
        crew.root._weights.path = "/proc/self/fd/999"
        check(crew, Plan(Kind.TRAIN, 0, 0, 2))
        assert [len(g.members) for g in crew.root._generation.groups] == [0, 1, 1]
        assert crew.root._number == 2  # one refusal speaks for its host
        check(crew, Plan(Kind.TRAIN, 0, 1, 2))


def test_weights_of_the_callers_are_taken_as_well():
    with Crew(10, [[0], [1]]) as crew:
        own = np.full(10, 0.5, np.float32)
        plan = Plan(Kind.TRAIN, 0, 0, 1)
        sums = crew.root.step(own, plan, crew.assemble)
        assert np.array_equal(sums.flat, expected(own, plan, 2).flat)


def test_members_end_with_their_driver():
    with Crew(10, [[0], [1]]) as crew:
        check(crew, Plan(Kind.TRAIN, 0, 0, 1))
        pids = list(crew.pids.values())
        crew.root.close()
        end = time.monotonic() + 60
        while any(map(alive, pids)) and time.monotonic() < end:
            time.sleep(0.01)
        assert not any(map(alive, pids))
    assert not list(Path("/dev/shm").glob("dpnn*"))


@pytest.mark.parametrize("num_shards", range(1, 40))
def test_schedules_need_few_rows(num_shards):
    plan = tree.schedule(range(num_shards), num_shards)
    assert len(plan.nodes) == 1
    assert plan.rows <= num_shards.bit_length() + 1


def test_shards_that_are_missing_are_noticed():
    schedules = [tree.schedule([0, 1], 4), tree.schedule([3], 4)]
    with pytest.raises(ValueError, match=r"\[\[0, 1\], \[3\]\] don't make up all of 0\.\.3"):
        tree.arrange(schedules, ["a", "b"], "a", 4, 2)
