"""Raw columns: the same encoding whatever type, chunking or number of shards the rows came in."""

import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from dpnn.data.checks import DataError
from dpnn.data.encoders.encoders import Encoders
from dpnn.data.encoders.findings import NUMBERS, SAMPLE, find
from dpnn.data.encoders.learning import learn
from dpnn.data.encoders.raw import MISSING, read
from dpnn.data.encoders.wishes import Category, Date, Number, Wishes, columns
from dpnn.data.placement import row_hashes


def learned(table, wishes, shards=1):
    raw, problems = read(table, wishes)
    assert not problems
    hashes = row_hashes({"n": np.nan_to_num(raw.numbers), "c": raw.categories})
    found = None
    for shard in range(shards):
        mine = np.flatnonzero(hashes % shards == shard)
        mine = mine[np.argsort(hashes[mine], kind="stable")]
        part = find(
            hashes[mine],
            raw.numbers[mine],
            raw.categories[mine],
            raw.texts,
            widths=raw.widths,
            stamps=raw.stamps,
        )
        found = part if found is None else found.add(part)
    return learn(wishes, found), raw


def test_robust_scale_and_smooth_clip():
    x = np.arange(101.0)
    encoders, raw = learned({"x": pa.array(x)}, columns(numeric=["x"]))
    y = (x - 50) / 50
    expected = (y / np.sqrt(1 + (y / 3) ** 2)).astype(np.float32)
    np.testing.assert_array_equal(encoders.encode(raw)["numbers"][:, 0], expected)
    far, _ = read({"x": pa.array([1e30])}, encoders.wishes)
    assert encoders.encode(far)["numbers"][0, 0] == pytest.approx(3)


def test_a_narrow_middle_takes_half_the_range_and_a_constant_becomes_zero():
    x = np.r_[np.zeros(98), -10.0, 30.0]
    encoders, _ = learned({"x": pa.array(x), "k": pa.array(np.full(100, 7.0))}, columns(["x", "k"]))
    assert encoders.numbers[0].scale == 1 / 20
    raw, _ = read({"x": pa.array([0.0]), "k": pa.array([7.0])}, encoders.wishes)
    np.testing.assert_array_equal(encoders.encode(raw)["numbers"], [[0, 0]])


def test_standard_and_quantile_scales():
    x = np.exp(np.random.default_rng(0).normal(size=5000))
    wishes = Wishes((Number("s", "standard", clip=False), Number("q", "quantile")))
    encoders, raw = learned({"s": pa.array(x), "q": pa.array(x)}, wishes, shards=3)
    numbers = encoders.encode(raw)["numbers"]
    np.testing.assert_allclose(numbers[:, 0], (x - x.mean()) / x.std(), rtol=1e-5, atol=1e-6)
    ranks = np.argsort(np.argsort(x)) / (len(x) - 1)
    inside = (ranks > 0.01) & (ranks < 0.99)
    from statistics import NormalDist

    scores = np.array([NormalDist().inv_cdf(r) for r in ranks[inside]])
    np.testing.assert_allclose(numbers[inside, 1], scores, atol=0.05)


def test_zero_is_not_missing_and_null_and_nan_are():
    table = {"x": pa.array([0.0, None, float("nan"), 4.0, 8.0])}
    encoders, raw = learned(table, columns(numeric=["x"]))
    assert encoders.number_names == ["x", "x missing"]
    numbers = encoders.encode(raw)["numbers"]
    np.testing.assert_array_equal(numbers[:, 1], [0, 1, 1, 0, 0])
    np.testing.assert_array_equal(numbers[1:3, 0], 0)
    assert numbers[0, 0] < 0  # below the median, 4


