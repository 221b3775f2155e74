"""Exact sums, and all figures made of them: equal bits in whatever order and cut rows come."""

from math import fsum, inf

import numpy as np
import pytest

from dpnn import nn
from dpnn.nn.more import exact
from dpnn.nn.more.exact import ExactSums
from dpnn.nn.more.metrics import METRICS, Measures
from dpnn.nn.more.tail import Tail

RNG = np.random.default_rng(7)


def added(terms, cuts):
    """Sums of parts of the rows, each on its own, then merged."""
    total = ExactSums(terms.shape[1])
    for part in np.array_split(terms, cuts):
        sums = ExactSums(terms.shape[1])
        sums.add(0, part)
        total.merge(sums.pack())
    return total.rounded()


@pytest.mark.parametrize("spread", [0, 3, 40, 800])
def test_sums_are_the_float_next_to_the_true_one(spread):
    terms = np.ldexp(RNG.standard_normal((900, 3)), RNG.integers(-spread, spread + 1, (900, 3)))
    expected = [fsum(column) for column in terms.T]
    for cuts in (1, 2, 7, 900):
        assert added(RNG.permutation(terms), cuts).tolist() == expected
    assert terms.sum(axis=0).tolist() != expected  # what adding in turn makes of them


def test_terms_that_cancel_leave_what_is_small():
    terms = np.array([1e200, 3e-300, 1.0, -1e200, 5e-324, -1.0])
    assert added(terms[:, None], 3).tolist() == [3e-300 + 5e-324]


def test_more_rows_than_a_block_and_several_in_one():
    terms = RNG.standard_normal((40001, 2)) ** 3
    assert added(terms, 3).tolist() == [fsum(column) for column in terms.T]
    sums = ExactSums(5)
    sums.add(3, terms)
    assert sums.rounded()[:3].tolist() == [0, 0, 0]
    assert sums.rounded()[3:].tolist() == [fsum(column) for column in terms.T]


def test_parts_are_multiples_of_units_and_few_bits_wide():
    terms = np.ldexp(RNG.standard_normal(2000), RNG.integers(-60, 60, 2000))
    rest = terms
    for unit, part in exact.parts(terms):
        assert np.array_equal(part, np.rint(part / unit) * unit)
        assert np.abs(part).max() <= unit * 2**exact.STEP
        rest = rest - part
    assert not rest.any()


@pytest.mark.parametrize(
    ("terms", "expected"),
    [([1, inf, 2], inf), ([-inf, 5], -inf), ([inf, -inf, 1], None), ([np.nan, 1], None)],
)
def test_what_is_not_finite_shows(terms, expected):
    for order in (terms, terms[::-1]):  # without a warning
        found = added(np.array(order, float)[:, None], len(terms))
        assert found == [expected] if expected else np.isnan(found)


def test_what_is_not_finite_is_merged_beside_what_is():
    sums = exact.ExactSums(2)
    for terms in ([[np.inf, 1]], [[-np.inf, 2]], [[np.nan, 3]]):
        one = exact.ExactSums(2)
        one.add(0, np.array(terms))
        sums.merge(one.pack())
    first, second = sums.rounded()
    assert np.isnan(first)
    assert second == 6


def test_counts_of_weights():
    which, weights = RNG.integers(0, 5, 3000), RNG.random(3000) ** 9
    sums = ExactSums(7)
    for some in np.array_split(RNG.permutation(3000), 4):
        sums.count(2, 4, which[some], list(exact.parts(weights[some])))
    assert sums.rounded().tolist() == [0, 0, *(fsum(weights[which == k]) for k in range(4)), 0]


class Halved(nn.Loss):
    """An own loss around another."""

    loss: nn.Loss

    def __call__(self, z, y, w, ctx):
        value, dz = self.loss(z, y, w, ctx)
        return value / 2 + value / 3, dz * (1 / 2 + 1 / 3)


class Summed(nn.Loss):
    """An own loss that adds by itself: as it was, to rounding errors."""

    def __call__(self, z, y, w, ctx):
        return float(np.square(z - y).sum()), 2 * (z - y)


