"""Where a row goes hangs on its content alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpnn.data.placement import add_checksums, checksum, content_order, place, row_hashes


def rows(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "x.num": rng.normal(size=(n, 3)).astype(np.float32),
        "x.id": rng.integers(0, 1000, n),
        "y": rng.integers(0, 10, n).astype(np.int16),
    }


def taken(arrays: dict[str, np.ndarray], index: np.ndarray) -> dict[str, np.ndarray]:
    return {name: array[index] for name, array in arrays.items()}


def shard_contents(arrays, hashes, shards, num_shards):
    """The rows of each shard in content order."""
    cut = []
    for s in range(num_shards):
        mine = np.flatnonzero(shards == s)
        cut.append(taken(arrays, mine[content_order(hashes[mine])]))
    return cut


@settings(max_examples=30)
@given(n=st.integers(1, 200), num_shards=st.integers(1, 9), seed=st.integers(0, 99), data=st.data())
def test_same_rows_same_shards_in_any_order_and_any_batches(n, num_shards, seed, data):
    arrays = rows(n, seed)
    hashes = row_hashes(arrays)
    assert len(np.unique(hashes)) == n
    expected = shard_contents(arrays, hashes, place(hashes, num_shards), num_shards)

    order = np.random.default_rng(seed + 1).permutation(n)
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=4)))
    batches = np.split(order, cuts)
    placed = [place(row_hashes(taken(arrays, b)), num_shards) for b in batches if len(b)]
    shuffled = taken(arrays, order)
    found = shard_contents(shuffled, hashes[order], np.concatenate(placed), num_shards)
    assert sum(len(part["y"]) for part in found) == n
    for a, b in zip(expected, found, strict=True):
        for name in arrays:
            np.testing.assert_array_equal(a[name], b[name])


def test_the_hash_reads_values_not_widths():
    narrow = {"x": np.array([[1, -2], [3, 4]], np.int8)}
    wide = {"x": np.array([[1, -2], [3, 4]], np.int64)}
    np.testing.assert_array_equal(row_hashes(narrow), row_hashes(wide))


def test_the_hash_tells_names_positions_and_the_order_of_values():
    a = row_hashes({"x": np.array([[1, 2]]), "y": np.array([3])})
    for other in (
        {"x": np.array([[2, 1]]), "y": np.array([3])},
        {"x": np.array([[1, 3]]), "y": np.array([2])},
        {"x": np.array([[1.0, 2.0]], np.float32), "y": np.array([3])},
    ):
        assert row_hashes(other) != a
    assert row_hashes({"y": np.array([3]), "x": np.array([[1, 2]])}) == a


def test_round_floats_do_not_collide():
    bits = np.random.default_rng(0).integers(0, 2, (400_000, 60), np.int8)  # no two rows alike
    hashes = row_hashes({"x": (2 * bits).astype(np.float32)})  # 2.0 is 2^30 as bits
    assert len(np.unique(hashes)) == len(hashes)


def test_shards_are_balanced():
    counts = np.bincount(place(row_hashes(rows(20_000)), 8), minlength=8)
    assert counts.min() > 0.9 * 2_500
    assert counts.max() < 1.1 * 2_500


def test_copies_stay_together_however_many_and_however_cut():
    """Categories make few different rows: their shards must not hang on the batches either."""
    arrays = {"x": np.repeat(np.arange(9).reshape(-1, 1), 300, axis=0)}
    hashes = row_hashes(arrays)
    whole = place(hashes, 4)
    parts = [place(part, 4) for part in np.array_split(hashes, 7)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert all(len(set(whole[i * 300 : (i + 1) * 300])) == 1 for i in range(9))


def test_checksum_is_the_sum_over_any_pieces():
    hashes = row_hashes(rows(100))
    assert checksum(hashes[::-1]) == checksum(hashes)
    assert add_checksums(checksum(hashes[:30]), checksum(hashes[30:])) == checksum(hashes)
    assert checksum(hashes[1:]) != checksum(hashes)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_nothing_hashes_to_nothing(shape):
    hashes = row_hashes({"x": np.empty(shape, np.float32)})
    assert len(hashes) == shape[0]
    assert len(place(hashes, 3)) == shape[0]


@pytest.mark.parametrize("rows", [0, 1, 2, 1000])
@pytest.mark.parametrize("alike", [1, 4, 10**6])
def test_content_order_is_that_of_all_bits(monkeypatch, rows, alike):
    """Also of hashes that begin alike, few or many, and of copies."""
    monkeypatch.setattr("dpnn.data.placement._RUNS", 300)
    rng = np.random.default_rng(rows)
    hashes = rng.integers(0, 2**64, rows, np.uint64)
    hashes[::alike] &= np.uint64(0xFFF)
    hashes[rows // 2 :: alike] = hashes[: len(hashes[rows // 2 :: alike])]
    assert np.array_equal(content_order(hashes), np.argsort(hashes, kind="stable"))
