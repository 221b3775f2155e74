"""Passes of too few rows, and weights too small, are refused with the numbers and a cure."""

import re

import numpy as np
import pytest

from dpnn import Trainer, nn

RNG = np.random.default_rng(0)
X = RNG.standard_normal((400, 6)).astype(np.float32)
Y = (X.sum(axis=1) > 0).astype(np.int32)
NORMED = nn.Sequential(nn.Dense(8), nn.BatchNorm(), nn.Dense(2))


def fit(num_shards, model=NORMED, data=(X, Y), **changes):
    settings = {"batch_size": 32, "epochs": 1, "progress": False, **changes}
    trainer = Trainer(model, nn.SoftmaxCrossEntropy(), **settings)
    return trainer.fit(data, num_shards=num_shards)


@pytest.mark.parametrize(
    ("num_shards", "changes"), [(32, {}), (12, {}), (1, {"batch_size": 1}), (300, {})]
)
def test_batchnorm_of_one_row_is_refused_before_the_first_step_and_the_cures_work(
    num_shards, changes
):
    with pytest.raises(ValueError, match=r"^BatchNorm\[1\] needs 2 rows of a shard") as refused:
        fit(num_shards, **changes)
    assert f"(of {num_shards})" in str(refused.value)
    cures = dict(re.findall(r"(batch_size|num_shards)=(\d+)", str(refused.value).split("give")[1]))
    assert cures
    for name, value in cures.items():
        settings = {"num_shards": num_shards, **changes, name: int(value)}
        assert np.isfinite(fit(**settings).history["loss"]).all()


def test_a_shard_without_rows_needs_none():
    alike = np.repeat(X[:2], 40, axis=0)  # two contents, three shards
    result = fit(3, data=(alike, np.repeat([0, 1], 40)), batch_size=8)
    assert result.history.epochs == 1


def test_no_rows_are_asked_of_other_layers():
    fit(32, model=nn.Sequential(nn.Dense(8), nn.LayerNorm(), nn.Dense(2)))


def test_a_pass_of_one_row():
    with pytest.raises(ValueError, match=r"micro_batch=1 .* into passes of 1: give micro_batch=4"):
        fit(1, micro_batch=1)
    fit(1, micro_batch=30)  # of 31 rows: passes are even


@pytest.mark.parametrize("weight", [1e-42, 1e-35])
def test_weights_that_float32_does_not_hold(weight):
    with pytest.raises(ValueError, match=r"weights at epoch 1 step 0 are 1.0e-\d\d on average"):
        fit(1, model=nn.Dense(2), data=(X, Y, np.full(400, weight)))


def test_small_weights_are_as_good_as_large_ones():
    small, one = (
        fit(1, nn.Dense(2), (X, Y, np.full(400, w)), batch_size=400).model.weights
        for w in (1e-25, 1)
    )
    np.testing.assert_allclose(small, one, rtol=1e-4)
