"""pyspark.ml estimators over `Trainer`: networks at home in pipelines, grids, cross-validators.

`NeuralNetworkClassifier`, `NeuralNetworkRegressor` and their models, and with MLlib's signature,
so that changing the import line is all, `MultilayerPerceptronClassifier`. Driver; needs pyspark.
"""

from dpnn.ml.classification import NeuralNetworkClassificationModel, NeuralNetworkClassifier
from dpnn.ml.perceptron import (
    MultilayerPerceptronClassificationModel,
    MultilayerPerceptronClassifier,
)
from dpnn.ml.regression import NeuralNetworkRegressionModel, NeuralNetworkRegressor

__all__ = [
    "MultilayerPerceptronClassificationModel",
    "MultilayerPerceptronClassifier",
    "NeuralNetworkClassificationModel",
    "NeuralNetworkClassifier",
    "NeuralNetworkRegressionModel",
    "NeuralNetworkRegressor",
]