def test_infinity_is_a_problem_with_its_count():
    _, problems = read({"x": pa.array([1.0, np.inf, -np.inf])}, columns(numeric=["x"]))
    assert [(p.kind, p.where, p.count) for p in problems] == [("infinite", "column 'x'", 2)]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([7, 8, None, 7], pa.int32()),
        pa.array([7.0, 8.0, float("nan"), 7.0]),
        pa.array(["7", "8", None, "7"]),
        pa.array([Decimal("7.00"), Decimal("8.00"), None, Decimal("7.00")]),
        pa.array(["7", "8", None, "7"]).dictionary_encode(),
        pa.chunked_array([["7", "8"], [None, "7"]]),
    ],
    ids=["int", "double", "string", "decimal", "dictionary", "chunks"],
)
def test_a_category_is_its_text_whatever_type_it_comes_in(values):
    encoders, _ = learned({"c": pa.array(["7", "7", "8", None])}, columns(categorical=["c"]))
    raw, _ = read({"c": values}, encoders.wishes)
    np.testing.assert_array_equal(encoders.encode(raw)["categories"][:, 0], [2, 3, 0, 2])


def test_unseen_missing_rare_and_too_many():
    letters = ["a"] * 5 + ["b"] * 3 + ["c"] * 2 + ["d"]
    wishes = Wishes(categories=(Category("c", least=2, most=2),))
    encoders, _ = learned({"c": pa.array(letters)}, wishes)
    assert encoders.categories[0].values == ("a", "b")
    raw, _ = read({"c": pa.array(["a", "b", "c", "d", "z", None])}, wishes)
    np.testing.assert_array_equal(encoders.encode(raw)["categories"][:, 0], [2, 3, 1, 1, 1, 0])
    assert encoders.sizes == {"c": 4}


def test_ties_in_frequency_go_by_name_and_booleans_are_categories():
    encoders, _ = learned({"c": pa.array([True, False])}, columns(categorical=["c"]))
    assert encoders.categories[0].values == ("false", "true")


def test_buckets_keep_no_values():
    wishes = Wishes(categories=(Category("c", buckets=10),))
    table = {"c": pa.array([f"id {i}" for i in range(1000)] + [None])}
    encoders, raw = learned(table, wishes)
    codes = encoders.encode(raw)["categories"][:, 0]
    assert encoders.categories[0].values == ()
    assert encoders.sizes == {"c": 12}
    assert set(codes[:-1].tolist()) == set(range(2, 12))
    assert codes[-1] == 0


def test_dates_and_timestamps_turn():
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(15)]
    stamps = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=6 * i) for i in range(15)]
    wishes = columns(date=[Date("d", "none"), "t"])
    table = {"d": pa.array(days), "t": pa.array(stamps, pa.timestamp("us"))}
    encoders, raw = learned(table, wishes)
    names, numbers = encoders.number_names, encoders.encode(raw)["numbers"]
    assert names[:5] == ["d", "d week sin", "d week cos", "d year sin", "d year cos"]
    assert "t day cos" in names
    week = numbers[:, names.index("d week sin")]
    np.testing.assert_allclose(week[:8], week[7:15], atol=1e-6)
    noon = numbers[:, names.index("t day cos")]
    np.testing.assert_allclose(noon[:4], [1, 0, -1, 0], atol=1e-6)
    assert numbers[1, 0] - numbers[0, 0] == 1


def test_arrays_are_numbers_of_their_own():
    table = {"v": pa.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])}
    encoders, raw = learned(table, columns(numeric=["v"], clip=False))
    assert encoders.number_names == ["v[0]", "v[1]"]
    np.testing.assert_array_equal(encoders.encode(raw)["numbers"][1], [0, 0])
    with pytest.raises(DataError, match="'v' has rows of 1 and of 2 values"):
        read({"v": pa.array([[1.0], [2.0, 3.0]])}, encoders.wishes)


def test_the_same_encoders_however_the_rows_are_cut():
    rng = np.random.default_rng(1)
    table = {
        "x": pa.array(rng.normal(size=3000), mask=rng.random(3000) < 0.1),
        "c": pa.array(rng.integers(0, 50, 3000)),
    }
    wishes = Wishes((Number("x"),), (Category("c", most=20),))
    one, five = (learned(table, wishes, shards)[0] for shards in (1, 5))
    assert one == five


def test_a_sample_larger_than_the_bound_is_that_of_the_smallest_hashes():
    x = np.random.default_rng(2).normal(size=3 * SAMPLE)
    encoders, _ = learned({"x": pa.array(x)}, columns(numeric=["x"]), shards=4)
    assert encoders.numbers[0].center == pytest.approx(np.median(x), abs=0.02)


