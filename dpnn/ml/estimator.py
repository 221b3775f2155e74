"""What every network estimator does: rows and their meaning from Params, then one `Trainer.fit`.

Driver. `NetworkEstimator` is mixed into the classifier and the regressor.
"""

from __future__ import annotations

import json
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dpnn import nn, recipes
from dpnn.data.checks import EmptySplit
from dpnn.data.columns import column_names
from dpnn.data.dataset import Dataset, by_type
from dpnn.data.encoders.wishes import columns
from dpnn.data.saying import say
from dpnn.ml.frames import all_known, held_out, is_wide
from dpnn.ml.params import INVALID, NetworkParams
from dpnn.ml.reading import ReadsOnce, fitted
from dpnn.training.result import Result
from dpnn.training.trainer import Trainer


class NetworkEstimator(ReadsOnce, NetworkParams):
    """Reads the rows once, trains a network, and makes the model."""

    def _read(self, df: DataFrame) -> Dataset:
        """The rows as shards."""
        inputs = self._inputs(df)
        used = column_names(inputs)
        if self.getHandleInvalid() not in INVALID:
            raise ValueError(f"handleInvalid is one of {INVALID}, not {self.getHandleInvalid()!r}")
        if self.getHandleInvalid() != "keep":
            df = all_known(df, used, skip=self.getHandleInvalid() == "skip")
        df, validation = held_out(df, self)
        weight = self.getWeightCol() if self.isDefined(self.weightCol) else None
        shards = self.getNumShards() or None
        rest = inputs, self.getLabelCol(), weight or None
        try:
            return Dataset(df, *rest, validation, shards)
        except EmptySplit:
            if self.isSet(self.validationFraction) or not isinstance(validation, float):
                raise
            say("a tenth of the rows, picked by content, is none of them: all train, none validate")
            return Dataset(df, *rest, None, shards)

    def _inputs(self, df: DataFrame) -> Any:
        """The column of features as it is for a network of one's own; else raw columns."""
        names = [self.getNumericCols(), self.getCategoricalCols(), self.getDateCols()]
        if any(names):
            return columns(*names)
        if self.isDefined(self.network):
            return self.getFeaturesCol()
        if self.getFeaturesCol() in df.columns:
            if is_wide(df, self.getFeaturesCol()):
                return {"numbers": self.getFeaturesCol()}
            return columns(numeric=[self.getFeaturesCol()])
        roles = (self.weightCol, self.validationIndicatorCol, self.timeCol, self.groupCol)
        used = [self.getOrDefault(role) for role in roles if self.isDefined(role)]
        return by_type(df, self.getLabelCol(), *filter(None, used))

    def _train(self, data: Dataset, df: DataFrame) -> Any:
        result = fitted(Trainer(**self._settings(data)), data)
        model = self._model(result, data)
        model._resetUid(self.uid)
        return self._copyValues(model)

    def _settings(self, data: Dataset) -> dict[str, Any]:
        """The arguments of `Trainer`."""
        settings = self._network(data)
        given = {"maxIter": "epochs", "batchSize": "batch_size", "seed": "seed", "engine": "engine"}
        given |= {"localSteps": "local_steps", "wire": "wire"}
        for name, argument in given.items():
            if self.isDefined(self.getParam(name)):
                self._check_count(name)
                settings[argument] = self.getOrDefault(name)
        if self.isDefined(self.loss):
            settings = recipes.with_loss(settings, named(self.getLoss()))
        if self.isDefined(self.optimizer):
            settings["optimizer"] = named(self.getOptimizer())
        if self.isDefined(self.learningRate):
            kind = nn.to_spec(settings["optimizer"])
            settings["optimizer"] = nn.from_spec({**kind, "learning_rate": self.getLearningRate()})
        settings["patience"] = self._patience(settings, data)
        if settings["patience"] and self.isDefined(self.metricName):
            settings["monitor"] = f"val_{self.getMetricName()}"
        settings["progress"] = False
        return settings

    def _check_count(self, name: str) -> None:
        value = self.getOrDefault(name)
        if name in ("maxIter", "batchSize") and value < 1:
            raise ValueError(f"{name} is at least 1, not {value}")

    def _patience(self, settings: dict[str, Any], data: Dataset) -> int | None:
        if not data.has("validation"):
            return None
        if self.isDefined(self.patience):
            return self.getPatience() or None
        return settings.get("patience")

    def _network(self, data: Dataset) -> dict[str, Any]:
        """Model, loss, optimizer and what else belongs to them, of rows that were read."""
        if self.isDefined(self.network):
            network = nn.from_spec(json.loads(self.getNetwork()))
            return {"model": network, "loss": self._loss(data), "optimizer": nn.Adam()}
        facts = recipes.Facts.of(data, *self._task(data))
        if self.isDefined(self.layers):
            return recipes.mlp(facts, tuple(self.getLayers()))
        if data.encoders is None and not self.isSet(self.recipe):
            return recipes.mlp(facts)
        return recipes.make(facts, self.getRecipe())

    def _task(self, data: Dataset) -> tuple[recipes.Task, int]:
        """What the label is, and how many outputs it takes."""
        raise NotImplementedError

    def _loss(self, data: Dataset) -> nn.Loss:
        """The loss where none is named, of a network of one's own."""
        raise NotImplementedError

    def _model(self, result: Result, data: Dataset) -> Any:
        raise NotImplementedError


def named(text: str) -> Any:
    """A loss or an optimizer by its name or the JSON of its spec."""
    return nn.from_spec(json.loads(text) if text.lstrip().startswith("{") else {"type": text})


def label_counts(df: DataFrame, label: str) -> dict[Any, int]:
    """How many rows each label has: one pass over its column."""
    rows = df.groupBy(F.col(f"`{label}`").alias("label")).count().collect()
    return {row["label"]: row["count"] for row in rows}
