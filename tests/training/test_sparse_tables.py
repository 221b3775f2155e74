"""Fits of networks with sparse tables: of an embedding the rows alone that a step meets."""

import numpy as np
import pytest

from dpnn import Trainer, nn
from tests.training.stops import StopAt

RNG = np.random.default_rng(2)
WORDS = 3000
X = RNG.integers(0, WORDS, (200, 2)).astype(np.int32)
Y = (X.sum(1) % 3).astype(np.int32)
TABLE = nn.Embedding(WORDS, 4, sparse=True)
MODEL = nn.Sequential(TABLE, nn.Flatten(), nn.Dense(8), nn.ReLU(), nn.Dense(3))


def fit(**changes):
    settings = {"batch_size": 40, "epochs": 4, "seed": 4, "ema": 0.9, "progress": False}
    optimizer = nn.AdamW(nn.StepDecay(0.02, every=7))
    trainer = Trainer(MODEL, nn.SoftmaxCrossEntropy(), optimizer, **{**settings, **changes})
    return trainer.fit((X, Y), validation=(X, Y), num_shards=3)


@pytest.mark.parametrize("changes", [{}, {"local_steps": 2}, {"wire": "int8"}], ids=str)
def test_resumed_equals_undisturbed(tmp_path, changes):
    whole = fit(**changes)
    assert whole.history["loss"][-1] < whole.history["loss"][0]
    for at in ((1, 2), (2, 4)):
        assert fit(**changes, checkpoints=str(tmp_path), callbacks=[StopAt(*at)]).stopped == "here"
    resumed = fit(**changes, checkpoints=str(tmp_path))
    assert np.array_equal(whole.model.weights, resumed.model.weights)
    assert whole.history["val_loss"] == resumed.history["val_loss"]


def test_rows_that_no_row_of_data_has_keep_their_first_weights():
    result = fit()
    name = result.model.network.layout.entries[0].name
    start, end = MODEL.build((2,), 4).parameters[name], result.model.network.parameters[name]
    moved = (start != end).any(axis=1)
    assert np.array_equal(np.flatnonzero(moved), np.unique(X))


@pytest.mark.parametrize("changes", [{"optimizer": nn.LAMB()}, {"outer": nn.LAMB()}], ids=str)
def test_optimizers_of_all_weights_are_refused(changes):
    if "outer" in changes:
        changes = {**changes, "local_steps": 2}
    trainer = Trainer(MODEL, nn.SoftmaxCrossEntropy(), **changes)
    with pytest.raises(ValueError, match=r"Embedding\[0\].W is sparse, and LAMB works on all"):
        trainer.fit((X, Y), num_shards=2)