def test_json_gives_the_same_encoders_back():
    table = {
        "x": pa.array([1.0, None, 3.0]),
        "q": pa.array(np.arange(3.0)),
        "c": pa.array(["é", "b", None]),
        "d": pa.array([dt.date(2024, 1, 1)] * 3),
    }
    wishes = Wishes((Number("x"), Number("q", "quantile")), (Category("c"),), (Date("d"),))
    encoders, raw = learned(table, wishes)
    again = Encoders.from_json(json.loads(json.dumps(encoders.as_json())))
    assert again == encoders
    for name, array in encoders.encode(raw).items():
        np.testing.assert_array_equal(again.encode(raw)[name], array)


def test_rows_are_encoded_alike_alone_and_together():
    rng = np.random.default_rng(3)
    stamps = [
        dt.datetime(2024, 1, 1) + dt.timedelta(seconds=int(s)) for s in rng.integers(0, 1e8, 999)
    ]
    table = {"x": pa.array(rng.normal(size=999)), "t": pa.array(stamps, pa.timestamp("us"))}
    encoders, raw = learned(table, columns(numeric=["x"], date=["t"]))
    whole = encoders.encode(raw)["numbers"]
    for row in (0, 17, 998):
        some, _ = read(
            {name: column.slice(row, 1) for name, column in table.items()}, encoders.wishes
        )
        np.testing.assert_array_equal(encoders.encode(some)["numbers"], whole[row : row + 1])


def test_what_cannot_be_is_one_line():
    with pytest.raises(ValueError, match="column 'a' is named twice"):
        columns(numeric=["a"], categorical=["a"])
    with pytest.raises(ValueError, match="scale is one of"):
        columns(numeric=["a"], scale="log")
    with pytest.raises(ValueError, match="most is at least 1"):
        Category("a", most=0)
    with pytest.raises(DataError, match="'s' is string, not numbers: name it under categorical"):
        read({"s": pa.array(["x"])}, columns(numeric=["s"]))
    with pytest.raises(DataError, match="'x' is missing in all 2 training rows: leave it out"):
        learned({"x": pa.array([None, None], pa.float64())}, columns(numeric=["x"]))
    with pytest.raises(DataError, match="'c' is missing in all 2 training rows: leave it out"):
        learned({"c": pa.array([None, None], pa.string())}, columns(categorical=["c"]))


def test_the_sample_of_a_wide_table_is_small():
    hashes = np.arange(700, dtype=np.uint64)[::-1].copy()
    numbers = np.broadcast_to(np.arange(700.0)[:, None], (700, 1 << 15))
    found = find(hashes, numbers, np.empty((700, 0), np.int64), [])
    assert found.sample.size == NUMBERS
    np.testing.assert_array_equal(found.sample[:, 0], np.arange(699.0, 187.0, -1))


def test_places_among_the_edges():
    encoders, raw = learned({"x": pa.array([0.0, 1.0, 4.0, None])}, columns(numeric=["x"]))
    assert encoders.numbers[0].edges == (0.0, 1.0, 4.0)
    np.testing.assert_array_equal(encoders.encode(raw)["places"][:, 0], [0, 1, 2, 0])
    other, _ = read({"x": pa.array([-9.0, 0.25, 2.5, 99.0])}, encoders.wishes)
    np.testing.assert_array_equal(encoders.encode(other)["places"][:, 0], [0, 0.25, 1.5, 2])


def test_a_value_that_is_nearly_always_there_takes_one_bin():
    x = np.r_[np.zeros(9000), np.arange(1, 1001.0)]
    encoders, _ = learned({"x": pa.array(x)}, Wishes((Number("x", bins=11),)))
    edges = np.array(encoders.numbers[0].edges)
    assert edges[0] == 0
    assert edges[-1] == 1000
    assert len(edges) >= 10
    np.testing.assert_allclose(np.diff(edges)[1:-1], 100, rtol=0.05)


def test_missing_is_never_a_hash():
    raw, _ = read({"c": pa.array(["", None])}, columns(categorical=["c"]))
    assert raw.categories[0, 0] != MISSING == raw.categories[1, 0]
