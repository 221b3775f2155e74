"""After each epoch: the figures of the validation rows. Driver."""

from __future__ import annotations

from dpnn.engines.protocol import Kind, Plan
from dpnn.nn.more.metrics import Measures
from dpnn.nn.more.tail import Tail
from dpnn.training.events import EpochDone
from dpnn.training.runner import Runner
from dpnn.training.state import State
from dpnn.training.update import Update


class Evaluation:
    """Adds "val_loss", … by the averaged weights where there are any; schedules hear the loss.

    held: what is measured of the validation rows; None where there are none.
    """

    def __init__(self, runner: Runner, held: Measures | None, update: Update) -> None:
        self._runner, self._held, self._update = runner, held, update

    def on_epoch(self, event: EpochDone) -> None:
        figures = event.figures
        if self._held is not None:
            tail = self._evaluate(event.state, event.epoch)
            found = self._held.figures(tail, "validation")
            figures.update({f"val_{name}": value for name, value in found.items()})
        loss = figures.get("val_loss", figures["loss"])
        self._update.observe(event.state, loss)

    def _evaluate(self, state: State, epoch: int) -> Tail:
        plan = Plan(Kind.EVALUATE, epoch)
        if state.average is None:
            return Tail(self._runner.step(state.weights, plan).tail)
        trained = state.weights.copy()  # the engine reads the weights where they lie
        state.weights[...] = state.average
        try:
            return Tail(self._runner.step(state.weights, plan).tail)
        finally:
            state.weights[...] = trained
