"""Local steps: each shard takes steps of its own, and the outer optimizer moves the truth."""

from itertools import pairwise

import numpy as np
import pytest

from dpnn import Trainer, nn
from dpnn.engines.protocol import ShardError
from dpnn.training import rounds
from tests.training.stops import StopAt

RNG = np.random.default_rng(2)
X = RNG.standard_normal((301, 5)).astype(np.float32)
Y = (np.abs(X).argmax(1) % 3).astype(np.int32)
WEIGHTS = RNG.random(301).astype(np.float32) * (RNG.random(301) > 0.2)
MODEL = nn.Sequential(nn.Dense(12), nn.ReLU(), nn.Dropout(0.2), nn.Dense(3))
AVERAGE = nn.SGD(1.0)
SYNCHRONOUS = {"local_steps": None, "outer": None}


def fit(num_shards=3, model=MODEL, data=(X, Y, WEIGHTS), **changes):
    settings = {
        "optimizer": nn.SGD(0.1),
        "batch_size": 32,
        "epochs": 2,
        "seed": 4,
        "local_steps": 4,
        "outer": AVERAGE,
        "progress": False,
    }
    trainer = Trainer(model, nn.SoftmaxCrossEntropy(), **{**settings, **changes})
    return trainer.fit(data, validation=(X, Y), num_shards=num_shards)


def close(a, b, figures=("loss", "accuracy", "val_loss")):
    weights = np.allclose(a.model.weights, b.model.weights, rtol=1e-4, atol=1e-6)
    return weights and all(np.allclose(a.history[f], b.history[f], rtol=1e-4) for f in figures)


NORMED = nn.Sequential(nn.Normalization(), nn.Dense(12), nn.BatchNorm(), nn.ReLU(), nn.Dense(3))
DECAYED = nn.SGD(nn.CosineDecay(0.1, epochs=2), weight_decay=0.1)


@pytest.mark.parametrize(
    ("model", "changes"),
    [(MODEL, {}), (NORMED, {"ema": 0.9}), (MODEL, {"optimizer": DECAYED, "micro_batch": 7})],
)
def test_one_step_and_plain_averages_are_the_common_step(model, changes):
    common = fit(model=model, **{**changes, **SYNCHRONOUS})
    assert close(fit(model=model, local_steps=1, **changes), common)


@pytest.mark.parametrize(
    "optimizer",
    [nn.SGD(0.1), nn.SGD(nn.StepDecay(0.1, every=3)), nn.SGD(nn.ReduceOnPlateau(0.1, patience=0))],
)
@pytest.mark.parametrize("local_steps", [1, 3, 1000])
def test_one_shard_that_is_taken_at_its_word_trains_as_if_alone(optimizer, local_steps):
    changes = {"num_shards": 1, "clip_norm": 0.5, "optimizer": optimizer, "epochs": 6}
    assert close(fit(**changes, local_steps=local_steps), fit(**changes, **SYNCHRONOUS))


def test_adam_in_one_round_is_adam():
    """Moments begin anew with each round: one epoch in one round is the common training."""
    changes = {"num_shards": 1, "optimizer": nn.Adam(0.01), "epochs": 1}
    assert close(fit(**changes, local_steps=1000), fit(**changes, **SYNCHRONOUS))


def test_factors_of_the_rate_hold_once():
    """A parameter's own factor is in the shard's step, and not in the outer one again."""
    model = nn.Sequential(nn.Dense(4), nn.Scale(rate=0.1), nn.Dense(3))
    rates = {e.name: e.rate for e in model.build((5,), 0).layout.entries}
    assert set(rates.values()) != {1.0}
    assert close(fit(model=model, local_steps=1), fit(model=model, **SYNCHRONOUS))


def test_an_average_has_the_same_horizon_in_steps():
    """ema=0.9 of a step is 0.9^4 of a round of four."""
    seen = []

    class Look:
        def on_step(self, event):
            seen.append((event.state.weights.copy(), event.state.average.copy(), event.taken))

    fit(ema=0.9, epochs=1, callbacks=[Look()])
    assert [taken for *_, taken in seen] == [4, 4, 2]
    for (_, before, _), (weights, after, taken) in pairwise(seen):
        decay = 0.9**taken
        np.testing.assert_allclose(after, decay * before + (1 - decay) * weights, atol=1e-6)


def test_events_come_once_a_round():
    steps = []

    class Look:
        def on_step(self, event):
            steps.append((event.epoch, event.step, event.steps, event.taken))

    result = fit(callbacks=[Look()])
    ends = [(4, 4), (8, 4), (10, 2)]
    assert steps == [(epoch, step, 10, taken) for epoch in (1, 2) for step, taken in ends]
    assert result.history.local_steps == 4
    told = [(row["exchanges"], row["local_steps"]) for row in result.history["costs"]]
    assert told == [(3, 4), (3, 4)]


