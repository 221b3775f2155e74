"""The canonical sum tree: one order of additions, whoever makes them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpnn.engines.protocol import Sums
from dpnn.engines.sums import merge, root, total


def leaves(num_shards, seed=0):
    """Numbers whose sum hangs on the order: from 1e-6 to 1e6, both signs."""
    rng = np.random.default_rng(seed)
    flat = rng.standard_normal((num_shards, 64)) * 10.0 ** rng.integers(-6, 6, (num_shards, 64))
    tail = rng.standard_normal((num_shards, 3)) * 10.0 ** rng.integers(-12, 12, (num_shards, 3))
    return [Sums(f, t) for f, t in zip(flat.astype(np.float32), tail, strict=True)]


def by_definition(arrays):
    """Adjacent pairs, an odd one carried up, until one is left."""
    while len(arrays) > 1:
        pairs = [a + b for a, b in zip(arrays[::2], arrays[1::2], strict=False)]
        arrays = pairs + ([arrays[-1]] if len(arrays) % 2 else [])
    return arrays[0]


@pytest.mark.parametrize("num_shards", range(1, 34))
def test_total_is_the_definition(num_shards):
    parts = leaves(num_shards)
    flat = by_definition([p.flat.copy() for p in parts])
    tail = by_definition([p.tail.copy() for p in parts])
    found = total(parts)
    assert np.array_equal(found.flat, flat)
    assert np.array_equal(found.tail, tail)


def test_the_order_matters_at_all():
    """Otherwise the tests here could not fail."""
    straight = leaves(8)[0].flat
    for part in leaves(8)[1:]:
        straight = straight + part.flat
    assert not np.array_equal(straight, total(leaves(8)).flat)


@given(st.integers(1, 40), st.data())
def test_tasks_of_any_kind_give_the_same_bits(num_shards, data):
    """Whatever shards a task holds, and in whatever order its nodes arrive."""
    owner = data.draw(st.lists(st.integers(0, 4), min_size=num_shards, max_size=num_shards))
    parts, nodes = leaves(num_shards), {}
    for task in data.draw(st.permutations(sorted(set(owner)))):
        own = {(0, s): parts[s] for s in range(num_shards) if owner[s] == task}
        nodes.update(merge(own, num_shards))
    whole = merge(nodes, num_shards)
    assert set(whole) == {root(num_shards)}
    expected = total(leaves(num_shards))
    assert np.array_equal(whole[root(num_shards)].flat, expected.flat)
    assert np.array_equal(whole[root(num_shards)].tail, expected.tail)


def test_what_cannot_be_joined_stays():
    parts = leaves(5)
    left = merge({(0, s): parts[s] for s in (1, 2, 3, 4)}, 5)
    assert set(left) == {(0, 1), (1, 1), (2, 1)}  # shard 4 has no sibling: carried up
    assert merge({}, 5) == {}


def test_sums_without_gradients():
    found = total([Sums(None, np.array([1.0, 2.0])) for _ in range(3)])
    assert found.flat is None
    assert found.tail.tolist() == [3.0, 6.0]
