"""NeuralNetworkRegressor: numbers by any network, from raw columns or a features' column."""

from __future__ import annotations

from typing import Any, Self

from pyspark import keyword_only
from pyspark.ml.regression import RegressionModel, Regressor
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame
from pyspark.sql import types as T

from dpnn import nn, recipes
from dpnn.data.columns import find
from dpnn.data.dataset import Dataset
from dpnn.ml.estimator import NetworkEstimator
from dpnn.ml.models import NetworkModel
from dpnn.training.result import Result


class NeuralNetworkRegressor(
    NetworkEstimator, Regressor, DefaultParamsWritable, DefaultParamsReadable
):
    """The label is a number; predictions are in its own units."""

    _input_kwargs: dict[str, Any]

    @keyword_only
    def __init__(self, **params: Any) -> None:
        super().__init__()
        self._set_defaults()
        self.setParams(**self._input_kwargs)

    @keyword_only
    def setParams(self, **params: Any) -> Self:
        return self._set(**self._input_kwargs)

    def _read(self, df: DataFrame) -> Dataset:
        label = find(df, self.getLabelCol())
        if isinstance(label.dataType, T.StringType):
            raise ValueError(
                f"label column {label.name!r} is string: a regressor's label is a number: cast it, "
                "e.g. cast('double'), or take NeuralNetworkClassifier"
            )
        return super()._read(df)

    def _task(self, data: Dataset) -> tuple[recipes.Task, int]:
        return "values", 1

    def _loss(self, data: Dataset) -> nn.Loss:
        return nn.MeanSquaredError()

    def _model(self, result: Result, data: Dataset) -> NeuralNetworkRegressionModel:
        facts = {"history": dict(result.history), "bestEpoch": result.best_epoch}
        return NeuralNetworkRegressionModel(result.model, facts)


class NeuralNetworkRegressionModel(NetworkModel, RegressionModel):
    """A trained regressor."""

    def __init__(self, trained: Any = None, facts: dict[str, Any] | None = None) -> None:
        super().__init__(trained, facts)
        self._set_defaults()

    def predict(self, value: Any) -> float:
        """The number of one row: a features' vector, or {column: value}."""
        return float(self.trained.predict(self._table(value)).reshape(-1)[0])

    def _transform(self, dataset: DataFrame) -> DataFrame:
        name = self.getPredictionCol()
        return self._beside(dataset, {name: "prediction"}, set()) if name else dataset
