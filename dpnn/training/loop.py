"""One fit: epochs of steps, and events. All else that happens around a step is done by watchers.

train   weights -> sums -> update, `steps` times an epoch, or once a round of local steps
after   events: the watchers evaluate, write down, judge, save, and tell
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from dpnn import nn
from dpnn.data.dataset import Dataset
from dpnn.data.saying import say
from dpnn.data.shards import rows_at_once
from dpnn.engines.protocol import Kind, Plan, Sums
from dpnn.engines.worker import Program
from dpnn.nn.more import normalization
from dpnn.nn.more.lazy import sparse_tables
from dpnn.nn.more.metrics import Measures
from dpnn.nn.more.tail import Tail
from dpnn.spark.waiting import Waiting
from dpnn.training import rounds
from dpnn.training.checkpoints import Checkpoint
from dpnn.training.events import EngineChosen, EpochDone, FitEnded, FitStarted, StepDone, Watchers
from dpnn.training.history import Choice
from dpnn.training.passes import check_passes, check_weights
from dpnn.training.runner import Runner
from dpnn.training.state import State
from dpnn.training.update import update
from dpnn.training.watchers.evaluation import Evaluation
from dpnn.training.watchers.ledger import Ledger
from dpnn.training.watchers.patience import Patience
from dpnn.training.watchers.progress import progress
from dpnn.training.watchers.saving import Saving

if TYPE_CHECKING:
    from dpnn.training.trainer import Trainer


class Fit:
    """Driver. Holds the state and the engine while a fit runs; `run` once, then `close`."""

    def __init__(
        self, trainer: Trainer, network: nn.Network, data: Dataset, waiting: Waiting
    ) -> None:
        self.trainer, self.network, self.data = trainer, network, data
        self.rows = data.rows["train"]
        batch = self.rows if trainer.optimizer.full_batch else trainer.batch_size
        self.steps = max(1, ceil(self.rows / batch))
        optimizer = trainer.optimizer.bind(self.steps)
        passes = rows_at_once(network.input_shape, trainer.micro_batch)
        program = Program(
            trainer.model,
            network.input_shape,
            trainer.loss,
            seed=trainer.seed,
            micro_batch=passes,
            device=trainer.device,
            metrics=None if trainer.metrics is None else tuple(trainer.metrics),
            optimizer=None if trainer.local_steps is None else optimizer,
            clip_norm=trainer.clip_norm,
            wire=trainer.wire,
            sparse=bool(sparse_tables(network)),
        )
        self.update = update(trainer, network, optimizer)
        rows = data.rows_of_shards
        check_passes(network, rows, self.steps, batch, passes)
        self.measures = Measures.of_steps(trainer.loss, network.output_shape)
        held = Measures.of_rows(trainer.loss, network.output_shape, trainer.metrics)
        self.held = held if data.has("validation") else None
        self.monitor = self._monitor()
        self.checkpoint = None
        if trainer.checkpoints is not None:
            self.checkpoint = Checkpoint(trainer.checkpoints, self._training())
        self.runner = Runner(trainer.engine, program, data, self._changed, waiting)
        try:
            self.state = self.update.start(self.runner.start(network.weights))
            self.watchers = self._watchers()
        except BaseException:
            self.runner.close()
            raise

    def run(self) -> State:
        """All epochs that are left; returns the state at the end."""
        state = self.state
        try:
            self._begin()
            while state.epoch < self.trainer.epochs and state.stopped is None:
                self._epoch(state.epoch + 1)
            state.check_finite(self.network.layout)
        except BaseException as error:
            self.watchers(FitEnded(state, error=error))
            raise
        self.watchers(FitEnded(state, state.stopped))
        return state

    def close(self) -> None:
        self.runner.close()

    def _monitor(self) -> str:
        """The figure that `patience` watches; ValueError where it will not be there."""
        found = ["loss", *(metric.name for metric in self.measures.metrics)]
        if self.held is not None:
            found += ["val_loss", *(f"val_{metric.name}" for metric in self.held.metrics)]
        asked = self.trainer.monitor or ("loss" if self.held is None else "val_loss")
        if asked not in found:
            raise ValueError(f"monitor: no figure {asked!r} in this fit{nn.nearest(asked, found)}")
        return asked

    def _watchers(self) -> Watchers:
        """Those of the fit, in the order in which each needs what those before have done."""
        trainer = self.trainer
        watchers: list[Any] = [
            Evaluation(self.runner, self.held, self.update),
            Ledger(self.runner),
            Patience(trainer.patience, self.monitor),
        ]
        if self.checkpoint is not None:
            watchers.append(Saving(self.checkpoint, self.network.layout, trainer.checkpoint_steps))
        watchers += trainer.callbacks
        if trainer.progress is not False:
            watchers.append(progress())
        return Watchers(watchers)

    def _begin(self) -> None:
        """Go on from the checkpoint where there is one, or begin; tell where."""
        trainer, state = self.trainer, self.state
        if self.checkpoint is not None:
            self.checkpoint.restore(state, trainer.epochs)
        state.history.wire = trainer.wire
        rows = {"validation": 0, **self.data.rows}
        at = (state.epoch, state.step)
        watched = None if trainer.patience is None else self.monitor
        shards = self.data.num_shards
        self.watchers(FitStarted(state, trainer.epochs, *at, self.steps, rows, shards, watched))
        self._choose(*at)
        if at == (0, 0):
            self._moments()
        if trainer.local_steps is not None:
            self._settle()

    def _epoch(self, epoch: int) -> None:
        """The steps that are left of an epoch; all but its figures is left open by a stop."""
        state, steps, first = self.state, self.steps, self.state.step
        listened = self.watchers.wants(StepDone)
        if self.runner.begin_epoch():
            self._choose(state.epoch, state.step)
        start = perf_counter()
        while state.step < steps:
            plan = self._plan(epoch, state.step)
            tail = self._train(plan, epoch, state.step)
            state.tail = tail if state.tail is None else state.tail + tail
            state.step += plan.local
            if listened:
                self.watchers(StepDone(state, epoch, state.step, steps, plan.local))
                if state.stopped is not None and state.step < steps:
                    return
        seconds = perf_counter() - start
        state.check_finite(self.network.layout)
        assert state.tail is not None
        figures = {"epoch": epoch, **self.measures.figures(Tail(state.tail), "training")}
        state.epoch, state.step, state.tail = epoch, 0, None
        rows = round(self.rows * (steps - first) / steps)
        self.watchers(EpochDone(state, epoch, figures, rows, seconds))

    def _plan(self, epoch: int, step: int) -> Plan:
        """What comes next: a step, or a round that begins with it."""
        if self.trainer.optimizer.full_batch:  # a search meets the same Dropout masks again
            return Plan(Kind.TRAIN)
        plan, most = Plan(Kind.TRAIN, epoch, step, self.steps), self.state.history.local_steps
        if most is None:
            return plan
        count, scale = min(most, self.steps - step), self.state.inner["scale"]
        return plan._replace(kind=Kind.ROUND, local=count, scale=scale)

    def _train(self, plan: Plan, epoch: int, step: int) -> np.ndarray:
        """One update; returns the sums of loss and metrics that go with it."""

        def compute(trial: bool) -> Sums:
            asked = plan._replace(trial=1) if trial else plan
            sums = self.runner.step(self.state.weights, asked)
            check_weights(sums.tail, epoch, step)
            return sums

        start, before = perf_counter(), self.runner.seconds
        found = self.update(self.state, compute, plan.local)
        self.runner.updating += perf_counter() - start - (self.runner.seconds - before)
        return found.tail

    def _moments(self) -> None:
        """Mean and variance for Normalization layers: one pass over the training shards."""
        if not normalization.moments_size(self.network):
            return
        state = self.state
        tail = Tail(self.runner.step(state.weights, Plan(Kind.MOMENTS)).tail)
        normalization.set_moments(self.network, state.weights, tail.sums, tail.rows)
        if state.average is not None:  # begins where the training does
            state.average[...] = state.weights

    def _settle(self) -> None:
        """How many steps a round has: as told, as before, or as many as the exchange asks for."""
        asked, state = self.trainer.local_steps, self.state
        plan = Plan(Kind.ROUND, 1, 0, self.steps)
        if isinstance(asked, int):
            state.history.local_steps = asked
        elif state.history.local_steps is None:
            state.history.local_steps, why = rounds.probe(self.runner, state.weights, plan)
            if self.trainer.progress is not False:
                say(why)
        each = ceil(self.steps / state.history.local_steps)
        self.update = replace(self.update, optimizer=self.update.optimizer.bind(each))

    def _changed(self, plan: Plan) -> None:
        self._choose(max(plan.epoch - 1, 0), plan.step)

    def _choose(self, epoch: int, step: int) -> None:
        """Write down and tell which engine goes on from here."""
        choice = Choice(self.runner.engine, self.runner.reason, epoch, step)
        self.state.history.engines.append(choice)
        self.watchers(EngineChosen(self.state, *choice))

    def _training(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be this training's."""
        trainer = self.trainer
        outer = trainer.outer or rounds.OUTER
        names = ("seed", "batch_size", "micro_batch", "ema", "clip_norm", "wire")
        return {
            **{name: nn.to_spec(getattr(trainer, name)) for name in ("model", "loss", "optimizer")},
            **{name: getattr(trainer, name) for name in names},
            "input_shape": self.network.input_shape,
            "rows": self.data.rows_of_shards,
            "data": self.data.checksum,
            "local_steps": trainer.local_steps,
            "outer": None if trainer.local_steps is None else nn.to_spec(outer),
        }
