"""What a run file says, once it is read: the data, the model, the training, the outputs. Driver."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from dpnn import nn
from dpnn.spark import files
from dpnn.training import checkpoints
from dpnn.training.trainer import Trainer


class ConfigError(ValueError):
    """A run file that cannot be run. One line: the key, the file, the cure."""


@dataclasses.dataclass(frozen=True)
class Data:
    """train and validation are Parquet paths; validation may name a boolean column of train.

    where: a SQL condition on the rows of both.
    """

    train: str | None = None
    validation: str | None = None
    inputs: str | list[str] | dict[str, Any] | None = None
    label: str | list[str] | None = None
    weight: str | None = None
    where: str | None = None


@dataclasses.dataclass(frozen=True)
class Output:
    """Where the model, the checkpoints' folder and the history (JSON) go."""

    model: str = "runs/model.safetensors"
    checkpoints: str | None = None
    history: str | None = None

    def check_writable(self) -> None:
        """OSError where one of them could not be written: before hours of work, not after."""
        checkpoint = None if self.checkpoints is None else f"{self.checkpoints}/{checkpoints.NAME}"
        paths = [path for path in (self.model, checkpoint, self.history) if path is not None]
        real = [os.path.realpath(here) if (here := files.local(p)) else p for p in paths]
        if len(set(real)) < len(real):
            raise ConfigError(f"two outputs would be the same file: {', '.join(paths)}")
        for path in paths:
            files.check_writable(path)


@dataclasses.dataclass(frozen=True)
class Run:
    """A checked run file. `settings` are the arguments of `Trainer` other than the model."""

    name: str
    data: Data
    model: nn.Layer
    settings: dict[str, Any]
    num_shards: int | None
    output: Output

    def trainer(self, **more: Any) -> Trainer:
        given = {"checkpoints": self.output.checkpoints, **self.settings, **more}
        return Trainer(self.model, **given)
