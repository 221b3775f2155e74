"""A fit that goes on from a checkpoint is the fit that was never stopped."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from dpnn import Trainer, nn
from dpnn.training import checkpoints
from tests.training.stops import StopAt

RNG = np.random.default_rng(1)
X = RNG.standard_normal((200, 4)).astype(np.float32)
Y = (X.sum(1) > 0).astype(np.int32)
MODEL = nn.Sequential(nn.Dense(8), nn.BatchNorm(), nn.ReLU(), nn.Dropout(0.3), nn.Dense(2))


def fit(folder, epochs, **changes):
    settings = {"optimizer": nn.Adam(1e-2), "ema": 0.9, "patience": 50, "batch_size": 20}
    trainer = Trainer(
        MODEL,
        nn.SoftmaxCrossEntropy(),
        epochs=epochs,
        checkpoints=None if folder is None else str(folder),
        progress=False,
        **{**settings, **changes},
    )
    return trainer.fit((X, Y), validation=(X[:50], Y[:50]), num_shards=3)


def test_resumed_equals_undisturbed(tmp_path):
    whole = fit(None, 5)
    fit(tmp_path / "ck", 2)
    resumed = fit(tmp_path / "ck", 5)
    assert np.array_equal(whole.model.weights, resumed.model.weights)
    assert resumed.history["val_loss"] == whole.history["val_loss"]
    again = fit(tmp_path / "ck", 5)  # nothing left to do
    assert np.array_equal(again.model.weights, whole.model.weights)


OPTIMIZERS = [nn.Adam(1e-2), nn.SGD(nn.ReduceOnPlateau(0.1, patience=1), momentum=0.9)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resumed_within_an_epoch_equals_undisturbed(tmp_path, optimizer):
    whole = fit(None, 4, optimizer=optimizer)
    for at in ((1, 3), (2, 10), (3, 9)):  # step 10 is the last of an epoch
        stopped = fit(tmp_path, 4, optimizer=optimizer, callbacks=[StopAt(*at)])
        assert stopped.stopped == "here"
    resumed = fit(tmp_path, 4, optimizer=optimizer)
    assert np.array_equal(whole.model.weights, resumed.model.weights)
    figures = ("loss", "accuracy", "val_loss", "val_accuracy")
    assert all(resumed.history[name] == whole.history[name] for name in figures)
    assert [(c.epoch, c.step) for c in resumed.engines] == [(0, 0), (0, 3), (2, 0), (2, 9)]


def test_a_killed_fit_goes_on_from_the_last_of_its_steps_that_was_saved(tmp_path):
    class Kill:
        def on_step(self, event):
            if (event.epoch, event.step) == (2, 8):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, 4, checkpoint_steps=7, callbacks=[Kill()])
    started = []

    class Start:
        on_fit_start = staticmethod(started.append)

    resumed = fit(tmp_path, 4, callbacks=[Start()])
    assert (started[0].epoch, started[0].step) == (1, 4)  # step 14 of the fit
    assert np.array_equal(resumed.model.weights, fit(None, 4).model.weights)


def test_steps_beyond_what_is_asked_for(tmp_path):
    fit(tmp_path, 4, callbacks=[StopAt(3, 5)])
    with pytest.raises(ValueError, match=r"has 2 epochs and 5 steps already, more than epochs=2"):
        fit(tmp_path, 2)


def rewritten(file, change):
    """The checkpoint with other arrays, and a checksum that fits them."""
    with safe_open(file, "np") as opened:
        facts = json.loads(opened.metadata()["dpnn.checkpoint"])
        arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    change(arrays)
    facts.pop("crc32")
    facts["crc32"] = checkpoints._checksum(arrays, facts)
    save_file(arrays, file, {"dpnn.checkpoint": json.dumps(facts)})


@pytest.mark.parametrize("name", ["weights", "average", "best", "optimizer.m"])
def test_arrays_are_never_broadcast_nor_cast(tmp_path, name):
    fit(tmp_path, 2)
    file = tmp_path / checkpoints.NAME
    size = len(load_file(file)[name])
    for wrong in (np.ones(1, np.float32), np.ones(size), np.ones((1, size), np.float32)):
        rewritten(file, lambda arrays, wrong=wrong: arrays.update({name: wrong}))
        expected = rf"damaged: {name} should be float32 \({size},\), it has {wrong.dtype} \("
        with pytest.raises(ValueError, match=expected):
            fit(tmp_path, 3)
    rewritten(file, lambda arrays: arrays.pop(name))
    with pytest.raises(ValueError, match=rf"damaged: {name} should be .*, it has nothing"):
        fit(tmp_path, 3)


def test_what_is_best_by_another_figure_is_forgotten(tmp_path):
    fit(tmp_path, 3)
    resumed = fit(tmp_path, 4, monitor="val_accuracy", patience=50)
    assert resumed.best_epoch == 4


def test_numbers_of_another_meaning_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "FORMAT", 1)
    fit(tmp_path, 1)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"format = 1, this one has 5: delete it, or name another"):
        fit(tmp_path, 2)


def test_another_training_is_refused(tmp_path):
    fit(tmp_path, 1)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with pytest.raises(ValueError, match=r"belongs to a training with seed = 0, this one has 1"):
        fit(tmp_path, 2, seed=1)
    with pytest.raises(ValueError, match=r"training with optimizer = .*Adam.*this one has .*SGD"):
        fit(tmp_path, 2, optimizer=nn.SGD(0.1))
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_other_data_is_refused(tmp_path):
    trainer = Trainer(nn.Dense(2), nn.SoftmaxCrossEntropy(), epochs=1, progress=False)
    trainer.checkpoints = str(tmp_path)
    trainer.fit((X, Y), num_shards=1)
    with pytest.raises(ValueError, match="belongs to a training with data = "):
        trainer.fit((X, 1 - Y), num_shards=1)
    order = RNG.permutation(len(X))
    trainer.epochs = 2
    assert trainer.fit((X[order], Y[order]), num_shards=1).history.epochs == 2


@pytest.mark.parametrize("damage", [b"", b"junk" * 100])
def test_damaged_file_is_one_clear_line(tmp_path, damage):
    (tmp_path / "checkpoint.safetensors").write_bytes(damage)
    with pytest.raises(ValueError, match="is not a checkpoint of dpnn, or damaged"):
        fit(tmp_path, 2)


def test_patience_of_an_earlier_fit_is_forgotten(tmp_path):
    fit(tmp_path, 3, patience=1)
    resumed = fit(tmp_path, 6, patience=None)
    assert np.array_equal(resumed.model.weights, fit(None, 6, patience=None).model.weights)


def test_more_epochs_than_asked_for(tmp_path):
    fit(tmp_path, 3)
    with pytest.raises(ValueError, match=r"has 3 epochs already, more than epochs=2: ask for more"):
        fit(tmp_path, 2)


def test_a_flipped_bit_is_found(tmp_path):
    fit(tmp_path, 1)
    file = tmp_path / "checkpoint.safetensors"
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    with pytest.raises(ValueError, match="damaged: it does not match its checksum"):
        fit(tmp_path, 2)


@pytest.mark.parametrize("change", [(b'"epoch": 1', b'"epoch": 2'), (b'"scale": 1', b'"scale": 5')])
def test_altered_facts_are_found(tmp_path, change):
    fit(tmp_path, 1)
    file = tmp_path / "checkpoint.safetensors"
    data = file.read_bytes()
    quoted = [text.replace(b'"', rb"\"") for text in change]
    assert quoted[0] in data
    file.write_bytes(data.replace(*quoted))
    with pytest.raises(ValueError, match="damaged: it does not match its checksum"):
        fit(tmp_path, 2)


@pytest.mark.parametrize("facts", ["{}", "[]", "3", "{", '{"training": 5}'])
def test_facts_that_nobody_wrote(tmp_path, facts):
    save_file(
        {"weights": np.zeros(3, np.float32)},
        tmp_path / checkpoints.NAME,
        {"dpnn.checkpoint": facts},
    )
    with pytest.raises(ValueError, match="is not a checkpoint of dpnn, or damaged"):
        fit(tmp_path, 2)
