"""After each epoch: where its time went, and its line in the history. Driver."""

from __future__ import annotations

from dpnn.training.events import EpochDone
from dpnn.training.history import ledger
from dpnn.training.runner import Runner


class Ledger:
    """Adds "seconds", "costs" and "engine" to the figures, and the figures to the history."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def on_epoch(self, event: EpochDone) -> None:
        runner, figures, history = self._runner, event.figures, event.state.history
        figures["seconds"] = round(event.seconds, 4)
        told = (runner.costs, runner.updating, event.seconds)
        figures["costs"] = ledger(*told, history.local_steps, history.wire)
        figures["engine"] = runner.engine
        history.append(figures)
