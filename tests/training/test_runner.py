"""An engine that can't go on: another one repeats the step, and this is a fact of the result."""

import numpy as np
import pytest

from dpnn import Trainer, nn
from dpnn.engines.local import LocalEngine
from dpnn.engines.protocol import EngineUnavailable, Kind
from dpnn.training import runner

RNG = np.random.default_rng(0)
X = RNG.standard_normal((100, 4)).astype(np.float32)
Y = (X.sum(axis=1) > 0).astype(np.int32)


class Lame(LocalEngine):
    """Gives up at step 2 of epoch 2."""

    def step(self, weights, plan):
        if plan.kind == Kind.TRAIN and (plan.epoch, plan.step) == (2, 2):
            raise EngineUnavailable("2 of 3 tasks came")
        return super().step(weights, plan)


def fit(*callbacks, epochs=3):
    trainer = Trainer(
        nn.Sequential(nn.Dense(8), nn.Dropout(0.2), nn.Dense(2)),
        nn.SoftmaxCrossEntropy(),
        batch_size=25,
        epochs=epochs,
        callbacks=callbacks,
        progress=False,
    )
    return trainer.fit((X, Y), num_shards=2)


def test_the_fall_back_repeats_the_step_and_is_told(monkeypatch):
    opened = []

    def open_engine(name, program, data):
        opened.append(name)
        engine = LocalEngine if name == "job" else Lame
        return (
            engine(program, data.local().shards),
            "job" if name == "job" else "resident",
            "as a test",
        )

    expected = fit()
    monkeypatch.setattr(runner, "open_engine", open_engine)
    heard = []

    class Watch:
        def on_engine(self, event):
            heard.append((event.engine, event.reason, event.epoch, event.step))

    result = fit(Watch())
    assert opened == ["auto", "job"]
    told = "2 of 3 tasks came; going on with the job engine"
    assert heard == [("resident", "as a test", 0, 0), ("job", told, 1, 2)]
    assert list(result.engines) == heard
    assert (result.engine, result.history["engine"]) == ("job", ["resident", "job", "job"])
    assert np.array_equal(result.model.weights, expected.model.weights)
    assert "job from epoch 2 step 3 on: 2 of 3 tasks came" in repr(result)


def test_an_engine_that_was_crowded_out_comes_back(monkeypatch):
    """Another fit holds the slots until epoch 3 has begun."""
    opened = []

    def open_engine(name, program, data):
        opened.append(name)
        lame = len(opened) == 1
        engine = (Lame if lame else LocalEngine)(program, data.local().shards)
        return engine, "job" if name == "job" else "resident", f"opened as {name}"

    busy = iter([2, 2, 0])
    expected = fit()
    monkeypatch.setattr(runner, "open_engine", open_engine)
    monkeypatch.setattr(runner, "busy_slots", lambda: next(busy))
    result = fit(epochs=4)
    assert opened == ["auto", "job", "auto"]
    assert [choice.engine for choice in result.engines] == ["resident", "job", "resident"]
    assert [tuple(choice[2:]) for choice in result.engines] == [(0, 0), (1, 2), (3, 0)]
    assert result.history["loss"][:3] == expected.history["loss"]


def test_the_second_engine_is_closed_where_it_cannot_go_on_either(monkeypatch):
    class Closing(Lame):
        closed = 0

        def close(self):
            Closing.closed += 1
            super().close()

    monkeypatch.setattr(
        runner,
        "open_engine",
        lambda name, program, data: (Closing(program, data.local().shards), name, ""),
    )
    with pytest.raises(EngineUnavailable):
        fit()
    assert Closing.closed == 2