VALUES, YES = nn.MeanSquaredError(), nn.BinaryCrossEntropy()
CASES = {
    "values": (VALUES, (1,)),
    "outputs": (nn.Huber(0.5), (7,)),
    "many": (nn.MeanAbsoluteError(), (331,)),
    "counts": (nn.Poisson(), (1,)),
    "quantile": (nn.Quantile(0.8), (3,)),
    "scaled": (nn.Scaled(VALUES, 1e5), (2,)),
    "binary": (YES, (1,)),
    "labels": (YES, (5,)),
    "two": (nn.SoftmaxCrossEntropy(), (2,)),
    "classes": (nn.SoftmaxCrossEntropy(), (10,)),
    "places": (nn.SoftmaxCrossEntropy(label_smoothing=0.1), (6, 4)),
    "weighted": (nn.SoftmaxCrossEntropy(class_weights=(0.3, 7.0, 1.0)), (3,)),
    "members": (nn.EachMember(nn.SoftmaxCrossEntropy()), (3,)),
    "apart": (nn.EachMember(VALUES), (5, 2)),
    "own": (Halved(VALUES), (3,)),
}


def drawn(loss, shape, rows=407):
    """Outputs and targets of some rows, of all sizes."""
    z = (RNG.standard_normal((rows, *shape)) * RNG.gamma(1, 3, (rows, *[1] * len(shape)))).astype(
        np.float32
    )
    if loss.task == "classes":
        return z, RNG.integers(0, shape[-1], (rows, *shape[:-1]))
    if loss.task == "binary":
        return z, RNG.integers(0, 2, (rows, *shape)).astype(np.uint8)
    return z, RNG.gamma(1, 2, (rows, *shape[-1:])).astype(np.float32)


def figures(loss, z, y, w, order, cuts=1, batch=1000):
    """All figures of the rows in an order, in so many partitions; and their sums."""
    measures = Measures.of_rows(loss, z.shape[1:], many=True)
    total = measures.exact()
    for rows in np.array_split(order, cuts):
        sums = measures.exact()
        for start in range(0, len(rows), batch):
            some = rows[start : start + batch]
            measures.add_exactly(sums, z[some], y[some], None if w is None else w[some])
        total.merge(sums.pack())
    tail = Tail(total.rounded())
    return measures.figures(tail), tail


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_all_figures_whatever_the_order_and_the_batches(case, weights):
    loss, shape = CASES[case]
    z, y = drawn(loss, shape)
    w = RNG.gamma(0.5, 1, len(z)).astype(np.float32) if weights else None
    expected, tail = figures(loss, z, y, w, np.arange(len(z)))
    assert expected.keys() > {"loss"}
    for cuts, batch in ((1, 100), (3, 1), (20, 7)):
        found, other = figures(loss, z, y, w, RNG.permutation(len(z)), cuts, batch)
        assert repr(found) == repr(expected)  # NaN, too
        assert other.numbers.tobytes() == tail.numbers.tobytes()


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("case", [case for case in CASES if case != "apart"])
def test_figures_are_those_of_sums_in_turn_but_for_the_last_digits(case, weights):
    loss, shape = CASES[case]
    z, y = drawn(loss, shape)
    w = RNG.gamma(0.5, 1, len(z)).astype(np.float32) if weights else None
    measures, network = Measures.of_rows(loss, shape, many=True), nn.Network(nn.Layer(), shape)
    tail = measures.tail()
    measures.add(tail, network, z, y, w)
    found, _ = figures(loss, z, y, w, np.arange(len(z)))
    expected = measures.figures(tail)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5 if name == "loss" else 1e-10)


def test_the_loss_is_the_sum_of_the_rows_losses():
    z, y = drawn(VALUES, (2,))
    w = RNG.random(len(z)).astype(np.float32)
    _, tail = figures(VALUES, z, y, w, np.arange(len(z)))
    squares = np.square(z.astype(float) - y).sum(axis=1) * w / 2
    assert tail.loss == fsum(squares)
    assert tail.weight == tail.counted == fsum(w.tolist())


def test_sums_in_turn_depend_on_the_batches():
    """So the tests above can fail."""
    z, y = drawn(VALUES, (2,))
    measures, network = Measures.of_rows(VALUES, (2,)), nn.Network(nn.Layer(), (2,))
    tails = []
    for batch in (407, 50, 7):
        tails.append(measures.tail())
        for k in range(0, 407, batch):
            measures.add(tails[-1], network, z[k : k + batch], y[k : k + batch], None)
    assert len({tail.numbers.tobytes() for tail in tails}) == 3


def test_an_own_loss_that_adds_by_itself():
    z, y = drawn(VALUES, (2,))
    _, tail = figures(Summed(), z, y, None, np.arange(len(z)), cuts=2)
    assert tail.loss == pytest.approx(float(np.square(z.astype(float) - y).sum()))


def test_every_metric_was_met():
    met = {name for loss, shape in CASES.values() for name in _names(loss, shape)}
    assert met == {metric.name for metric in METRICS}


def _names(loss, shape):
    return [metric.name for metric in Measures.of_rows(loss, shape, many=True).metrics]
