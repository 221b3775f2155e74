"""Every kernel against its plain definition, over drawn shapes, in float64 and float32."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpnn import nn
from dpnn.nn.kernels import attention, memory, probability, products, random, sums, tables
from dpnn.nn.kernels.convolution import (
    Grid,
    convolve,
    convolve_dw,
    convolve_dx,
    plain_convolve,
    plain_convolve_dw,
    plain_convolve_dx,
)
from dpnn.nn.kernels.memory import BLOCK, Buffers
from dpnn.nn.kernels.recurrence import plain_scan, scan

drawn = settings(max_examples=40)
SIZES, SEEDS = st.integers(1, 40), st.integers(0, 1000)
ROWS = st.sampled_from([0, 1, 2, 7, 64, 1000, 1024, 3072, 5000])


def normal(seed: int, *shape: int, dtype: Any = np.float64) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def buffers(dtype: Any = np.float64) -> Buffers:
    return Buffers(np, np.dtype(dtype))


@drawn
@given(ROWS, SIZES, SEEDS)
def test_sums_and_means_of_rows(rows: int, channels: int, seed: int) -> None:
    x = normal(seed, rows, channels)
    found = sums.sum_rows(x, np.full(channels, np.nan))
    np.testing.assert_allclose(found, sums.plain_sum_rows(x, np.empty(channels)), atol=1e-9)
    if rows:
        np.testing.assert_allclose(sums.mean_rows(x), sums.plain_mean_rows(x), atol=1e-12)


@pytest.mark.parametrize("shape", [(0, 3), (300, 1), (300, 2), (20, 40, 7), (300, 8), (5, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns_joined_have_the_bits_of_numpy(shape, dtype):
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    np.testing.assert_array_equal(sums.max_columns(x), x.max(axis=-1, keepdims=True))
    np.testing.assert_array_equal(sums.add_columns(x), x.sum(axis=-1, keepdims=True))
    assert sums.max_columns(x).shape == (*shape[:-1], 1)
    if x.size:
        x.reshape(-1)[-1] = np.nan
        assert np.isnan(sums.max_columns(x).reshape(-1)[-1])


@drawn
@given(ROWS, SIZES, SEEDS)
def test_means_of_columns(rows: int, channels: int, seed: int) -> None:
    x, weights = normal(seed, rows, channels), normal(seed, channels)
    for given_ in ((), (weights,)):
        expected = sums.plain_mean_columns(x, *given_)
        np.testing.assert_allclose(sums.mean_columns(x, *given_), expected, atol=1e-12)


@drawn
@given(ROWS, SIZES, SEEDS)
def test_over_rows(rows: int, channels: int, seed: int) -> None:
    x, v = normal(seed, rows, channels), normal(seed + 1, channels)
    for f in (np.add, np.subtract, np.multiply):
        expected = sums.plain_over_rows(f, x, v, np.empty_like(x))
        np.testing.assert_array_equal(sums.over_rows(f, x, v, np.empty_like(x)), expected)
        np.testing.assert_array_equal(sums.over_rows(f, x.copy(), v, x.copy()), expected)


@drawn
@given(st.sampled_from([1, 8, 30, 400, 3000, 4096]), SIZES, SIZES, SEEDS)
def test_products_in_parts(rows: int, inner: int, outer: int, seed: int) -> None:
    a, b = normal(seed, rows, inner), normal(seed + 1, inner, outer)
    out = np.full((rows, 2, outer), np.nan)[:, 1]
    products.matmul_by_rows(a, b, out, buffers())
    np.testing.assert_allclose(out, a @ b, atol=1e-10)
    c, total = normal(seed + 2, rows, outer), normal(seed, inner, outer)
    expected = total + a.T @ c
    products.add_matmul_over_rows(a, c, total, buffers())
    np.testing.assert_allclose(total, expected, atol=1e-9)


def test_products_are_cut_where_they_are_large() -> None:
    assert products.parts(np, 4096, 400, 8) > 1
    assert products.parts(np, 4096, 10, 8) == 1
    assert products.parts(SimpleNamespace(), 4096, 400, 8) == 1  # a GPU takes all at once


@drawn
@given(st.integers(0, 4), SIZES, SIZES, SIZES, SEEDS)
def test_products_with_the_transposed(n: int, a: int, b: int, c: int, seed: int) -> None:
    left, right = normal(seed, n, 2, a, c), normal(seed + 1, n, 2, b, c)
    out = products.matmul_transposed(left, right, np.empty((n, 2, a, b)), buffers())
    np.testing.assert_allclose(out, left @ right.swapaxes(2, 3), atol=1e-10)


@drawn
@given(st.integers(0, 50), SIZES, SEEDS)
def test_sigmoid_and_softmax(rows: int, classes: int, seed: int) -> None:
    x, dy = 30 * normal(seed, rows, classes), normal(seed + 1, rows, classes)
    expected = probability.plain_sigmoid(x)
    np.testing.assert_allclose(probability.sigmoid(x, np.empty_like(x)), expected, rtol=1e-13)
    y = probability.plain_softmax(x)
    np.testing.assert_allclose(probability.softmax(x.copy()), y, rtol=1e-13)
    expected = probability.plain_softmax_backward(y, dy)
    np.testing.assert_allclose(probability.softmax_backward(y, dy.copy()), expected, atol=1e-13)


def test_sigmoid_may_stand_in_its_input_and_nothing_warns() -> None:
    x = np.array([-1e4, -800.0, 0.0, 800.0, 1e4])
    assert probability.sigmoid(x, x).tolist() == [0, 0, 0.5, 1, 1]


@drawn
@given(st.integers(0, 50), st.integers(2, 40), st.sampled_from([0.0, 0.1, 0.9]), SEEDS)
def test_cross_entropy(rows: int, classes: int, smooth: float, seed: int) -> None:
    z = 5 * normal(seed, rows, classes)
    right = np.random.default_rng(seed).integers(0, classes, rows)
    dz, expected_dz = np.empty_like(z), np.empty_like(z)
    found = probability.cross_entropy(z, right, smooth, dz)
    expected = probability.plain_cross_entropy(z, right, smooth, expected_dz)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(dz, expected_dz, atol=1e-13)


@drawn
@given(st.integers(0, 50), st.sampled_from([0.0, 0.3, 1.0]), SEEDS)
def test_logistic_error(rows: int, target: float, seed: int) -> None:
    z, y = 30 * normal(seed, rows), np.full(rows, target)
    expected = probability.plain_logistic_error(z, y)
    np.testing.assert_allclose(probability.logistic_error(z, y), expected, rtol=1e-12)


@drawn
@given(st.integers(1, 30), SIZES, ROWS, SEEDS)
def test_scatter_add(words: int, width: int, rows: int, seed: int) -> None:
    ids = np.random.default_rng(seed).integers(0, words, rows)
    found, added = normal(seed, words, width), normal(seed + 1, rows, width)
    expected = found.copy()
    tables.scatter_add(found, ids, added)
    tables.plain_scatter_add(expected, ids, added)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_scatter_add_of_more_than_a_block() -> None:
    ids, rows = np.arange(BLOCK) % 3, np.ones((BLOCK, 2))
    found = np.zeros((3, 2))
    tables.scatter_add(found, ids, rows)
    assert found[:, 0].tolist() == [21846, 21845, 21845]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("mask", [random.keep_mask, random.plain_keep_mask])
def test_masks_keep_their_share(rate: float, mask: Any) -> None:
    out = mask(random.keyed((1, 2), "Dropout"), rate, np.empty((501, 401)))
    assert set(np.unique(out)) == {0, out.max()}
    assert out.max() == pytest.approx(1 / (1 - rate), rel=1e-3)
    assert (out > 0).mean() == pytest.approx(1 - rate, abs=5e-3)


PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=80)
@given(
    st.integers(0, 3),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    PAIR,
    PAIR,
    PAIR,
    st.sampled_from(["valid", "same"]),
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    SEEDS,
)
def test_convolution_is_the_one_tap_by_tap(
    rows: int,
    size: tuple[int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilation: tuple[int, int],
    padding: str,
    channels: tuple[int, int, int],
    seed: int,
) -> None:
    groups, inner, outer = channels
    grid = Grid.of(size, kernel, strides, dilation, padding, groups)
    if min(grid.counts) < 1:
        return
    x, w = normal(seed, rows, *size, groups * inner), normal(seed, *kernel, inner, groups * outer)
    y = np.full((rows, *grid.counts.tolist(), groups * outer), np.nan)
    expected, dy = y.copy(), normal(seed + 1, *y.shape)
    windows = convolve(x, w, grid, y, buffers())
    plain_convolve(x, w, grid, expected, buffers())
    np.testing.assert_allclose(y, expected, atol=1e-11)
    dw, expected = np.full(w.shape, np.nan), np.full(w.shape, np.nan)
    convolve_dw(windows, dy, dw, buffers())
    plain_convolve_dw(x, dy, grid, expected, buffers())
    np.testing.assert_allclose(dw, expected, atol=1e-10)
    dx, expected = np.full(x.shape, np.nan), np.full(x.shape, np.nan)
    convolve_dx(dy, w, grid, dx, buffers())
    plain_convolve_dx(dy, w, grid, expected, buffers())
    np.testing.assert_allclose(dx, expected, atol=1e-11)


@drawn
@given(
    st.sampled_from([nn.LSTM, nn.GRU]),
    st.integers(0, 9),
    st.integers(1, 6),
    st.integers(1, 5),
    st.sampled_from([1, 3, 64, 128]),
    SEEDS,
)
def test_scan_is_one_time_after_the_other(
    cell: Any, batch: int, time: int, size: int, units: int, seed: int
) -> None:
    net = cell(units).build((time, size), seed, np.float64)
    net.weights += 0.1 * normal(seed, net.weights.size)
    x, p = normal(seed, batch, time, size), net.parameters
    found, _ = scan(net.layer, p, x, buffers())
    np.testing.assert_allclose(found, plain_scan(net.layer, p, x, buffers()), atol=1e-12)


@drawn
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 9), st.booleans(), SEEDS)
def test_attention_is_head_by_head(
    batch: int, heads: int, time: int, causal: bool, seed: int
) -> None:
    depth = 4
    q, k, v = normal(seed, 3, batch, heads, time, depth)
    tokens = np.random.default_rng(seed).integers(0, 2, (batch, time))
    scores = q @ k.swapaxes(2, 3) * depth**-0.5
    shown = attention.hide(scores, causal, tokens, slice(None))
    found = probability.softmax(scores) * shown @ v
    expected = attention.plain_attention(q, k, v, causal, tokens)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_blocks_meet_every_number_once(size: int) -> None:
    x, seen = np.arange(size), np.zeros(size, int)
    for part, mark in memory.in_blocks(np, x, seen):
        assert part.size <= BLOCK
        mark += 1
    assert (seen == 1).all()
    starts = [some.start for some in memory.blocks(np, slice(3, 3 + size))]
    assert starts == list(range(3, 3 + size, BLOCK))


def test_spans_of_factors() -> None:
    rows = [(0, 4, 1.0), (4, 6, 1.0), (6, 9, 0.5), (9, 12, 0.0), (12, 14, 1.0)]
    joined = list(memory.spans(memory.joined(rows)))
    assert joined == [
        (slice(0, 6), 1.0),
        (slice(6, 9), 0.5),
        (slice(12, 14), 1.0),
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_buffers_are_reused(dtype: Any) -> None:
    memory_ = buffers(dtype)
    big = memory_.empty("a", (6, 5))
    assert np.shares_memory(big, memory_.empty("a", (2, 3)))
    assert not np.shares_memory(big, memory_.empty("b", (6, 5)))
    assert memory_.floats(big) is big
    assert memory_.floats(np.arange(3)).dtype == dtype
