"""Saves the state after each epoch, and between where it is asked to. Driver."""

from __future__ import annotations

from dpnn import nn
from dpnn.training.checkpoints import Checkpoint
from dpnn.training.events import EpochDone, FitEnded, StepDone


class Saving:
    """every: also after so many steps, counted over the whole fit, or the round that has the last
    of them.
    """

    def __init__(self, checkpoint: Checkpoint, layout: nn.Layout, every: int | None) -> None:
        self._checkpoint, self._layout, self._every = checkpoint, layout, every

    def on_step(self, event: StepDone) -> None:
        done = (event.epoch - 1) * event.steps + event.step
        due = self._every and done // self._every > (done - event.taken) // self._every
        if due and event.step < event.steps:
            event.state.check_finite(self._layout)
            self._checkpoint.save(event.state)

    def on_epoch(self, event: EpochDone) -> None:
        self._checkpoint.save(event.state)

    def on_fit_end(self, event: FitEnded) -> None:
        """A fit that was stopped within an epoch goes on from there."""
        if event.error is None and event.state.step:
            self._checkpoint.save(event.state)
