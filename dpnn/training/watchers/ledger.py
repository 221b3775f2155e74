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
        runner, figures = self._runner, event.figures
        figures["seconds"] = round(event.seconds, 4)
        figures["costs"] = ledger(runner.costs, runner.updating, event.seconds)
        figures["engine"] = runner.engine
        event.state.history.append(figures)
