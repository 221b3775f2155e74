"""Which epoch is the best, by which figure, and when a fit has had enough."""

import numpy as np
import pytest

from dpnn import Trainer, nn
from dpnn.training.events import EpochDone, FitStarted
from dpnn.training.state import Best, State
from dpnn.training.watchers.patience import Patience

RNG = np.random.default_rng(0)
X = RNG.standard_normal((400, 6)).astype(np.float32)
NOISE = RNG.integers(0, 2, 400).astype(np.int32)  # nothing to learn: validation gets worse


def judged(values, patience=2, monitor="val_loss"):
    """(kept epoch, why it stopped, epochs)."""
    state, watcher = State(np.zeros(1, np.float32), {}), Patience(patience, monitor)
    for epoch, value in enumerate(values, 1):
        state.epoch, state.weights[0] = epoch, epoch
        watcher.on_epoch(EpochDone(state, epoch, {monitor: value}, 1, 1.0))
        if state.stopped:
            break
    assert state.kept[0] == state.kept_epoch
    return state.kept_epoch, state.stopped, state.epoch


def test_a_lower_loss_and_a_higher_accuracy_are_better():
    enough = "no better {} for 2 epochs"
    assert judged([3.0, 2.0, 2.5, 2.0, 1.0]) == (2, enough.format("val_loss"), 4)
    found = judged([0.3, 0.5, 0.4, 0.5, 0.9], monitor="val_accuracy")
    assert found == (2, enough.format("val_accuracy"), 4)
    assert judged([0.1, 0.2], monitor="r2") == (2, None, 2)


def test_what_is_unknown_is_not_better():
    nan = float("nan")
    assert judged([nan, None, 1.0], patience=5) == (3, None, 3)
    assert judged([1.0, nan, nan]) == (1, "no better val_loss for 2 epochs", 3)
    assert judged([nan]) == (1, None, 1)


def test_a_patient_fit_that_had_enough_does_not_begin_again():
    state = State(np.zeros(1, np.float32), {}, stale=2, best=Best(np.zeros(1), 1, 0.5, "loss"))
    started = FitStarted(state, 9, 3, 0, 1, {}, 1)
    Patience(3, "loss").on_fit_start(started)
    assert state.stopped is None
    Patience(2, "loss").on_fit_start(started)
    assert state.stopped == "no better loss for 2 epochs"


def fit(held=True, **changes):
    settings = {"epochs": 200, "patience": 3, "optimizer": nn.Adam(0.05), "progress": False}
    trainer = Trainer(
        nn.Sequential(nn.Dense(32), nn.ReLU(), nn.Dense(2)),
        nn.SoftmaxCrossEntropy(),
        **{**settings, **changes},
    )
    validation = (X[200:], NOISE[200:]) if held else None
    return trainer.fit((X[:200], NOISE[:200]), validation=validation, num_shards=2)


@pytest.mark.parametrize(("monitor", "best"), [("val_loss", min), ("val_accuracy", max)])
def test_the_kept_epochs_figures_are_what_the_result_shows(monitor, best):
    result = fit(monitor=monitor)
    values = result.history[monitor]
    assert result.stopped == f"no better {monitor} for 3 epochs"
    assert result.best_epoch == values.index(best(values)) + 1 < len(values)
    assert result.figures[monitor] == best(values) != values[-1]
    evaluated = result.model.evaluate((X[200:], NOISE[200:]))
    assert evaluated[monitor.removeprefix("val_")] == pytest.approx(best(values), rel=1e-5)
    assert f"kept epoch {result.best_epoch}" in repr(result)
    assert f"{result.figures['val_loss']:.4f} on held-out rows" in repr(result)
    assert f"*{result.best_epoch}" in repr(result.history)


def test_without_validation_it_watches_the_training_loss_and_says_so(capsys):
    result = fit(held=False, epochs=3, progress=True)
    assert result.history.kept_epoch == result.best_epoch
    said = "patience watches the training loss: there are no validation rows"
    assert capsys.readouterr().err.count(said) == 1
    fit(epochs=2, progress=True)
    assert said not in capsys.readouterr().err


def test_a_figure_that_there_is_not():
    with pytest.raises(ValueError, match=r"no figure 'val_acuracy' in this fit: .* 'val_accuracy'"):
        fit(monitor="val_acuracy")
    with pytest.raises(ValueError, match="monitor is what patience watches: give patience"):
        fit(monitor="val_loss", patience=None)


def test_without_patience_the_last_epoch_is_kept():
    result = fit(patience=None, epochs=4)
    assert (result.best_epoch, result.history.kept_epoch, result.stopped) == (4, None, None)
