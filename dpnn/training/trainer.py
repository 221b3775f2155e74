"""Trainer: what a user says of a training; `fit` carries it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from dpnn import nn
from dpnn.data.dataset import Dataset
from dpnn.data.roles import is_frame
from dpnn.data.saying import say
from dpnn.engines.open import require
from dpnn.models.model import TrainedModel
from dpnn.nn.core.fields import is_number
from dpnn.nn.core.spec import plain
from dpnn.nn.more import checks, normalization
from dpnn.spark.waiting import Waiting
from dpnn.training import rounds
from dpnn.training.checks import blurred, check_labels, unseen_classes
from dpnn.training.events import handlers
from dpnn.training.loop import Fit
from dpnn.training.result import Result

EngineName = Literal["auto", "local", "job", "resident", "frames"]
ENGINES = get_args(EngineName)
Wire = Literal["float32", "bfloat16", "int8"]
WIRES = get_args(Wire)


@dataclass
class Trainer:
    """Data-parallel training of `model`: synchronous, or in rounds of local steps.

    batch_size   rows of one step, over all shards; nn.LBFGS always takes all rows, so that an
                 epoch is one iteration
    local_steps  so many steps each shard takes on its own rows, with `optimizer`, between two
                 exchanges; "auto" takes as many as make the exchange a tenth of the time. The
                 result depends on it and on num_shards: see docs/local-steps.md
    outer        the optimizer that moves the weights once a round, by the mean of the shards'
                 moves (default: nn.SGD(0.7, momentum=0.9, nesterov=True))
    wire         "float32"; "bfloat16" or "int8" round what shards send to 2 bytes or 1 a number, by
                 chance: see docs/local-steps.md
    engine       "auto", "local", "job", "resident" or "frames": the same weights, bit for bit
    clip_norm    the largest global norm of a step's mean gradient
    micro_batch  the most rows of one pass on a shard; larger steps add up several passes
    ema          evaluate and keep an exponential moving average of the weights, e.g. 0.999
    patience     stop after so many epochs in which `monitor` has not become better, and keep the
                 weights of the best
    metrics      names of the validation rows' metrics (default: all that suit the loss)
    monitor      a figure of the history, e.g. "val_accuracy" (default: the validation loss, the
                 training loss where there is no validation)
    checkpoints  a folder (any file system that Spark reaches): the state after each epoch. A fit
                 that finds its own there goes on from it, bit for bit
    checkpoint_steps   save also after every so many steps
    callbacks    functions of an event, or objects with any of on_fit_start, on_engine, on_step,
                 on_epoch, on_fit_end: see dpnn.training.events
    device       "cpu", or "gpu" where the tasks have one and CuPy
    progress     show how the fit goes on: a live line in a terminal, a table in a notebook, else
                 a line an epoch
    """

    model: nn.Layer
    loss: nn.Loss
    optimizer: nn.Optimizer = field(default_factory=nn.Adam)
    batch_size: int = 128
    epochs: int = 10
    seed: int = 0
    engine: EngineName = "auto"
    clip_norm: float | None = None
    micro_batch: int = 1024
    ema: float | None = None
    metrics: list[str] | None = None
    patience: int | None = None
    monitor: str | None = None
    checkpoints: str | None = None
    checkpoint_steps: int | None = None
    local_steps: int | str | None = None
    outer: nn.Optimizer | None = None
    wire: Wire = "float32"
    callbacks: Sequence[Any] = ()
    device: str = "cpu"
    progress: bool | None = None

    def __post_init__(self) -> None:
        for name, kind in (("model", nn.Layer), ("loss", nn.Loss), ("optimizer", nn.Optimizer)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise TypeError(f"{name} must be a dpnn.nn {kind.__name__}, got {value!r}")
        whole = ("batch_size", "epochs", "micro_batch", "patience", "checkpoint_steps", "seed")
        for name in (*whole, "ema", "clip_norm"):
            setattr(self, name, plain(getattr(self, name)))
        for name in whole:
            value, least = getattr(self, name), int(name != "seed")
            if name in ("patience", "checkpoint_steps") and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number from {least}, got {value!r}")
        if self.device not in ("cpu", "gpu"):
            raise ValueError(f"device must be 'cpu' or 'gpu', got {self.device!r}")
        if self.checkpoints is not None and not str(self.checkpoints):
            raise ValueError("checkpoints must name a folder, got ''")
        if self.checkpoint_steps is not None and self.checkpoints is None:
            raise ValueError("checkpoint_steps needs checkpoints: name a folder")
        if self.monitor is not None and self.patience is None:
            raise ValueError("monitor is what patience watches: give patience, too")
        if isinstance(self.metrics, str):
            raise TypeError(f"metrics must be a list of names, got {self.metrics!r}")
        for i, callback in enumerate(self.callbacks):
            handlers(callback, f"callbacks[{i}]")
        self.local_steps = plain(self.local_steps)
        rounds.check(self.local_steps, self.outer, self.optimizer)
        self.optimizer.check(self.clip_norm, self.ema)
        if self.wire not in WIRES:
            raise ValueError(f"unknown wire {self.wire!r}{nn.nearest(self.wire, WIRES)}")
        if self.wire != "float32" and self.optimizer.full_batch:
            raise ValueError(
                f"wire={self.wire!r} rounds gradients by chance, and "
                f"optimizer={type(self.optimizer).__name__} searches along exact ones: leave wire "
                "out, or take nn.Adam() or nn.SGD()"
            )
        if self.engine not in ENGINES:
            known = nn.nearest(self.engine, ENGINES)
            raise ValueError(f"unknown engine {self.engine!r}{known}")
        if self.ema is not None and not (is_number(self.ema) and 0 <= self.ema < 1):
            raise ValueError(f"ema must be from 0 to below 1, got {self.ema!r}")
        if self.clip_norm is not None and not (is_number(self.clip_norm) and self.clip_norm > 0):
            raise ValueError(f"clip_norm must be above 0, got {self.clip_norm!r}")

    def fit(
        self,
        data: Any,
        inputs: Any = None,
        label: str | list[str] | None = None,
        weight: str | None = None,
        validation: Any = None,
        num_shards: int | None = None,
    ) -> Result:
        """Train from fresh weights.

        data        a Spark DataFrame, or NumPy arrays (X, y) or (X, y, row weights); or a Dataset
                    of them, which stays open
        inputs, label, weight, validation, num_shards    as of a Dataset

        ValueError and TypeError name what does not fit; ShardError what went wrong in a task.
        """
        told = (inputs, label, weight, validation, num_shards)
        with Waiting(None if self.progress is False else say) as waiting:
            if isinstance(data, Dataset):
                if any(one is not None for one in told):
                    raise TypeError("a Dataset knows its columns, splits and shards: give it alone")
                return self._fit(data, waiting)
            if is_frame(data):
                require(self.engine, data)
            shards = self._slots(data) if num_shards is None else num_shards
            with waiting.over("reading the data"):
                made = Dataset(data, *told[:4], shards, self.progress)
            with made:
                return self._fit(made, waiting)

    def _fit(self, data: Dataset, waiting: Waiting) -> Result:
        network = _built(self, data.input_shape)
        checks.check(network, self.loss)
        normalization.check(network.context)
        check_labels(data, network, self.loss)
        told = None if self.loss.task == "values" else unseen_classes(data)
        for line in (told, blurred(data, network)):
            if line and self.progress is not False:
                say(line)
        fit = Fit(self, network, data, waiting)
        try:
            state = fit.run()
            network.bind(state.kept.copy())
        finally:
            fit.close()
        model = TrainedModel(network, self.loss, data.columns, data.source)
        return Result(
            model,
            state.history,
            fit.runner.engine,
            data.num_shards,
            state.kept_epoch,
            tuple(state.history.engines),
            state.stopped,
        )

    def _slots(self, data: Any) -> int | None:
        """How many shards arrays are cut into, where an engine on Spark takes them."""
        if is_frame(data) or self.engine in ("auto", "local"):
            return None
        from dpnn.spark.session import Session

        return Session.made().expected_slots()


def _built(trainer: Trainer, shape: Any) -> nn.Network:
    """The model for rows of a shape, with fresh weights."""
    try:
        return trainer.model.build(shape, trainer.seed)
    except nn.ShapeError as error:
        if shape != ():
            raise
        cure = "a column of numbers, named alone, has rows of (): name it in a list, inputs=['…']"
        raise nn.ShapeError(f"{error}: {cure}") from None
