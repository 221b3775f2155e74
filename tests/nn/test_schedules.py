"""Schedules: known values, borders, plateaus, specs."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest

from dpnn import Trainer, nn

SCHEDULES = [
    nn.Schedule(0.1),
    nn.StepDecay(0.1, 10, 0.5),
    nn.ExponentialDecay(0.1, 10, 0.5),
    nn.CosineDecay(0.1, 100, 0.1),
    nn.CosineLog(0.1, 100),
    nn.OneCycle(0.1, 100),
    nn.Warmup(0.1, 10, nn.CosineDecay(0.1, 90)),
    nn.ReduceOnPlateau(0.1),
    nn.CosineDecay(0.1, epochs=5).bind(20),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_rates_are_positive_up_to_the_peak(schedule: nn.Schedule) -> None:
    rates = [schedule(step) for step in range(1, 101)]
    assert all(0 <= rate <= 0.1 * (1 + 1e-12) for rate in rates)
    assert max(rates) == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_spec_round_trip(schedule: nn.Schedule) -> None:
    optimizer = nn.Adam(schedule)
    assert nn.from_spec(json.loads(json.dumps(nn.to_spec(optimizer)))) == optimizer


def test_values() -> None:
    step, smooth = nn.StepDecay(1.0, 10, 0.5), nn.ExponentialDecay(1.0, 10, 0.5)
    assert [step(t) for t in (1, 10, 11, 21)] == [1, 1, 0.5, 0.25]
    assert [smooth(t) for t in (1, 11, 6)] == [1, 0.5, pytest.approx(0.5**0.5)]
    cosine = nn.CosineDecay(1.0, 100, 0.1)
    assert cosine(1) == 1
    assert cosine(51) == pytest.approx(0.55)
    assert cosine(101) == cosine(500) == pytest.approx(0.1)
    waves = nn.CosineLog(1.0, 150)
    assert [waves(t) for t in (1, 11, 31, 71, 151)] == pytest.approx([0] * 5, abs=1e-12)
    assert waves(1 + 10 * (2**0.5 - 1)) == pytest.approx(1)  # half way through the first
    warm = nn.Warmup(1.0, 4, nn.CosineDecay(1.0, 10))
    assert [warm(t) for t in (1, 2, 4, 5)] == [0.25, 0.5, 1, 1]
    assert warm(10) == nn.CosineDecay(1.0, 10)(6)
    assert nn.Warmup(1.0, 4)(100) == 1


def test_one_cycle_rises_then_falls_to_nearly_nothing() -> None:
    rates = [nn.OneCycle(1.0, 100)(t) for t in range(1, 101)]
    top = rates.index(max(rates))
    assert rates[0] == pytest.approx(1 / 25)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert top == 29
    assert rates[-1] < 1e-4
    assert math.isclose(rates[top], 1.0)


def test_plateaus_lower_the_rate() -> None:
    optimizer = nn.SGD(nn.ReduceOnPlateau(1.0, factor=0.5, patience=2, minimum=0.2))
    state = optimizer.init(nn.Dense(1).build(1).layout)
    state["step"] = 1
    rates = []
    for loss in (3.0, 2.0, 2.5, 2.0, 2.1, 1.9, 2.0, 2.0, 2.0, 5, 5, 5, 5, 5, 5):
        optimizer.observe(state, loss)
        rates.append(optimizer.rate(state))
    assert rates == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2]


def test_plateaus_lower_the_rate_after_a_warmup() -> None:
    optimizer = nn.SGD(nn.Warmup(0.1, 2, nn.ReduceOnPlateau(0.1, patience=0)))
    state = optimizer.init(nn.Dense(1).build(1).layout)
    for _ in range(3):
        optimizer.observe(state, 1.0)
    state["step"] = 5
    assert optimizer.rate(state) == pytest.approx(0.001)


def test_a_schedule_sets_the_step() -> None:
    net = nn.Dense(1, bias=False).build(1)
    optimizer = nn.SGD(nn.StepDecay(1.0, 1, 0.5))
    state, places = optimizer.init(net.layout), [float(net.weights[0])]
    for _ in range(3):
        gradient = net.gradient
        gradient[...] = 1
        optimizer.update(state, net.weights, gradient)
        places.append(float(net.weights[0]))
    steps = [a - b for a, b in pairwise(places)]
    assert steps == pytest.approx([1, 0.5, 0.25], rel=1e-6)


@pytest.mark.parametrize(
    ("epochs", "steps"),
    [
        (nn.CosineDecay(0.1, epochs=10, final=0.2), nn.CosineDecay(0.1, 70, final=0.2)),
        (nn.OneCycle(0.1, epochs=2.5), nn.OneCycle(0.1, 18)),
        (
            nn.Warmup(0.1, epochs=0.5, then=nn.CosineDecay(0.1, epochs=3)),
            nn.Warmup(0.1, 4, nn.CosineDecay(0.1, 21)),
        ),
        (nn.Warmup(0.1, 5, nn.OneCycle(0.1, epochs=1)), nn.Warmup(0.1, 5, nn.OneCycle(0.1, 7))),
        (nn.Warmup(0.1, epochs=0.01), nn.Warmup(0.1, 1)),
        (nn.StepDecay(0.1, 5), nn.StepDecay(0.1, 5)),
    ],
)
def test_epochs_become_steps(epochs: nn.Schedule, steps: nn.Schedule) -> None:
    assert nn.Adam(epochs).bind(7) == nn.Adam(steps)
    assert nn.from_spec(json.loads(json.dumps(nn.to_spec(epochs)))) == epochs


def test_an_optimizer_without_a_schedule_has_nothing_to_bind() -> None:
    assert nn.SGD(0.1, momentum=0.9).bind(7) == nn.SGD(0.1, momentum=0.9)


@pytest.mark.parametrize("kind", [nn.CosineDecay, nn.OneCycle, nn.Warmup])
def test_either_steps_or_epochs(kind: type) -> None:
    for settings in ({}, {"steps": 5, "epochs": 1}):
        with pytest.raises(ValueError, match=f"{kind.__name__} takes either steps or epochs"):
            kind(0.1, **settings)
    with pytest.raises(ValueError, match=r"\(epochs=3\) needs the steps of an epoch: a Trainer"):
        kind(0.1, epochs=3)(1)


def test_a_fit_tells_how_many_steps_an_epoch_has() -> None:
    x = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)

    def weights(schedule: nn.Schedule) -> np.ndarray:
        trainer = Trainer(nn.Dense(1), nn.MeanSquaredError(), nn.SGD(schedule), 10, 4)
        trainer.progress = False
        return trainer.fit((x, x[:, 0]), num_shards=2).model.weights

    by_epochs = weights(nn.CosineDecay(0.1, epochs=4))
    assert np.array_equal(by_epochs, weights(nn.CosineDecay(0.1, 20)))
    assert not np.array_equal(by_epochs, weights(nn.CosineDecay(0.1, 4)))
