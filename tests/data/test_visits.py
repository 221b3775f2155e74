"""The order of an epoch: of rows, and of runs of them where they are many bytes."""

import mmap
import tempfile
from itertools import pairwise

import numpy as np
import pytest

from dpnn.data import visits
from dpnn.data.paging import fetch
from dpnn.data.shards import Batches, as_split
from dpnn.data.visits import ByRow, ByRun, Visit


@pytest.fixture
def small_runs(monkeypatch):
    monkeypatch.setattr(visits, "LARGE", 400)
    monkeypatch.setattr(visits, "RUN", 40)
    monkeypatch.setattr(visits, "MIXED", 3)


@pytest.mark.parametrize("rows", [0, 1, 9, 30, 31, 299, 300, 301])
@pytest.mark.parametrize("steps", [1, 4, 77])
def test_every_row_once_an_epoch(small_runs, rows, steps):
    order = ByRun(Visit(3, 1, 0), rows, 4)
    cut = [step * rows // steps for step in range(steps + 1)]
    drawn = [order.places(a, b) for a, b in pairwise(cut)]
    assert [len(some) for some in drawn] == np.diff(cut).tolist()
    assert sorted(np.concatenate(drawn)) == list(range(rows))


def test_a_group_is_of_whole_runs_and_mixed(small_runs):
    first = ByRun(Visit(0, 0, 0), 300, 4).places(0, 30)
    runs, counts = np.unique(first // 10, return_counts=True)
    assert counts.tolist() == [10, 10, 10]
    assert runs.tolist() != [0, 1, 2]
    assert (np.diff(first // 10) != 0).sum() > 10  # in turn
    assert (first != ByRun(Visit(0, 1, 0), 300, 4).places(0, 30)).any()


def test_a_step_hangs_on_its_numbers_and_not_on_those_before_it(small_runs):
    order = ByRun(Visit(0, 2, 1), 300, 4)
    for start, stop in ((0, 20), (100, 200), (25, 35)):
        alone = ByRun(Visit(0, 2, 1), 300, 4).places(start, stop)
        assert order.places(start, stop).tolist() == alone.tolist()


def test_what_is_to_be_read_is_told_once_and_before_it_is_needed(small_runs):
    order = ByRun(Visit(0, 0, 0), 95, 4)
    told: list[int] = []
    for start in range(0, 95, 5):
        told += [place for span in order.ahead(start, start + 5) for place in range(*span)]
        assert set(order.places(start, start + 5)) <= set(told)
    assert sorted(told) == list(range(95))


def test_bytes_and_nothing_else_choose(small_runs):
    assert isinstance(visits.visits(Visit(0, 0, 0), 99, 4), ByRow)
    assert isinstance(visits.visits(Visit(0, 0, 0), 100, 4), ByRun)


def test_batches_are_the_same_wherever_the_rows_lie(small_runs):
    """Mapped from a file in order of content, or in memory as they came."""
    rng = np.random.default_rng(0)
    x, order = rng.random((200, 1), np.float32), rng.permutation(200)
    with tempfile.TemporaryFile() as file:
        x[order].tofile(file)
        file.flush()
        mapped = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.float32)
    here = Batches(as_split({"x": x}, order), 0, 0)
    there = Batches(as_split({"x": mapped.reshape(-1, 1)}, np.arange(200)), 0, 0)
    assert here.split.row_bytes == 4
    for step in range(7):
        a, b = (some.take(some.rows(1, step, 7)).x for some in (here, there))
        assert a.tolist() == b.tolist()


def test_fetch_takes_any_rows_of_any_array():
    with tempfile.TemporaryFile() as file:
        np.arange(100_000, dtype=np.int64).tofile(file)
        file.flush()
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    mapped = np.frombuffer(pages, np.int64).reshape(-1, 4)
    fetch(mapped[3:], [(0, 5), (20_000, len(mapped) - 3)])
    fetch(np.zeros((3, 2)), [(0, 3)])
