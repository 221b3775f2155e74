"""One fit: epochs of steps over an engine, validation, history, fall-back."""

from __future__ import annotations

import sys
from math import ceil, inf, isfinite
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from dpnn import nn
from dpnn.engines.open import open_engine
from dpnn.engines.protocol import Costs, EngineUnavailable, Kind, Plan, ShardError, Sums
from dpnn.engines.worker import Program
from dpnn.nn.more import metrics, normalization
from dpnn.nn.more.lbfgs import LBFGS
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
        self._open(trainer.engine)
        try:
            self._weights = self.engine.allocate(network.weights.size)  # read without a copy
            self._weights[...] = network.weights
            self.state = self.update.start(self._weights)
        except BaseException:
            self.engine.close()
            raise
        self.progress = Progress()
        self._update_seconds = 0.0

    def run(self) -> np.ndarray:
        """All epochs; returns the weights to keep."""
        trainer = self.trainer
        checkpoint = None
        if trainer.checkpoints is not None:
            checkpoint = Checkpoint(trainer.checkpoints, self._training())
            self.progress = checkpoint.restore(self.state)
            if self.progress.epoch > trainer.epochs:
                raise ValueError(
                    f"{checkpoint.path} has {self.progress.epoch} epochs already, more than "
                    f"epochs={trainer.epochs}: ask for more, or name another folder"
                )
        progress = self.progress
        if trainer.patience is None:  # an earlier fit may have had some
            progress.best, progress.best_loss, progress.stale = None, inf, 0
        if progress.epoch == 0:
            self._moments()
        self.full_batch = isinstance(trainer.optimizer, LBFGS)
        batch = self.feed.num_rows if self.full_batch else trainer.batch_size
        steps = max(1, ceil(self.feed.num_rows / batch))
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
            "data": self.feed.checksum,
        }

    def close(self) -> None:
        self.engine.close()

    def _epoch(self, epoch: int, steps: int) -> dict[str, Any]:
        self.engine.costs = Costs()
        self._update_seconds, start = 0.0, perf_counter()
        tail: Any = 0.0
        quiet = None if self.trainer.progress is None else not self.trainer.progress
        title = f"epoch {epoch}/{self.trainer.epochs}"
        with tqdm(total=steps, desc=title, unit="step", disable=quiet) as bar:
            for step in range(steps):
                tail = tail + self._train(epoch, step, steps)
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

    def _train(self, epoch: int, step: int, steps: int) -> np.ndarray:
        """One update; returns the tail of its rows, from before it."""
        if self.full_batch:
            return self._iterate()
        sums = self._step(Plan(Kind.TRAIN, epoch, step, steps))
        start = perf_counter()
        self.update(self.state, sums)
        self._update_seconds += perf_counter() - start
        return sums.tail.copy()

    def _iterate(self) -> np.ndarray:
        """One iteration of a full-batch optimizer; the tail is that of the weights it goes to."""
        tails: dict[float, np.ndarray] = {}  # by the loss

        def evaluate() -> tuple[float, np.ndarray]:
            trial = int("value" in self.state.optimizer)  # else there is no step to take back
            sums = self._step(Plan(Kind.TRAIN, trial=trial))  # always the same Dropout masks
            assert sums.flat is not None
            metrics.check_weight_sum(sums.tail)
            value = float(sums.tail[metrics.LOSS] / sums.tail[metrics.WEIGHT])
            if not (isfinite(value) and np.isfinite(sums.flat).all()):
                if not trial:
                    raise ShardError(
                        f"L-BFGS cannot begin: the loss is {value:g}, and it or its gradient too "
                        "large for float32: scale the inputs and the targets"
                    )
                return inf, np.zeros(self.network.layout.trained, np.float32)
            tails[value] = sums.tail.copy()
            return value, self.update.mean_gradient(self.state, sums)

        weights = self.state.weights[: self.network.layout.trained]
        assert isinstance(self.trainer.optimizer, LBFGS)
        value = self.trainer.optimizer.iterate(self.state.optimizer, weights, evaluate)
        if value not in tails:  # it can't go on: the figures are those of where it stands
            value, _ = evaluate()
        return tails[value]

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
        if not normalization.moments_size(self.network):
            return
        tail = self._step(Plan(Kind.MOMENTS)).tail
        moments, count = tail[metrics.HEAD :], tail[metrics.ROWS]
        normalization.set_moments(self.network, self.state.weights, moments, count)
        if self.state.average is not None:  # begins where the training does
            self.state.average[...] = self.state.weights

    def _step(self, plan: Plan) -> Sums:
        try:
            return self.engine.step(self._weights, plan)
        except EngineUnavailable as error:
            self.engine.close()
            self._open("job", f"{error}; going on with the job engine")
            return self.engine.step(self._weights, plan)

    def _open(self, name: str, why: str = "") -> None:
        self.engine, self.engine_name, reason = open_engine(
            name, self.program, self.feed.train, self.feed.validation
        )
        if (why or reason) and self.trainer.progress is not False:
            tqdm.write(f"dpnn: engine {self.engine_name}: {why or reason}", file=sys.stderr)


def _figures(row: dict[str, Any]) -> str:
    names = ("loss", "accuracy", "rmse", "val_loss", "val_accuracy", "val_rmse")
    figures = [f"{name} {row[name]:.4g}" for name in names if name in row]
    costs = row["costs"]
    exchange = costs["send"] + costs["sum"] + costs["rest"]
    figures.append(f"compute {costs['compute']:.3g} + exchange {exchange:.3g} ms/step")
    hint = advice(costs)
    return ", ".join(figures) + (f" ({hint})" if hint else "")
