"""What a run file says, once it is read: the data, the model, the training, the outputs. Driver."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from dpnn import nn, recipes
from dpnn.data.dataset import Dataset
from dpnn.data.encoders.wishes import columns
from dpnn.data.saying import say
from dpnn.spark import files
from dpnn.spark.waiting import Waiting
from dpnn.training import checkpoints
from dpnn.training.checks import class_count
from dpnn.training.result import Result
from dpnn.training.trainer import Trainer


class ConfigError(ValueError):
    """A run file that cannot be run. One line: the key, the file, the cure."""


@dataclasses.dataclass(frozen=True)
class Data:
    """train and validation are Parquet paths; validation may name a boolean column of train, or be
    a share of its rows.

    inputs                      columns as they are
    numeric, categorical, date  or raw columns, as in `dpnn.columns`; none of them: by type
    where                       a SQL condition on the rows of both
    """

    train: str | None = None
    validation: str | float | None = None
    inputs: str | list[str] | dict[str, Any] | None = None
    numeric: list[str] | None = None
    categorical: list[str] | None = None
    date: list[str] | None = None
    label: str | list[str] | None = None
    weight: str | None = None
    where: str | None = None

    @property
    def columns(self) -> Any:
        """The inputs as `Dataset` takes them."""
        if self.inputs is not None:
            return self.inputs
        return columns(self.numeric or (), self.categorical or (), self.date or ())


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
class Recipe:
    """A recipe of `dpnn.recipes` by its name, and its options."""

    name: str
    options: dict[str, Any]

    def settings(self, given: dict[str, Any], facts: recipes.Facts) -> dict[str, Any]:
        """The arguments of `Trainer`: those of the file before those of the recipe."""
        made = recipes.make(facts, self.name, **self.options)
        given = dict(given)
        if "loss" in given:
            made = recipes.with_loss(made, given.pop("loss"))
        if "schedule" in given:
            rate = given.pop("schedule")
            made["optimizer"] = dataclasses.replace(made["optimizer"], learning_rate=rate)
        return {**made, **given}

    def facts(self, given: dict[str, Any], dataset: Dataset) -> recipes.Facts:
        """Of rows that were read. A loss that the file names says what a label of numbers is."""
        task = given["loss"].task if "loss" in given else None
        if task != "classes":
            return recipes.Facts.of(dataset, task)
        return recipes.Facts.of(dataset, task, class_count(dataset))


@dataclasses.dataclass(frozen=True)
class Run:
    """A checked run file. `settings` are the arguments of `Trainer` other than the model.

    model   the layers, or how a recipe makes them of the rows that were read
    """

    name: str
    data: Data
    model: nn.Layer | Recipe
    settings: dict[str, Any]
    num_shards: int | None
    output: Output

    def trainer(self, dataset: Dataset | None = None, **more: Any) -> Trainer:
        """dataset: the rows that a recipe must know."""
        settings: dict[str, Any] = {"model": self.model, **self.settings}
        if isinstance(self.model, Recipe):
            if dataset is None:
                raise ValueError("a recipe makes the model of rows: give trainer(dataset), or fit")
            settings = self.model.settings(self.settings, self.model.facts(self.settings, dataset))
            if not dataset.has("validation") and "patience" not in self.settings:
                settings["patience"] = None
        return Trainer(**{"checkpoints": self.output.checkpoints, **settings, **more})

    def fit(self, data: Any, validation: Any = None) -> Result:
        """Train on a DataFrame, or a table, with the columns that the file names."""
        named = self.data.columns, self.data.label, self.data.weight, validation, self.num_shards
        if not isinstance(self.model, Recipe):
            return self.trainer().fit(data, *named)
        progress = self.settings.get("progress")
        with Waiting(None if progress is False else say) as waiting:
            with waiting.over("reading the data"):
                dataset = Dataset(data, *named, progress)
            with dataset:
                return self.trainer(dataset).fit(dataset)
