"""Tables as they are: the default estimator of dpnn.ml, untuned, beside other libraries' defaults.

scripts/bench.sh tables FOLDER [--seeds 5] [--recipes tabm] [--others SEEDS]

FOLDER holds adult/ and california/, each with train/ and test/ as Parquet. Prints each score on the
test part as the mean over seeds and, of several, its standard deviation; and the median seconds of
a fit. --others adds, over so many seeds, MLlib's perceptron, boosted trees and random forest, and
scikit-learn's boosted trees.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from _session import session
from pyspark.ml import Pipeline
from pyspark.ml import classification as mlc
from pyspark.ml import feature as mlf
from pyspark.ml import regression as mlr
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from dpnn.ml import NeuralNetworkClassifier, NeuralNetworkRegressor

Scores = dict[str, float]


@dataclass(frozen=True)
class Table:
    """A table of the folder, its label, and the scores that are printed."""

    name: str
    label: str
    metrics: tuple[str, ...]

    @property
    def classes(self) -> bool:
        return self.metrics != ("rmse",)

    def part(self, spark: SparkSession, folder: str, part: str) -> DataFrame:
        return spark.read.parquet(f"{folder}/{self.name}/{part}")


TABLES = (
    Table("adult", "income", ("accuracy", "auc", "average_precision", "log_loss")),
    Table("california", "MedHouseVal", ("rmse",)),
)


def ours(table: Table, train: DataFrame, test: DataFrame, recipe: str, seed: int) -> Scores:
    kind = NeuralNetworkClassifier if table.classes else NeuralNetworkRegressor
    model = kind(labelCol=table.label, recipe=recipe, seed=seed).fit(train)
    return model.evaluate(test)


def mllib(table: Table, train: DataFrame, test: DataFrame, learner: Any) -> Scores:
    """Its learner after the usual four steps of preparation."""
    fields = [field for field in train.schema.fields if field.name != table.label]
    text = [field.name for field in fields if field.dataType == T.StringType()]
    numbers = [field.name for field in fields if field.name not in text]
    steps: list[Any] = []
    if text:
        indexed, hot = [f"{name} #" for name in text], [f"{name} hot" for name in text]
        steps.append(mlf.StringIndexer(inputCols=text, outputCols=indexed, handleInvalid="keep"))
        steps.append(mlf.OneHotEncoder(inputCols=indexed, outputCols=hot))
        numbers += hot
    steps.append(mlf.VectorAssembler(inputCols=numbers, outputCol="assembled"))
    steps.append(mlf.StandardScaler(inputCol="assembled", outputCol="features"))
    label = table.label
    if table.classes:
        label = "y"
        order = {"stringOrderType": "alphabetAsc"}
        steps.append(mlf.StringIndexer(inputCol=table.label, outputCol="y", **order))
    prepare = Pipeline(stages=steps).fit(train)
    ready, held = prepare.transform(train).cache(), prepare.transform(test)
    if isinstance(learner, mlc.MultilayerPerceptronClassifier):
        width = len(ready.first()["features"])  # type: ignore[index]
        learner.setLayers([width, 64, 2])
    found = learner.setLabelCol(label).fit(ready).transform(held)
    if table.classes:
        rows = found.select("y", "probability").collect()
        y = np.array([row[0] for row in rows])
        return of_classes(y, np.array([row[1][1] for row in rows]))
    rows = found.select(label, "prediction").collect()
    return of_values(*np.array(rows).T)


def trees(table: Table, train: DataFrame, test: DataFrame, seed: int) -> Scores:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if table.classes else HistGradientBoostingRegressor
    learner = kind(categorical_features="from_dtype", early_stopping=True, random_state=seed)
    parts: list[Any] = [part.toPandas() for part in (train, test)]
    text = parts[0].drop(columns=table.label).select_dtypes("object").columns
    for part in parts:
        for name in text:
            part[name] = part[name].astype("category")
    y, held = (part.pop(table.label).to_numpy() for part in parts)
    learner.fit(parts[0], y)
    if table.classes:
        return of_classes(held == learner.classes_[1], learner.predict_proba(parts[1])[:, 1])
    return of_values(held, learner.predict(parts[1]))


def of_classes(y: np.ndarray, p: np.ndarray) -> Scores:
    from sklearn import metrics

    return {
        "accuracy": metrics.accuracy_score(y, p > 0.5),
        "auc": metrics.roc_auc_score(y, p),
        "average_precision": metrics.average_precision_score(y, p),
        "log_loss": metrics.log_loss(y, p),
    }


def of_values(y: np.ndarray, prediction: np.ndarray) -> Scores:
    return {"rmse": float(np.sqrt(np.mean((y - prediction) ** 2)))}


def contestants(table: Table, recipes: list[str]) -> Iterator[tuple[str, Any]]:
    """(name, a function of the train and test part and the seed), dpnn's own."""
    for recipe in recipes:
        yield f"dpnn.ml, {recipe}", lambda a, b, seed, r=recipe: ours(table, a, b, r, seed)


def rivals(table: Table) -> Iterator[tuple[str, Any]]:
    """Likewise, the others'."""
    learners: dict[str, Callable[[int], Any]] = {
        "MLlib boosted trees": lambda seed: (
            mlc.GBTClassifier(maxIter=50, seed=seed)
            if table.classes
            else mlr.GBTRegressor(maxIter=100, seed=seed)
        ),
        "MLlib random forest": lambda seed: (
            mlc.RandomForestClassifier(numTrees=100, maxDepth=10, seed=seed)
            if table.classes
            else mlr.RandomForestRegressor(numTrees=100, maxDepth=12, seed=seed)
        ),
    }
    if table.classes:
        learners["MLlib perceptron"] = lambda seed: mlc.MultilayerPerceptronClassifier(seed=seed)
    for name, make in learners.items():
        yield name, lambda a, b, seed, make=make: mllib(table, a, b, make(seed))
    yield "scikit-learn boosted trees", lambda a, b, seed: trees(table, a, b, seed)


def compare(table: Table, name: str, run: Any, parts: list[DataFrame], seeds: int) -> None:
    """Prints the line of one contestant."""
    scores: list[Scores] = []
    seconds = []
    for seed in range(seeds):
        start = time.perf_counter()
        scores.append(run(*parts, seed))
        seconds.append(time.perf_counter() - start)
    line = f"{name:<28}"
    for metric in table.metrics:
        values = [score[metric] for score in scores]
        spread = f" ± {statistics.pstdev(values):.4f}" if seeds > 1 else " " * 9
        line += f"{statistics.mean(values):>13.4f}{spread}"
    print(f"{line}{statistics.median(seconds):>10.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tables", nargs="+", default=[table.name for table in TABLES])
    parser.add_argument("--recipes", nargs="*", default=["tabm"])
    parser.add_argument("--others", type=int, default=0, metavar="SEEDS")
    given = parser.parse_args()
    spark = session()
    for table in TABLES:
        if table.name not in given.tables:
            continue
        parts = [table.part(spark, given.folder, part) for part in ("train", "test")]
        print(f"\n{table.name:<28}" + "".join(f"{m:>22}" for m in table.metrics) + "   seconds")
        for name, run in contestants(table, given.recipes):
            compare(table, name, run, parts, given.seeds)
        if given.others:
            for name, run in rivals(table):
                compare(table, name, run, parts, given.others)
    spark.stop()


if __name__ == "__main__":
    main()
