"""One fit: epochs of steps over an engine, validation, history, fall-back."""

from __future__ import annotations

from math import ceil
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from dpnn import nn
from dpnn.engines import metrics
from dpnn.engines.open import open_engine
from dpnn.engines.protocol import Costs, EngineUnavailable, Kind, Plan, Sums
from dpnn.engines.worker import Program
from dpnn.extras import normalization
from dpnn.training.checkpoints import Checkpoint, Progress
from dpnn.training.feed import Feed
from dpnn.training.history import advice, ledger
from dpnn.training.update import Update

if TYPE_CHECKING:
    from dpnn.training.trainer import Trainer


class Fit:
    """Driver. Holds the engine and the state while a fit runs; `run` once, then `close`."""

    def __init__(self, trainer: Trainer, network: nn.Network, feed: Feed) -> None:
        self.trainer, self.network, self.feed = trainer, network, feed
        self.program = Program(
            trainer.model,
            network.input_shape,
            trainer.loss,
            seed=trainer.seed,
            micro_batch=trainer.micro_batch,
            device=trainer.device,
        )
        self.update = Update(
            network.layout, trainer.optimizer, clip_norm=trainer.clip_norm, ema=trainer.ema
        )
        self.engine_name = trainer.engine
        self._open(trainer.engine, network.weights)
        self.state = self.update.start(self._weights)
        self.progress = Progress()
        self._update_seconds = 0.0

    def run(self) -> np.ndarray:
        """All epochs; returns the weights to keep."""
        trainer = self.trainer
        checkpoint = None
        if trainer.checkpoints is not None:
            checkpoint = Checkpoint(trainer.checkpoints, self._training())
            self.progress = checkpoint.restore(self.state)
        progress = self.progress
        if progress.epoch == 0:
            self._moments()
        steps = max(1, ceil(self.feed.num_rows / trainer.batch_size))
        while progress.epoch < trainer.epochs and not self._stalled():
            row = self._epoch(progress.epoch + 1, steps)
            progress.history.append(row)
            progress.epoch += 1
            self._judge(row)
            if checkpoint is not None:
                checkpoint.save(self.state, progress)
        return self.state.best.copy() if progress.best is None else progress.best

    def _judge(self, row: dict[str, Any]) -> None:
        """Tell the schedule, and remember the best epoch where `patience` asks for it."""
        loss = row.get("val_loss", row["loss"])
        self.trainer.optimizer.observe(self.state.optimizer, loss)
        if self.trainer.patience is None:
            return
        progress = self.progress
        progress.stale += 1
        if loss < progress.best_loss:
            progress.best, progress.best_loss, progress.stale = self.state.best.copy(), loss, 0

    def _stalled(self) -> bool:
        patience = self.trainer.patience
        return patience is not None and self.progress.stale >= patience

    def _training(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be this training's."""
        trainer = self.trainer
        names = ("seed", "batch_size", "micro_batch", "ema", "clip_norm")
        return {
            **{name: nn.to_spec(getattr(trainer, name)) for name in ("model", "loss", "optimizer")},
            **{name: getattr(trainer, name) for name in names},
            "input_shape": self.network.input_shape,
            "rows": self.feed.rows_of_shards,
        }

    def close(self) -> None:
        self.engine.close()

    def _epoch(self, epoch: int, steps: int) -> dict[str, Any]:
        self.engine.costs = Costs()
        self._update_seconds, start = 0.0, perf_counter()
        tail = np.zeros(0)
        quiet = None if self.trainer.progress is None else not self.trainer.progress
        title = f"epoch {epoch}/{self.trainer.epochs}"
        with tqdm(total=steps, desc=title, unit="step", disable=quiet) as bar:
            for step in range(steps):
                sums = self._step(Plan(Kind.TRAIN, epoch, step, steps))
                tail = sums.tail.copy() if step == 0 else tail + sums.tail
                self._apply(sums)
                bar.update()
            seconds = perf_counter() - start
            row: dict[str, Any] = {"epoch": epoch, **metrics.means(self.trainer.loss, tail)}
            if self.feed.validation is not None:
                held = self._evaluate(epoch)
                row.update({f"val_{name}": value for name, value in held.items()})
            row["seconds"] = round(seconds, 4)
            row["costs"] = ledger(self.engine.costs, self._update_seconds, seconds)
            bar.set_postfix_str(_figures(row))
        return row

    def _apply(self, sums: Sums) -> None:
        start = perf_counter()
        self.update(self.state, sums)
        self._update_seconds += perf_counter() - start

    def _evaluate(self, epoch: int) -> dict[str, float]:
        """Loss and metrics of the validation rows, by the averaged weights where there are any."""
        state, kept = self.state, None
        if state.average is not None:
            kept = state.weights.copy()
            state.weights[...] = state.average
        try:
            tail = self._step(Plan(Kind.EVALUATE, epoch)).tail
        finally:
            if kept is not None:
                self.state.weights[...] = kept
        return metrics.means(self.trainer.loss, tail)

    def _moments(self) -> None:
        """Mean and variance for Normalization layers: one pass over the training shards."""
        if not normalization.moments_size(self.network.layout):
            return
        tail = self._step(Plan(Kind.MOMENTS)).tail
        moments, count = tail[metrics.HEAD :], tail[metrics.ROWS]
        normalization.set_moments(self.network.layout, self.state.weights, moments, count)

    def _step(self, plan: Plan) -> Sums:
        try:
            return self.engine.step(self._weights, plan)
        except EngineUnavailable as error:
            weights = self._weights.copy()
            self.engine.close()
            tqdm.write(f"dpnn: {error}; going on with the job engine")
            self._open("job", weights)
            self.state.weights = self._weights
            return self.engine.step(self._weights, plan)

    def _open(self, name: str, weights: np.ndarray) -> None:
        """Make the engine, and move the weights to where it reads them without a copy."""
        feed = self.feed
        self.engine, self.engine_name, reason = open_engine(
            name, self.program, feed.train, feed.validation
        )
        if reason and self.trainer.progress is not False:
            tqdm.write(f"dpnn: engine {self.engine_name}: {reason}")
        self._weights = self.engine.allocate(weights.size)
        self._weights[...] = weights


def _figures(row: dict[str, Any]) -> str:
    names = ("loss", "accuracy", "rmse", "val_loss", "val_accuracy", "val_rmse")
    figures = [f"{name} {row[name]:.4g}" for name in names if name in row]
    costs = row["costs"]
    exchange = costs["send"] + costs["sum"] + costs["rest"]
    figures.append(f"compute {costs['compute']:.3g} + exchange {exchange:.3g} ms/step")
    hint = advice(costs)
    return ", ".join(figures) + (f" ({hint})" if hint else "")
