"""Contract 3: every row once an epoch; and the gather."""

import numpy as np
import pytest

from dpnn.data.shards import Batches, Split, as_split, step_rows


def shard(n: int, inputs: bool = False) -> Split:
    rng = np.random.default_rng(n)
    x = rng.integers(0, 255, (n, 4)).astype(np.uint8)
    named = {"x.a": x, "x.b": x[:, 0].astype(np.float32)} if inputs else {"x": x}
    return as_split({**named, "y": np.arange(n), "w": np.ones(n, np.float32)}, rng.permutation(n))


@pytest.mark.parametrize("n", [0, 1, 7, 100])
@pytest.mark.parametrize("steps", [1, 3, 8])
def test_every_row_once_an_epoch(n, steps):
    batches = Batches(shard(n), seed=3, index=1)
    for epoch in range(2):
        drawn = [batches.rows(epoch, t, steps) for t in range(steps)]
        assert sorted(np.concatenate(drawn).tolist()) == list(range(n))
        assert max(map(len, drawn)) - min(map(len, drawn)) <= 1


def test_the_permutation_hangs_on_seed_epoch_and_shard_and_nothing_else():
    data = shard(50)
    first = Batches(data, 0, 0).rows(4, 0, 1)
    used = Batches(data, 0, 0)
    used.rows(3, 2, 5)
    np.testing.assert_array_equal(used.rows(4, 0, 1), first)
    np.testing.assert_array_equal(step_rows(data, 0, 4, 0, 0, 1), first)
    for seed, index, epoch in ((1, 0, 4), (0, 1, 4), (0, 0, 5)):
        assert (Batches(data, seed, index).rows(epoch, 0, 1) != first).any()


def test_rows_in_another_file_order_give_the_same_batches():
    data = shard(30)
    moved = np.random.default_rng(9).permutation(30)
    where = np.argsort(moved)
    other = Split(data.x[moved], data.y[moved], data.w[moved], where[data.order])
    a, b = Batches(data, 5, 2), Batches(other, 5, 2)
    for t in range(4):
        np.testing.assert_array_equal(a.take(a.rows(1, t, 4)).x, b.take(b.rows(1, t, 4)).x)
    np.testing.assert_array_equal(a.take(a.all_rows()).y, b.take(b.all_rows()).y)


def test_take_keeps_dtypes_and_reuses_its_buffers():
    data = shard(20, inputs=True)
    batches = Batches(data, 0, 0)
    large, small = np.array([3, 1, 7]), np.array([9, 2])
    first = batches.take(large)
    np.testing.assert_array_equal(first.x["a"], data.x["a"][large])
    second = batches.take(small)
    np.testing.assert_array_equal(second.y, data.y[small])
    assert second.x["a"].dtype == np.uint8
    assert second.x["b"].dtype == np.float32
    assert np.shares_memory(first.x["a"], second.x["a"])
    assert batches.take(np.empty(0, np.int64)).x["a"].shape == (0, 4)
