"""NeuralNetworkClassifier: classes by any network, from raw columns or a features' column."""

from __future__ import annotations

import json
from typing import Any, Self

import numpy as np
from pyspark import keyword_only
from pyspark.ml.classification import ProbabilisticClassificationModel, ProbabilisticClassifier
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dpnn import nn, recipes
from dpnn.data.dataset import Dataset
from dpnn.data.saying import say
from dpnn.ml.estimator import NetworkEstimator, label_counts
from dpnn.ml.models import NetworkModel
from dpnn.models.outputs import raw
from dpnn.training.checks import class_count, unseen_classes
from dpnn.training.result import Result


def _class_weight(value: Any) -> str:
    """A map is kept as JSON."""
    if isinstance(value, dict):
        value = json.dumps({_name(label): weight for label, weight in value.items()})
    return TypeConverters.toString(value)


class ClassifierParams(Params):
    """What only classifiers can be told."""

    classWeight: Param[str] = Param(  # noqa: N815
        Params._dummy(),
        "classWeight",
        "'balanced', or {label: weight} as a map or its JSON: shows in the loss alone",
        typeConverter=_class_weight,
    )

    def getClassWeight(self) -> str:
        return self.getOrDefault(self.classWeight)

    def setClassWeight(self, value: str | dict[Any, float]) -> Self:
        return self._set(classWeight=value)


class NeuralNetworkClassifier(
    NetworkEstimator,
    ProbabilisticClassifier,
    ClassifierParams,
    DefaultParamsWritable,
    DefaultParamsReadable,
):
    """Labels are class numbers 0, 1, …, or strings or booleans, whose order `labels` of the model
    tells. Without validation rows (validationFraction=0) nothing is stopped early.
    """

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
        if self.isDefined(self.classWeight):
            self._counts = label_counts(df, self.getLabelCol())
        return super()._read(df)

    def _classes(self, data: Dataset) -> list[str]:
        """Their names: the encoders', or the numbers up to the highest label of any split."""
        if data.encoders is not None and data.encoders.classes:
            return list(data.encoders.classes)
        return [str(k) for k in range(class_count(data))]

    def _task(self, data: Dataset) -> tuple[recipes.Task, int]:
        count = class_count(data)
        if told := unseen_classes(data):
            say(told)
        return "classes", count

    def _loss(self, data: Dataset) -> nn.Loss:
        return nn.SoftmaxCrossEntropy()

    def _settings(self, data: Dataset) -> dict[str, Any]:
        settings = super()._settings(data)
        if self.isDefined(self.classWeight):
            weights = self._weights(self._classes(data))
            settings["loss"] = weighed(settings["loss"], weights)
        return settings

    def _weights(self, classes: list[str]) -> tuple[float, ...]:
        text = self.getClassWeight()
        if text == "balanced":
            counts = {_name(label): count for label, count in self._counts.items()}
            total = sum(counts.values())
            return tuple(total / (len(classes) * counts.get(name, total)) for name in classes)
        try:
            given = {label: float(weight) for label, weight in json.loads(text).items()}
        except (AttributeError, TypeError, ValueError):
            raise ValueError(
                f"classWeight is 'balanced' or a map of {{label: weight}}, not {text!r}"
            ) from None
        if missing := [name for name in classes if name not in given]:
            raise ValueError(f"classWeight has no weight for {', '.join(missing)}")
        return tuple(given[name] for name in classes)

    def _model(self, result: Result, data: Dataset) -> NeuralNetworkClassificationModel:
        facts = {
            "labels": self._classes(data),
            "history": dict(result.history),
            "bestEpoch": result.best_epoch,
        }
        return NeuralNetworkClassificationModel(result.model, facts)


class NeuralNetworkClassificationModel(
    NetworkModel, ProbabilisticClassificationModel, ClassifierParams
):
    """A trained classifier; `labels` are the names of its classes, by their numbers."""

    def __init__(self, trained: Any = None, facts: dict[str, Any] | None = None) -> None:
        super().__init__(trained, facts)
        self._set_defaults()

    @property
    def labels(self) -> list[str]:
        return list(self._known["labels"])

    @property
    def numClasses(self) -> int:
        return len(self._known["labels"])

    def predict(self, value: Any) -> float:
        """The class number of one row: a features' vector, or {column: value}."""
        return float(self._chosen(self.predictProbability(value).toArray()))

    def predictRaw(self, value: Any) -> Any:
        return self._vector(raw(self.trained.loss, self.trained.predict(self._table(value))))

    def predictProbability(self, value: Any) -> Any:
        return self._vector(self.trained.predict_probability(self._table(value)))

    def bestThreshold(self, dataset: DataFrame, metricName: str = "f1") -> float:
        """The probability of class 1 from which to say 1, for the best of "f1", "accuracy" or
        "balanced_accuracy" on these labelled rows; of two classes. Take rows that did not train:

            t = model.bestThreshold(held)
            model.setThresholds([1 - t, t])
        """
        label = self.getLabelCol()
        return self.trained.best_threshold(self._renamed(dataset), metricName, label=label)

    def _chosen(self, probability: np.ndarray) -> int:
        if self.isDefined(self.thresholds):
            probability = probability / np.array(self._limits())
        return int(probability.argmax())

    def _limits(self) -> list[float]:
        """What each class's probability is divided by before the largest share is chosen."""
        limits = self.getThresholds()
        if len(limits) != self.numClasses:
            raise ValueError(
                f"thresholds has {len(limits)} numbers, but the model has {self.numClasses} classes"
            )
        return [max(limit, 1e-300) for limit in limits]

    def _transform(self, dataset: DataFrame) -> DataFrame:
        meanings = "raw", "probability", "prediction"
        names = self.getRawPredictionCol(), self.getProbabilityCol(), self.getPredictionCol()
        wanted = {name: meaning for name, meaning in zip(names, meanings, strict=True) if name}
        if len(wanted) < sum(map(bool, names)):
            raise ValueError(f"two of the output columns have one name: {', '.join(names)}")
        vectors = {name for name, meaning in wanted.items() if meaning != "prediction"}
        chosen = self.getPredictionCol()
        if not (chosen and self.isDefined(self.thresholds)):
            return self._beside(dataset, wanted, vectors)
        wanted[chosen] = "probability"  # p / t, of which the largest is chosen
        made = self._beside(dataset, wanted, vectors)
        limits = F.array(*map(F.lit, self._limits()))
        shares = F.zip_with(F.col(f"`{chosen}`"), limits, lambda p, t: p / t)
        place = F.array_position(shares, F.array_max(shares)) - 1
        return made.withColumn(chosen, place.cast("double"))


def weighed(loss: Any, weights: tuple[float, ...]) -> nn.Loss:
    """The loss with weights of classes, also within one that wraps it."""
    spec = nn.to_spec(loss)
    if "loss" in spec:
        return nn.from_spec({**spec, "loss": nn.to_spec(weighed(loss.loss, weights))})
    return nn.from_spec({**spec, "class_weights": list(weights)})


def _name(label: Any) -> str:
    from dpnn.data.encoders.raw import text_of

    return text_of(label)
