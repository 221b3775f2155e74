"""NumPy arrays to shards, and what is refused."""

import numpy as np
import pytest

from dpnn.data.arrays import from_arrays
from dpnn.data.checks import DataError

X = np.arange(60, dtype=np.float64).reshape(20, 3)
Y = np.arange(20) % 4


def test_every_row_lands_in_one_shard():
    shards = from_arrays(X, Y, num_shards=3)
    assert len(shards) == 3
    rows = np.concatenate([s.x for s in shards])
    assert sorted(rows[:, 0].tolist()) == X[:, 0].tolist()
    assert all((s.x[:, 0] // 3 % 4 == s.y).all() for s in shards)
    assert all(sorted(s.order) == list(range(s.rows)) for s in shards)


def test_dtypes_stay_compact():
    (s,) = from_arrays(
        {"f": X, "u": X.astype(np.uint8), "b": X > 3, "h": X.astype(np.float16)}, Y, np.ones(20)
    )
    assert {k: v.dtype.name for k, v in s.x.items()} == {
        "f": "float32", "u": "uint8", "b": "uint8", "h": "float32",
    }  # fmt: skip
    assert s.y.dtype == Y.dtype
    assert s.w.dtype == np.float32
    assert {k: v.shape for k, v in s.x.items()} == dict.fromkeys("fubh", (20, 3))


def test_more_shards_than_rows_leaves_empty_ones():
    shards = from_arrays(X[:2], Y[:2], num_shards=8)
    assert sorted(s.rows for s in shards) == [0] * 6 + [1, 1]
    assert all(s.x.shape[1:] == (3,) for s in shards)


def test_big_endian_arrays_are_the_same_rows():
    (a,), (b,) = from_arrays(X, Y), from_arrays(X.astype(">f8"), Y.astype(">i4"))
    np.testing.assert_array_equal(a.order, b.order)
    assert b.y.dtype.isnative


def changed(array: np.ndarray, value: float) -> np.ndarray:
    array = array.astype(float)
    array[3] = value
    return array


@pytest.mark.parametrize(
    ("x", "y", "w", "told"),
    [
        (changed(X, np.nan), Y, None, r"X has 3 values that are NaN or infinite"),
        (changed(X, 1e300), Y, None, r"X has 3 values that are NaN or infinite \(as float32\)"),
        ({"a": X, "b": changed(X, np.inf)}, Y, None, r"X\['b'\] has 3 values"),
        (X, changed(Y, np.nan), None, r"y has 1 value that is NaN"),
        (X, Y + 1, None, r"y has 5 values that are no class number from 0 to 3, e.g. 4"),
        (X, Y - 1, None, r"no class number from 0 to 3, e.g. -1"),
        (X, Y + 0.5, None, r"y has 20 values that are no class number"),
        (X, Y, -np.ones(20), r"the weight array has 20 negative weights, e.g. -1"),
        (X, Y[:5], None, r"X has 20 rows, y has 5 rows"),
        (X[:0], Y[:0], None, r"the data has no rows"),
        ([[1], [1, 2]], Y, None, r"X is ragged"),
        (np.array(["a"] * 20), Y, None, r"X is <U1 of shape \(20,\): it must be an array of num"),
        (X, Y, np.ones((20, 2)), r"weight array has shape \(20, 2\)"),
    ],
)
def test_bad_arrays_are_named_with_their_numbers(x, y, w, told):
    with pytest.raises(DataError, match=told) as error:
        from_arrays(x, y, w, num_classes=4)
    assert "\n" not in str(error.value)
