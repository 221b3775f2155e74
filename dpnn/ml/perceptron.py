"""MultilayerPerceptronClassifier with MLlib's signature: to change over, change the import line.

Sigmoid hidden layers and softmax, as there; how they are trained is in `solvers`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Self

import numpy as np
from pyspark import keyword_only
from pyspark.ml.classification import (
    ProbabilisticClassifier,
    _MultilayerPerceptronParams,
)
from pyspark.ml.linalg import DenseVector
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame

from dpnn import nn
from dpnn.data.dataset import Dataset
from dpnn.ml.checked import CheckedParams
from dpnn.ml.classification import NeuralNetworkClassificationModel
from dpnn.ml.reading import ReadsOnce
from dpnn.ml.solvers import SOLVERS, Solver
from dpnn.ml.summary import ClassificationSummary, PerceptronSummary


class _Setters(CheckedParams, _MultilayerPerceptronParams):
    def setMaxIter(self, value: int) -> Self:
        return self._set(maxIter=value)

    def setTol(self, value: float) -> Self:
        return self._set(tol=value)

    def setSeed(self, value: int) -> Self:
        return self._set(seed=value)

    def setLayers(self, value: list[int]) -> Self:
        return self._set(layers=value)

    def setBlockSize(self, value: int) -> Self:
        return self._set(blockSize=value)

    def setStepSize(self, value: float) -> Self:
        return self._set(stepSize=value)

    def setSolver(self, value: str) -> Self:
        return self._set(solver=value)

    def setInitialWeights(self, value: Any) -> Self:
        return self._set(initialWeights=value)


class MultilayerPerceptronClassifier(
    ReadsOnce, ProbabilisticClassifier, _Setters, DefaultParamsWritable, DefaultParamsReadable
):
    """layers has the sizes of all layers, inputs and outputs included; labels are 0, 1, …

    blockSize, how MLlib stacks rows for its matrix products, has no meaning here.
    """

    _input_kwargs: dict[str, Any]

    @keyword_only
    def __init__(
        self,
        *,
        featuresCol: str = "features",
        labelCol: str = "label",
        predictionCol: str = "prediction",
        maxIter: int = 100,
        tol: float = 1e-6,
        seed: int | None = None,
        layers: list[int] | None = None,
        blockSize: int = 128,
        stepSize: float = 0.03,
        solver: str = "l-bfgs",
        initialWeights: Any = None,
        probabilityCol: str = "probability",
        rawPredictionCol: str = "rawPrediction",
    ) -> None:
        super().__init__()
        self._setDefault(seed=0)
        self.setParams(**self._input_kwargs)

    @keyword_only
    def setParams(self, **params: Any) -> Self:
        return self._set(**self._input_kwargs)

    def _read(self, df: DataFrame) -> Dataset:
        return Dataset(df, self.getFeaturesCol(), self.getLabelCol())

    def _train(self, data: Dataset, df: DataFrame) -> MultilayerPerceptronClassificationModel:
        sizes = self._sizes()
        if data.input_shape != (sizes[0],):
            raise ValueError(
                f"layers begin with {sizes[0]}, but column {self.getFeaturesCol()!r} has rows "
                f"of {data.input_shape}"
            )
        layers: list[nn.Layer] = []
        for size in sizes[1:-1]:
            layers += [nn.Dense(size), nn.Sigmoid()]
        result = self._solver(sizes).fit([*layers, nn.Dense(sizes[-1])], data)
        facts = {
            "labels": [str(k) for k in range(sizes[-1])],
            "history": dict(result.history),
            "bestEpoch": result.best_epoch,
            "layers": sizes,
        }
        model = MultilayerPerceptronClassificationModel(result.model, facts)
        model._resetUid(self.uid)
        model._trained_on = df
        return self._copyValues(model)

    def _sizes(self) -> list[int]:
        if not self.isDefined(self.layers) or not self.getOrDefault(self.layers):
            raise ValueError(
                "layers must be set: the sizes of all layers, e.g. layers=[784, 64, 10]"
            )
        sizes = list(self.getLayers())
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"layers has sizes of at least two layers, from 1 on, got {sizes}")
        return sizes

    def _solver(self, sizes: list[int]) -> Solver:
        if self.getSolver() not in SOLVERS:
            raise ValueError(f"solver is one of {SOLVERS}, not {self.getSolver()!r}")
        return Solver(
            self.getSolver(),
            self.getMaxIter(),
            self.getTol(),
            self.getStepSize(),
            self.getSeed() & 0x7FFFFFFF,
            self._first_weights(sizes),
        )

    def _first_weights(self, sizes: list[int]) -> np.ndarray | None:
        if not self.isDefined(self.initialWeights) or self.getInitialWeights() is None:
            return None
        weights = np.asarray(self.getInitialWeights().toArray(), np.float32)
        wanted = sum((a + 1) * b for a, b in pairwise(sizes))
        if len(weights) != wanted:
            raise ValueError(
                f"initialWeights has {len(weights)} numbers, but layers {sizes} have {wanted}"
            )
        return weights


class MultilayerPerceptronClassificationModel(NeuralNetworkClassificationModel, _Setters):
    """A trained perceptron; `evaluate` and `summary` are MLlib's, `trained.evaluate` is dpnn's."""

    _trained_on: DataFrame | None = None

    @property
    def weights(self) -> DenseVector:
        """The weights of all layers, each layer's matrix before its biases."""
        return DenseVector(np.asarray(self.trained.weights, float))

    def getLayers(self) -> list[int]:
        return list(self._known["layers"])

    def evaluate(self, dataset: DataFrame) -> ClassificationSummary:  # type: ignore[override]
        """Figures of labelled rows, by MLlib's names."""
        return ClassificationSummary(*self._judged(dataset))

    def summary(self) -> PerceptronSummary:  # type: ignore[override]  # a method, as MLlib has it
        """Of the fit; without figures of the training rows where the model was loaded."""
        judged = None if self._trained_on is None else self._judged(self._trained_on)
        return PerceptronSummary(super().summary, judged)

    def _judged(self, df: DataFrame) -> tuple[DataFrame, str, str]:
        """What `ClassificationSummary` takes."""
        name = self.getPredictionCol() or f"{self.uid}_prediction"
        predicted = self.copy({self.predictionCol: name}).transform(df)
        return predicted, self.getLabelCol(), name
