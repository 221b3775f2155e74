"""What every network model does in a pipeline: columns beside a DataFrame's, by a trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.ml.functions import array_to_vector
from pyspark.ml.linalg import DenseVector
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dpnn.data.encoders.encoders import Encoders
from dpnn.data.tables import names_of, wanted
from dpnn.ml.params import NetworkParams
from dpnn.ml.persistence import ModelReader, ModelWriter
from dpnn.ml.summary import TrainingSummary
from dpnn.models.model import TrainedModel

if TYPE_CHECKING:
    import pandas as pd


class NetworkModel(NetworkParams, MLWritable, MLReadable[Any]):
    """Mixed into the models: `trained` is what scores, `facts` what else is known of the fit."""

    def __init__(
        self, trained: TrainedModel | None = None, facts: dict[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.trained: Any = trained
        self._known = facts or {}

    @property
    def numFeatures(self) -> int:
        """Raw columns, or numbers of the features' vector."""
        inputs = self.trained.columns.inputs
        if isinstance(inputs, Encoders):
            return len(inputs.numbers) + len(inputs.categories)
        shape = self.trained.network.input_shape
        shapes = shape.values() if isinstance(shape, dict) else [shape]
        return sum(int(np.prod(one)) for one in shapes)

    @property
    def hasSummary(self) -> bool:
        return "history" in self._known

    @property
    def summary(self) -> TrainingSummary:
        if not self.hasSummary:
            raise RuntimeError(f"no training summary for {self.uid}")
        return TrainingSummary(self._known["history"], self._known["bestEpoch"])

    def evaluate(self, dataset: DataFrame) -> dict[str, Any]:
        """The loss and all metrics of labelled rows, each counting alike."""
        return self.trained.evaluate(self._renamed(dataset), label=self.getLabelCol())

    def importance(
        self, dataset: DataFrame, metricName: str | None = None, seed: int = 0
    ) -> pd.DataFrame:
        """What a metric loses once a column's values are dealt to other rows: `column` and
        `importance`, the highest first. `TrainedModel.importance` says more.
        """
        label = self.getLabelCol()
        return self.trained.importance(self._renamed(dataset), metricName, label=label, seed=seed)

    def write(self) -> MLWriter:
        return ModelWriter(self)

    @classmethod
    def read(cls) -> MLReader[Any]:
        return ModelReader(cls)

    def _facts(self) -> dict[str, Any]:
        return self._known

    def _renamed(self, df: DataFrame) -> DataFrame:
        """With the features' column under the name that it had in training."""
        names = self._features()
        if len(names) == 1 and names[0] not in df.columns and self.getFeaturesCol() in df.columns:
            return df.withColumnRenamed(self.getFeaturesCol(), names[0])
        return df

    def _features(self) -> list[str]:
        return names_of(wanted(self.trained.columns.inputs))

    def _beside(self, df: DataFrame, outputs: dict[str, str], vectors: set[str]) -> DataFrame:
        """`df` with outputs of the model, as vectors where it is one of `vectors`."""
        (before, name) = (self.getFeaturesCol(), self._features()[0])
        made = self.trained.transform(self._renamed(df), outputs=outputs)
        if name not in df.columns and before in df.columns:
            made = made.withColumnRenamed(name, before)
        for column in vectors:
            made = made.withColumn(column, array_to_vector(F.col(f"`{column}`")))
        return made

    def _table(self, value: Any) -> pa.Table:
        """One row for the model: a vector or array of features, or {column: value}."""
        if isinstance(value, dict):
            return pa.table({name: [value[name]] for name in self._features()})
        numbers = value.toArray() if hasattr(value, "toArray") else np.asarray(value, float)
        return pa.table({self._features()[0]: [numbers.tolist()]})

    def _vector(self, numbers: np.ndarray) -> DenseVector:
        return DenseVector(np.asarray(numbers, float).reshape(-1))
