"""Who hears what of a fit, in which order, and how a watcher ends it."""

import numpy as np
import pytest

from dpnn import Trainer, nn
from dpnn.training.events import (
    EngineChosen,
    EpochDone,
    FitEnded,
    FitStarted,
    StepDone,
    Watchers,
    handlers,
)
from dpnn.training.state import State

RNG = np.random.default_rng(0)
X = RNG.standard_normal((100, 4)).astype(np.float32)
Y = (X.sum(axis=1) > 0).astype(np.int32)


def fit(*callbacks, **changes):
    settings = {"batch_size": 25, "epochs": 3, "progress": False, "callbacks": callbacks}
    trainer = Trainer(nn.Dense(2), nn.SoftmaxCrossEntropy(), **{**settings, **changes})
    return trainer.fit((X, Y), validation=(X[:20], Y[:20]), num_shards=2)


def test_a_function_hears_everything_in_order():
    events = []
    fit(events.append, epochs=2, patience=5)
    epoch = [StepDone] * 4 + [EpochDone]
    assert [type(e) for e in events] == [FitStarted, EngineChosen, *epoch, *epoch, FitEnded]
    started, chosen = events[:2]
    assert (started.epochs, started.epoch, started.step, started.steps) == (2, 0, 0, 4)
    assert started.rows == {"train": 100, "validation": 20}
    assert (started.num_shards, started.monitor) == (2, "val_loss")
    assert (chosen.engine, chosen.reason, chosen.epoch, chosen.step) == ("local", "", 0, 0)
    assert [(e.epoch, e.step) for e in events if isinstance(e, StepDone)] == [
        (epoch, step) for epoch in (1, 2) for step in (1, 2, 3, 4)
    ]
    assert (events[-1].stopped, events[-1].error) == (None, None)


def test_an_object_hears_what_it_has_methods_for():
    class Watch:
        def __init__(self):
            self.seen, self.losses = [], []

        def on_step(self, event):
            self.losses.append(event.loss)

        def on_epoch(self, event):
            assert event.state.history.epochs == event.epoch  # written down already
            self.seen.append((event.epoch, event.figures["val_loss"], event.rows))
            if event.epoch == 1:
                assert self.losses[-1] == event.figures["loss"]  # the mean so far

    watch = Watch()
    result = fit(watch)
    assert [seen[0] for seen in watch.seen] == [1, 2, 3]
    assert [seen[1] for seen in watch.seen] == result.history["val_loss"]
    assert watch.seen[0][2] == 100


def test_a_watcher_stops_a_fit_after_an_epoch():
    result = fit(lambda e: isinstance(e, EpochDone) and e.epoch == 2 and e.stop("enough"), epochs=9)
    assert (result.stopped, result.best_epoch, result.history.epochs) == ("enough", 2, 2)
    assert np.array_equal(result.model.weights, fit(epochs=2).model.weights)


def test_a_watcher_stops_a_fit_within_an_epoch_and_the_first_reason_counts():
    class Stop:
        def on_step(self, event):
            if (event.epoch, event.step) == (2, 3):
                event.stop("first")
                event.stop("second")

    ended = []

    class End:
        on_fit_end = staticmethod(ended.append)

    result = fit(Stop(), End())
    assert (result.stopped, result.best_epoch, result.history.epochs) == ("first", 1, 1)
    assert (ended[0].state.epoch, ended[0].state.step) == (1, 3)


def test_a_stop_at_the_last_step_of_an_epoch_still_finishes_it():
    class Stop:
        def on_step(self, event):
            if event.step == event.steps:
                event.stop("now")

    assert fit(Stop()).history.epochs == 1


def test_an_error_of_a_watcher_ends_the_fit_and_is_told_to_the_others():
    heard = []

    class Broken:
        def on_epoch(self, event):
            raise RuntimeError("mine")

    class End:
        on_fit_end = staticmethod(heard.append)

    with pytest.raises(RuntimeError, match="mine"):
        fit(Broken(), End())
    assert str(heard[0].error) == "mine"


class Typo:
    def on_epoch_end(self, event):
        pass


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (Typo(), r"callbacks\[0\]: no event calls Typo.on_epoch_end: did you mean 'on_epoch'"),
        (Typo, r"callbacks\[0\] is a class: give an object, Typo\(…\)"),
        (3, r"callbacks\[0\] must be a function of an event, or an object with any of on_fit_st"),
    ],
)
def test_a_callback_that_would_never_hear_of_anything_is_refused(callback, message):
    with pytest.raises(TypeError, match=message):
        fit(callback)


def test_methods_come_before_calls():
    class Both:
        def __call__(self, event):
            raise AssertionError

        def on_step(self, event):
            pass

    assert list(handlers(Both(), "it")) == [StepDone]
    watchers = Watchers([Both()])
    assert watchers.wants(StepDone)
    assert not watchers.wants(EpochDone)
    watchers(EpochDone(State(np.zeros(1), {}), 1, {}, 1, 1.0))
