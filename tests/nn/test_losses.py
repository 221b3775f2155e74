"""Every loss of the table: value, gradient, row weights, dtypes, no mean over rows."""

import json

import numpy as np
import pytest

from dpnn import nn
from tests.nn.cases import LOSSES, LossCase, by_name

pytestmark = pytest.mark.parametrize("case", LOSSES, ids=by_name)


def network(case: LossCase, dtype: type = np.float64) -> nn.Network:
    return nn.Network(nn.Layer(), case.shape, dtype=dtype)


def test_value_is_a_weighted_sum(case: LossCase) -> None:
    z, y, w = case.draw(6)
    each = case.value(z, y) * (1 if case.row_weight is None else case.row_weight(y))
    net = network(case)
    assert net.loss(z, y, case.loss)[0] == pytest.approx(each.sum(), rel=1e-9)
    assert net.loss(z, y, case.loss, w)[0] == pytest.approx((w * each).sum(), rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_gradient(case: LossCase, weighted: bool) -> None:
    z, y, w = case.draw(4)
    worst = nn.gradient_check(Passing(), z, y, case.loss, w if weighted else None)
    assert worst < 1e-6


def test_row_weights_are_what_a_mean_divides_by(case: LossCase) -> None:
    _, y, w = case.draw(5)
    own = np.ones(5) if case.row_weight is None else case.row_weight(y)
    found = case.loss.row_weights(y, None)
    np.testing.assert_allclose(np.ones(5) if found is None else found, own)
    np.testing.assert_allclose(case.loss.row_weights(y, w), own * w, rtol=1e-6)


def test_rows_add_up(case: LossCase) -> None:
    """No 1/B anywhere: the sum over two parts is the sum over the whole, so is each gradient."""
    z, y, w = case.draw(7)
    whole, dz = network(case).loss(z, y, case.loss, w)
    parts = [
        (value, d.copy())
        for s in (slice(0, 2), slice(2, 7))
        for value, d in [network(case).loss(z[s], y[s], case.loss, w[s])]
    ]
    assert sum(value for value, _ in parts) == pytest.approx(whole, rel=1e-12)
    np.testing.assert_allclose(np.concatenate([d for _, d in parts]), dz, rtol=1e-12)


def test_zero_weight_is_no_row(case: LossCase) -> None:
    z, y, w = case.draw(5)
    w[2] = 0
    value, dz = network(case).loss(z, y, case.loss, w)
    assert not dz[2].any()
    assert value == pytest.approx(
        network(case).loss(*(np.delete(a, 2, 0) for a in (z, y)), case.loss, np.delete(w, 2))[0]
    )


def test_dtype_stays(case: LossCase) -> None:
    for dtype in (np.float32, np.float64):
        z, y, w = case.draw(5, dtype=dtype)
        value, dz = network(case, dtype).loss(z, y, case.loss, w)
        assert type(value) is float
        assert dz.dtype == dtype


def test_extreme_outputs_stay_finite(case: LossCase) -> None:
    z, y, w = case.draw(5, dtype=np.float32)
    z *= 20 if case.targets == "counts" else 1e4
    value, dz = network(case, np.float32).loss(z, y, case.loss, w)
    assert np.isfinite(value)
    assert np.isfinite(dz).all()


def test_no_rows(case: LossCase) -> None:
    z, y, w = case.draw(3)
    value, dz = network(case).loss(z[:0], y[:0], case.loss, w[:0])
    assert value == 0
    assert dz.shape == (0, *case.shape)


def test_inputs_are_left_alone(case: LossCase) -> None:
    z, y, w = case.draw(5)
    for a in (z, y, w):
        a.flags.writeable = False
    network(case).loss(z, y, case.loss, w)


def test_spec_round_trip(case: LossCase) -> None:
    assert nn.from_spec(json.loads(json.dumps(nn.to_spec(case.loss)))) == case.loss


class Passing(nn.Layer):
    """The identity, so that the loss alone is checked."""

    def forward(self, p, x, ctx):
        return x, None

    def backward(self, p, g, cache, dy, ctx):
        return dy


def test_prediction_is_what_outputs_say_of_targets(case: LossCase) -> None:
    z = case.draw(6)[0].astype(np.float32)
    z.flags.writeable = False
    found = case.loss.prediction(z)
    assert found.dtype == np.float32
    wide = z.astype(np.float64)
    if case.loss.task == "classes":
        right = np.exp(wide) / np.exp(wide).sum(axis=-1, keepdims=True)
    elif case.loss.task == "binary":
        right = 1 / (1 + np.exp(-wide))
    else:
        right = np.exp(wide) if isinstance(case.loss, nn.Poisson) else wide
    np.testing.assert_allclose(found, right, rtol=1e-5)
