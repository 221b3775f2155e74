"""What a fit leaves behind, as pyspark.ml's training summaries name it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F


@dataclass(frozen=True)
class TrainingSummary:
    """The figures of each epoch.

    objectiveHistory   the training loss
    validationHistory  {metric: values} of the validation rows; empty without any
    totalIterations    how many epochs, of L-BFGS iterations, there were
    bestEpoch          whose weights the model has
    """

    history: dict[str, list[Any]]
    bestEpoch: int  # noqa: N815

    @property
    def objectiveHistory(self) -> list[float]:
        return list(self.history["loss"])

    @property
    def validationHistory(self) -> dict[str, list[float]]:
        named = {k.removeprefix("val_"): v for k, v in self.history.items() if k[:4] == "val_"}
        return {name: list(values) for name, values in named.items()}

    @property
    def totalIterations(self) -> int:
        return len(self.history["loss"])


class ClassificationSummary:
    """How good predictions are, by MLlib's names; rows count alike. One job, at the first figure.

    predictions   the rows with their predictions
    labels        the true ones that there are, ascending: the order of all figures by label
    """

    weightCol = ""  # noqa: N815

    def __init__(self, predictions: DataFrame, labelCol: str, predictionCol: str) -> None:
        self.predictions = predictions
        self.labelCol, self.predictionCol = labelCol, predictionCol

    @property
    def labels(self) -> list[float]:
        return self._counts[0].tolist()

    @property
    def accuracy(self) -> float:
        return float(self._hits.sum() / self._rows.sum())

    @property
    def truePositiveRateByLabel(self) -> list[float]:
        return (self._hits / self._rows).tolist()

    @property
    def recallByLabel(self) -> list[float]:
        return self.truePositiveRateByLabel

    @property
    def falsePositiveRateByLabel(self) -> list[float]:
        others = self._rows.sum() - self._rows
        return _share(self._said - self._hits, others).tolist()

    @property
    def precisionByLabel(self) -> list[float]:
        return _share(self._hits, self._said).tolist()

    def fMeasureByLabel(self, beta: float = 1.0) -> list[float]:
        square = beta * beta
        precision, recall = np.array([self.precisionByLabel, self.recallByLabel])
        return _share((1 + square) * precision * recall, square * precision + recall).tolist()

    @property
    def weightedTruePositiveRate(self) -> float:
        return self._mean(self.truePositiveRateByLabel)

    @property
    def weightedRecall(self) -> float:
        return self.weightedTruePositiveRate

    @property
    def weightedFalsePositiveRate(self) -> float:
        return self._mean(self.falsePositiveRateByLabel)

    @property
    def weightedPrecision(self) -> float:
        return self._mean(self.precisionByLabel)

    def weightedFMeasure(self, beta: float = 1.0) -> float:
        return self._mean(self.fMeasureByLabel(beta))

    @cached_property
    def _counts(self) -> tuple[np.ndarray, ...]:
        """(C,) labels; and of each the rows, those that were told as such, and those rightly."""
        pair = [F.col(f"`{name}`").cast("double") for name in (self.labelCol, self.predictionCol)]
        rows = self.predictions.groupBy(pair[0].alias("y"), pair[1].alias("p")).count().collect()
        y, p, n = np.array([tuple(row) for row in rows], float).reshape(-1, 3).T
        labels = np.unique(y)
        return (
            labels,
            np.array([n[y == label].sum() for label in labels]),
            np.array([n[p == label].sum() for label in labels]),
            np.array([n[(y == label) & (p == label)].sum() for label in labels]),
        )

    @property
    def _rows(self) -> np.ndarray:
        return self._counts[1]

    @property
    def _said(self) -> np.ndarray:
        return self._counts[2]

    @property
    def _hits(self) -> np.ndarray:
        return self._counts[3]

    def _mean(self, by_label: list[float]) -> float:
        return float(np.average(by_label, weights=self._rows))


class PerceptronSummary(ClassificationSummary):
    """A perceptron's fit, and how good its predictions of the training rows are.

    judged   what `ClassificationSummary` takes; None where the training rows are not known
    """

    def __init__(self, fit: TrainingSummary, judged: tuple[DataFrame, str, str] | None) -> None:
        self.objectiveHistory = fit.objectiveHistory
        self.totalIterations = fit.totalIterations
        if judged is not None:
            super().__init__(*judged)

    def __getattr__(self, name: str) -> Any:
        if name in ("predictions", "labelCol", "predictionCol"):
            raise RuntimeError("no figures of the training rows: the model was loaded")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole; 0 of nothing."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
