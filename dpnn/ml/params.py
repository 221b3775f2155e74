# ruff: noqa: N815  (pyspark.ml names Params and their accessors so)
"""What the estimators can be told: Params as pyspark.ml has them, a getter and a setter each."""

from __future__ import annotations

from typing import Self

from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import (
    HasFeaturesCol,
    HasHandleInvalid,
    HasLabelCol,
    HasMaxIter,
    HasPredictionCol,
    HasSeed,
    HasValidationIndicatorCol,
    HasWeightCol,
)

from dpnn.ml.checked import CheckedParams

INVALID = ("error", "skip", "keep")


class NetworkParams(
    CheckedParams,
    HasLabelCol,
    HasFeaturesCol,
    HasPredictionCol,
    HasWeightCol,
    HasValidationIndicatorCol,
    HasSeed,
    HasMaxIter,
    HasHandleInvalid,
):
    """Params of every network estimator and its model.

    The rows come from featuresCol, a vector or an array of numbers; or raw, from numericCols,
    categoricalCols and dateCols, which encoders turn into numbers. The network is that of `network`
    (any), of `layers` (hidden layers with ReLU), or else of `recipe`.
    """

    numericCols: Param[list[str]] = Param(
        Params._dummy(),
        "numericCols",
        "columns of numbers, raw; with categoricalCols and dateCols in place of featuresCol",
        typeConverter=TypeConverters.toListString,
    )
    categoricalCols: Param[list[str]] = Param(
        Params._dummy(),
        "categoricalCols",
        "columns of categories: strings, whole numbers, booleans",
        typeConverter=TypeConverters.toListString,
    )
    dateCols: Param[list[str]] = Param(
        Params._dummy(),
        "dateCols",
        "columns of dates or timestamps",
        typeConverter=TypeConverters.toListString,
    )
    recipe: Param[str] = Param(
        Params._dummy(),
        "recipe",
        "the network where no layers are named: 'tabm', 'realmlp' or 'mlp'",
        typeConverter=TypeConverters.toString,
    )
    layers: Param[list[int]] = Param(
        Params._dummy(),
        "layers",
        "sizes of hidden layers, for a plain network with ReLU",
        typeConverter=TypeConverters.toListInt,
    )
    network: Param[str] = Param(
        Params._dummy(),
        "network",
        "any network, as the JSON of its spec (dpnn.nn.to_spec)",
        typeConverter=TypeConverters.toString,
    )
    loss: Param[str] = Param(
        Params._dummy(),
        "loss",
        "the loss, as its name or the JSON of its spec",
        typeConverter=TypeConverters.toString,
    )
    optimizer: Param[str] = Param(
        Params._dummy(),
        "optimizer",
        "the optimizer, as its name or the JSON of its spec",
        typeConverter=TypeConverters.toString,
    )
    learningRate: Param[float] = Param(
        Params._dummy(),
        "learningRate",
        "the optimizer's learning rate (> 0)",
        typeConverter=TypeConverters.toFloat,
    )
    batchSize: Param[int] = Param(
        Params._dummy(),
        "batchSize",
        "rows of one step, over all shards",
        typeConverter=TypeConverters.toInt,
    )
    localSteps: Param[int] = Param(
        Params._dummy(),
        "localSteps",
        "steps of each shard's own between two exchanges; weights depend on it",
        typeConverter=TypeConverters.toInt,
    )
    wire: Param[str] = Param(
        Params._dummy(),
        "wire",
        "'float32', 'bfloat16' or 'int8': what shards send; weights depend on it",
        typeConverter=TypeConverters.toString,
    )
    validationFraction: Param[float] = Param(
        Params._dummy(),
        "validationFraction",
        "share of the rows that validate, picked by content; 0: none",
        typeConverter=TypeConverters.toFloat,
    )
    timeCol: Param[str] = Param(
        Params._dummy(),
        "timeCol",
        "the rows latest by this column validate",
        typeConverter=TypeConverters.toString,
    )
    groupCol: Param[str] = Param(
        Params._dummy(),
        "groupCol",
        "rows that share a value of this column validate together or not at all",
        typeConverter=TypeConverters.toString,
    )
    metricName: Param[str] = Param(
        Params._dummy(),
        "metricName",
        "what early stopping watches on the validation rows",
        typeConverter=TypeConverters.toString,
    )
    patience: Param[int] = Param(
        Params._dummy(),
        "patience",
        "epochs without a better metric after which training stops; 0: never",
        typeConverter=TypeConverters.toInt,
    )
    engine: Param[str] = Param(
        Params._dummy(),
        "engine",
        "'auto', 'local', 'job' or 'resident': the same weights, bit for bit",
        typeConverter=TypeConverters.toString,
    )
    numShards: Param[int] = Param(
        Params._dummy(),
        "numShards",
        "slices of the rows; weights depend on it. 0: one a slot",
        typeConverter=TypeConverters.toInt,
    )

    def getNumericCols(self) -> list[str]:
        return self.getOrDefault(self.numericCols)

    def setNumericCols(self, value: list[str]) -> Self:
        return self._set(numericCols=value)

    def getCategoricalCols(self) -> list[str]:
        return self.getOrDefault(self.categoricalCols)

    def setCategoricalCols(self, value: list[str]) -> Self:
        return self._set(categoricalCols=value)

    def getDateCols(self) -> list[str]:
        return self.getOrDefault(self.dateCols)

    def setDateCols(self, value: list[str]) -> Self:
        return self._set(dateCols=value)

    def getRecipe(self) -> str:
        return self.getOrDefault(self.recipe)

    def setRecipe(self, value: str) -> Self:
        return self._set(recipe=value)

    def getLayers(self) -> list[int]:
        return self.getOrDefault(self.layers)

    def setLayers(self, value: list[int]) -> Self:
        return self._set(layers=value)

    def getNetwork(self) -> str:
        return self.getOrDefault(self.network)

    def setNetwork(self, value: str) -> Self:
        return self._set(network=value)

    def getLoss(self) -> str:
        return self.getOrDefault(self.loss)

    def setLoss(self, value: str) -> Self:
        return self._set(loss=value)

    def getOptimizer(self) -> str:
        return self.getOrDefault(self.optimizer)

    def setOptimizer(self, value: str) -> Self:
        return self._set(optimizer=value)

    def getLearningRate(self) -> float:
        return self.getOrDefault(self.learningRate)

    def setLearningRate(self, value: float) -> Self:
        return self._set(learningRate=value)

    def getBatchSize(self) -> int:
        return self.getOrDefault(self.batchSize)

    def setBatchSize(self, value: int) -> Self:
        return self._set(batchSize=value)

    def getLocalSteps(self) -> int:
        return self.getOrDefault(self.localSteps)

    def setLocalSteps(self, value: int) -> Self:
        return self._set(localSteps=value)

    def getWire(self) -> str:
        return self.getOrDefault(self.wire)

    def setWire(self, value: str) -> Self:
        return self._set(wire=value)

    def getValidationFraction(self) -> float:
        return self.getOrDefault(self.validationFraction)

    def setValidationFraction(self, value: float) -> Self:
        return self._set(validationFraction=value)

    def getTimeCol(self) -> str:
        return self.getOrDefault(self.timeCol)

    def setTimeCol(self, value: str) -> Self:
        return self._set(timeCol=value)

    def getGroupCol(self) -> str:
        return self.getOrDefault(self.groupCol)

    def setGroupCol(self, value: str) -> Self:
        return self._set(groupCol=value)

    def getMetricName(self) -> str:
        return self.getOrDefault(self.metricName)

    def setMetricName(self, value: str) -> Self:
        return self._set(metricName=value)

    def getPatience(self) -> int:
        return self.getOrDefault(self.patience)

    def setPatience(self, value: int) -> Self:
        return self._set(patience=value)

    def getEngine(self) -> str:
        return self.getOrDefault(self.engine)

    def setEngine(self, value: str) -> Self:
        return self._set(engine=value)

    def getNumShards(self) -> int:
        return self.getOrDefault(self.numShards)

    def setNumShards(self, value: int) -> Self:
        return self._set(numShards=value)

    def _set_defaults(self) -> None:
        self._setDefault(
            numericCols=[],
            categoricalCols=[],
            dateCols=[],
            recipe="tabm",
            validationFraction=0.1,
            engine="auto",
            numShards=0,
            handleInvalid="keep",
            seed=0,
        )

    def setWeightCol(self, value: str) -> Self:
        return self._set(weightCol=value)

    def setValidationIndicatorCol(self, value: str) -> Self:
        return self._set(validationIndicatorCol=value)

    def setSeed(self, value: int) -> Self:
        return self._set(seed=value)

    def setMaxIter(self, value: int) -> Self:
        return self._set(maxIter=value)

    def setHandleInvalid(self, value: str) -> Self:
        return self._set(handleInvalid=value)