OUTERS = [None, nn.Adam(nn.Warmup(0.01, epochs=2))]


@pytest.mark.parametrize("outer", OUTERS)
def test_resumed_between_rounds_equals_undisturbed(tmp_path, outer):
    changes = {"optimizer": nn.Adam(nn.ReduceOnPlateau(0.05, patience=0)), "ema": 0.9, "epochs": 4}
    changes |= {"outer": outer, "local_steps": 3}
    whole = fit(**changes)
    changes["checkpoints"] = str(tmp_path)
    for at in ((1, 3), (2, 9), (2, 10)):
        assert fit(**changes, callbacks=[StopAt(*at)]).stopped == "here"
    resumed = fit(**changes)
    assert np.array_equal(whole.model.weights, resumed.model.weights)
    assert whole.history["val_loss"] == resumed.history["val_loss"]


def test_checkpoints_between_rounds_come_with_the_round_that_has_the_step(tmp_path):
    class Kill:
        def on_step(self, event):
            if (event.epoch, event.step) == (2, 8):
                raise KeyboardInterrupt

    changes = {"checkpoints": str(tmp_path), "checkpoint_steps": 13, "epochs": 3}
    with pytest.raises(KeyboardInterrupt):
        fit(**changes, callbacks=[Kill()])
    started = []

    class Start:
        on_fit_start = staticmethod(started.append)

    resumed = fit(**changes, callbacks=[Start()])
    assert (started[0].epoch, started[0].step) == (1, 4)
    assert np.array_equal(resumed.model.weights, fit(epochs=3).model.weights)


def test_another_number_of_local_steps_is_another_training(tmp_path):
    fit(checkpoints=str(tmp_path), epochs=1)
    with pytest.raises(ValueError, match=r"local_steps = 4, this one has 5"):
        fit(checkpoints=str(tmp_path), local_steps=5)
    with pytest.raises(ValueError, match=r"local_steps = 4, this one has None"):
        fit(checkpoints=str(tmp_path), **SYNCHRONOUS)
    with pytest.raises(ValueError, match=r"outer = .*SGD"):
        fit(checkpoints=str(tmp_path), outer=None)


def test_auto_decides_once_and_can_be_repeated(tmp_path, monkeypatch, capsys):
    auto = fit(local_steps="auto", epochs=3, progress=None)
    found = auto.history.local_steps
    assert f"local_steps={found}: an exchange takes" in capsys.readouterr().err
    again = fit(local_steps=found, epochs=3)
    assert np.array_equal(auto.model.weights, again.model.weights)

    monkeypatch.setattr(rounds, "enough", lambda exchange, arithmetic: 4)
    fit(local_steps="auto", checkpoints=str(tmp_path), epochs=1)
    monkeypatch.setattr(rounds, "enough", lambda exchange, arithmetic: 7)
    resumed = fit(local_steps="auto", checkpoints=str(tmp_path), epochs=2)
    assert resumed.history.local_steps == 4
    told = fit(local_steps=4, checkpoints=str(tmp_path), epochs=3)
    assert np.array_equal(told.model.weights, fit(epochs=3).model.weights)


def test_numbers_that_are_not_finite_have_their_address():
    with pytest.raises(ShardError, match=r"at epoch 1 step [1-3] shard 0"):
        fit(optimizer=nn.SGD(1e18))
    said = "non-finite weights after epoch 1 step 0 shard 0: the update was too large"
    with pytest.raises(ShardError, match=said):
        fit(optimizer=nn.SGD(1e38), local_steps=1)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        (
            {"local_steps": 0},
            ValueError,
            "must be a whole number from 1 or 'auto', got 0",
        ),
        ({"local_steps": "often"}, ValueError, "or 'auto', got 'often'"),
        ({"local_steps": True}, ValueError, "got True"),
        ({"local_steps": None}, ValueError, "give local_steps, too"),
        ({"outer": "SGD"}, TypeError, "outer must be a dpnn.nn Optimizer, got 'SGD'"),
        ({"optimizer": nn.LBFGS()}, ValueError, "optimizer=LBFGS searches along all rows"),
        ({"outer": nn.LBFGS()}, ValueError, "outer=LBFGS searches along all rows"),
    ],
)
def test_what_does_not_go_with_local_steps(changes, error, said):
    with pytest.raises(error, match=said):
        fit(**changes)
