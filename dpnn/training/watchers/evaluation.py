"""After each epoch: the figures of the validation rows. Driver."""

from __future__ import annotations

from dpnn import nn
from dpnn.engines.protocol import Kind, Plan
from dpnn.nn.more import metrics
from dpnn.training.events import EpochDone
from dpnn.training.runner import Runner
from dpnn.training.state import State


class Evaluation:
    """Adds "val_loss", … by the averaged weights where there are any; the schedule hears the loss.

    held: whether there are validation rows.
    """

    def __init__(self, runner: Runner, loss: nn.Loss, optimizer: nn.Optimizer, held: bool) -> None:
        self._runner, self._loss, self._optimizer, self._held = runner, loss, optimizer, held

    def on_epoch(self, event: EpochDone) -> None:
        figures = event.figures
        if self._held:
            found = self._evaluate(event.state, event.epoch)
            figures.update({f"val_{name}": value for name, value in found.items()})
        loss = figures.get("val_loss", figures["loss"])
        self._optimizer.observe(event.state.optimizer, loss)

    def _evaluate(self, state: State, epoch: int) -> dict[str, float]:
        plan = Plan(Kind.EVALUATE, epoch)
        if state.average is None:
            return metrics.means(self._loss, self._runner.step(state.weights, plan).tail)
        trained = state.weights.copy()  # the engine reads the weights where they lie
        state.weights[...] = state.average
        try:
            return metrics.means(self._loss, self._runner.step(state.weights, plan).tail)
        finally:
            state.weights[...] = trained
