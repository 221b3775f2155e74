"""A smaller wire: what a Trainer, its checkpoints and its history make of it."""

import numpy as np
import pytest

from dpnn import Trainer, nn
from tests.training.stops import StopAt

RNG = np.random.default_rng(2)
X = RNG.standard_normal((301, 5)).astype(np.float32)
Y = (np.abs(X).argmax(1) % 3).astype(np.int32)
MODEL = nn.Sequential(nn.Dense(256), nn.ReLU(), nn.Dropout(0.2), nn.Dense(3))


def fit(**changes):
    settings = {"batch_size": 32, "epochs": 4, "seed": 4, "wire": "int8", "progress": False}
    trainer = Trainer(MODEL, nn.SoftmaxCrossEntropy(), nn.Adam(0.01), **{**settings, **changes})
    return trainer.fit((X, Y), validation=(X, Y), num_shards=3)


@pytest.mark.parametrize("wire", ["bfloat16", "int8"])
@pytest.mark.parametrize("local_steps", [None, 3])
def test_resumed_equals_undisturbed(tmp_path, wire, local_steps):
    changes = {"wire": wire, "local_steps": local_steps}
    whole = fit(**changes)
    changes["checkpoints"] = str(tmp_path)
    for at in ((1, 3), (2, 9)):
        assert fit(**changes, callbacks=[StopAt(*at)]).stopped == "here"
    resumed = fit(**changes)
    assert np.array_equal(whole.model.weights, resumed.model.weights)
    assert whole.history["val_loss"] == resumed.history["val_loss"]
    assert resumed.history.wire == wire


def test_another_wire_is_another_training(tmp_path):
    fit(checkpoints=str(tmp_path), epochs=1)
    with pytest.raises(ValueError, match=r"with wire = int8, this one has bfloat16"):
        fit(checkpoints=str(tmp_path), wire="bfloat16")


def test_the_history_says_the_wire():
    told = fit(epochs=1).history
    assert (told.wire, told["costs"][0]["wire"]) == ("int8", "int8")
    plain = fit(epochs=1, wire="float32").history
    assert (plain.wire, plain["costs"][0].get("wire")) == ("float32", None)


@pytest.mark.parametrize("local_steps", [None, 4])
@pytest.mark.parametrize("wire", ["bfloat16", "int8"])
def test_it_trains_as_well(wire, local_steps):
    exact = fit(wire="float32", epochs=12, local_steps=local_steps)
    narrow = fit(wire=wire, epochs=12, local_steps=local_steps)
    assert not np.array_equal(narrow.model.weights, exact.model.weights)
    assert narrow.history["val_loss"][-1] < exact.history["val_loss"][0]
    assert narrow.history["val_loss"][-1] == pytest.approx(exact.history["val_loss"][-1], rel=0.15)


def test_wrong_wires_are_told():
    with pytest.raises(ValueError, match=r"unknown wire 'int16': did you mean 'int8'\?"):
        fit(wire="int16")
    with pytest.raises(ValueError, match=r"wire='int8' rounds gradients .* LBFGS|LBFGS"):
        Trainer(MODEL, nn.SoftmaxCrossEntropy(), nn.LBFGS(), wire="int8")
