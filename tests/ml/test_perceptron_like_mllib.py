"""The import swap: the same program over MLlib's perceptron and over dpnn's, and the same names.

What a program written for MLlib's perceptron does with it: a grid, folds, evaluate, summary.
"""

import numpy as np
import pytest
from pyspark.ml import classification as mllib
from pyspark.ml import evaluation
from pyspark.ml.classification import OneVsRest
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder, TrainValidationSplit
from pyspark.sql import functions as F
from pyspark.sql.functions import udf

from dpnn import ml
from dpnn.ml import solvers

FIGURES = (
    "labels",
    "accuracy",
    "truePositiveRateByLabel",
    "falsePositiveRateByLabel",
    "precisionByLabel",
    "recallByLabel",
    "weightedTruePositiveRate",
    "weightedFalsePositiveRate",
    "weightedRecall",
    "weightedPrecision",
    "predictionCol",
    "labelCol",
    "weightCol",
)


@pytest.fixture(scope="module")
def rows(spark_session):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 2))
    y = (x[:, 0] > 0.5).astype(float) + (x[:, 1] > 0.3)
    table = [(Vectors.dense(a), float(b), i % 2) for i, (a, b) in enumerate(zip(x, y, strict=True))]
    names = ["features", "label", "fold"]
    return spark_session.createDataFrame(table, names).coalesce(2).cache()


def perceptron(room, **more):
    settings = {"layers": [2, 4, 3], "maxIter": 15, "seed": 5, **more}
    return room.MultilayerPerceptronClassifier(**settings)


@pytest.fixture(scope="module")
def ours(rows):
    return perceptron(ml).fit(rows)


def test_the_same_params_and_defaults(spark_session):
    theirs, ours = mllib.MultilayerPerceptronClassifier(), ml.MultilayerPerceptronClassifier()
    assert {p.name for p in theirs.params} == {p.name for p in ours.params}
    for param in theirs.params:
        if param.name != "seed" and theirs.hasDefault(param):
            assert ours.getOrDefault(param.name) == theirs.getOrDefault(param.name)
    setters = {name for name in dir(theirs) if name.startswith(("set", "get"))}
    assert setters <= set(dir(ours))


def test_the_same_names_on_the_model(rows, ours, tmp_path):
    theirs = perceptron(mllib).fit(rows)
    public = {name for name in dir(theirs) if not name.startswith("_")}
    assert public <= set(dir(ours))
    assert (ours.numClasses, ours.numFeatures) == (theirs.numClasses, theirs.numFeatures) == (3, 2)
    assert ours.weights.size == theirs.weights.size


def test_figures_are_mllibs_of_the_same_predictions(spark_session, rows, ours):
    """MLlib's own evaluator over dpnn's predictions."""
    summary = ours.evaluate(rows)
    predicted = summary.predictions
    names = {
        "accuracy": "accuracy",
        "weightedPrecision": "weightedPrecision",
        "weightedRecall": "weightedRecall",
        "weightedTruePositiveRate": "weightedTruePositiveRate",
        "weightedFalsePositiveRate": "weightedFalsePositiveRate",
    }
    judge = evaluation.MulticlassClassificationEvaluator()
    for name, metric in names.items():
        due = judge.evaluate(predicted, {judge.metricName: metric})
        assert getattr(summary, name) == pytest.approx(due, abs=1e-12)
    for beta in (1.0, 0.5):
        due = judge.evaluate(predicted, {judge.metricName: "weightedFMeasure", judge.beta: beta})
        assert summary.weightedFMeasure(beta) == pytest.approx(due, abs=1e-12)
    for label in (0, 1, 2):
        settings = {judge.metricName: "fMeasureByLabel", judge.metricLabel: float(label)}
        due = judge.evaluate(predicted, settings)
        assert summary.fMeasureByLabel()[label] == pytest.approx(due, abs=1e-12)
    assert summary.labels == [0.0, 1.0, 2.0]


def test_the_same_names_on_the_summaries(rows, ours, tmp_path):
    theirs = perceptron(mllib).fit(rows)
    for a, b in ((theirs.evaluate(rows), ours.evaluate(rows)), (theirs.summary(), ours.summary())):
        for name in FIGURES:
            assert type(getattr(b, name)) is type(getattr(a, name)), name
        assert a.predictions.columns == b.predictions.columns
    assert ours.summary().totalIterations == len(ours.summary().objectiveHistory)
    ours.save(str(tmp_path / "model"))
    again = ml.MultilayerPerceptronClassificationModel.load(str(tmp_path / "model"))
    assert again.summary().objectiveHistory == ours.summary().objectiveHistory
    with pytest.raises(RuntimeError, match="the model was loaded"):
        again.summary().accuracy  # noqa: B018
    silent = ours.copy({ours.predictionCol: ""})
    assert silent.evaluate(rows).accuracy == ours.evaluate(rows).accuracy


def test_labels_that_nothing_predicts_have_no_precision(rows, ours):
    never = ours.copy().setThresholds([1.0, 1.0, 0.0])
    summary = never.evaluate(rows)
    assert summary.precisionByLabel[:2] == [0.0, 0.0]
    assert summary.fMeasureByLabel()[:2] == [0.0, 0.0]
    assert summary.falsePositiveRateByLabel[2] == 1.0


def test_a_grid_over_folds_of_a_column(rows):
    learner = perceptron(ml)
    grid = ParamGridBuilder().addGrid(learner.maxIter, [1, 15]).build()
    judge = evaluation.MulticlassClassificationEvaluator(metricName="accuracy")
    search = CrossValidator(
        estimator=learner,
        estimatorParamMaps=grid,
        evaluator=judge,
        numFolds=2,
        foldCol="fold",
        parallelism=2,
        collectSubModels=True,
    )
    found = search.fit(rows)
    assert found.avgMetrics[1] > found.avgMetrics[0]
    assert found.bestModel.getMaxIter() == 15
    assert [len(models) for models in found.subModels] == [2, 2]
    split = TrainValidationSplit(estimator=learner, estimatorParamMaps=grid, evaluator=judge)
    assert len(split.fit(rows).validationMetrics) == 2


def test_settings_share_one_read(rows, monkeypatch):
    reads = []
    read = ml.MultilayerPerceptronClassifier._read
    monkeypatch.setattr(
        ml.MultilayerPerceptronClassifier, "_read", lambda *a: reads.append(1) or read(*a)
    )
    learner = perceptron(ml)
    models = learner.fit(rows, [{learner.maxIter: 2}, {learner.layers: [2, 3]}])
    assert [model.getLayers() for model in models] == [[2, 4, 3], [2, 3]]
    assert len(reads) == 1


def test_one_against_the_rest(rows):
    model = OneVsRest(classifier=perceptron(ml, layers=[2, 2], maxIter=20)).fit(rows)
    right = model.transform(rows).where(F.col("prediction") == F.col("label")).count()
    assert right > 200


def test_every_evaluator_takes_the_outputs(rows):
    two = rows.withColumn("label", (F.col("label") > 0).cast("double"))
    scored = perceptron(ml, layers=[2, 2], maxIter=10).fit(two).transform(two).cache()
    for judge in (
        evaluation.BinaryClassificationEvaluator(),
        evaluation.BinaryClassificationEvaluator(rawPredictionCol="probability"),
        evaluation.BinaryClassificationEvaluator(rawPredictionCol="prediction"),
        evaluation.MulticlassClassificationEvaluator(metricName="logLoss"),
        evaluation.MulticlassClassificationEvaluator(metricName="hammingLoss"),
        evaluation.RegressionEvaluator(metricName="mae"),
    ):
        assert 0 < judge.evaluate(scored) < 1


@pytest.mark.parametrize("unit", [0.5, 1000.0])
def test_many_rows_begin_in_mini_batches(rows, monkeypatch, unit):
    """Then L-BFGS goes on; large inputs are scaled meanwhile, as the weights tell at the end."""
    monkeypatch.setattr(solvers, "MANY", 300)
    larger = udf(lambda v: Vectors.dense(v.toArray() * unit), VectorUDT())
    scaled = rows.withColumn("features", larger("features")).cache()
    model = perceptron(ml, maxIter=100, tol=0.0).fit(scaled)
    losses = model.summary().objectiveHistory
    assert model.summary().totalIterations == 8 + 24
    assert model._known["history"]["epoch"] == list(range(1, 33))
    assert losses[8:] == sorted(losses[8:], reverse=True)
    assert losses[8] < losses[7]
    assert model.trained.evaluate(scaled)["loss"] == pytest.approx(losses[-1], rel=1e-4)
    assert model.weights.size == 2 * 4 + 4 + 4 * 3 + 3
    assert model.evaluate(scaled).accuracy > 0.9


def test_what_ends_the_fit_of_many_rows(rows, monkeypatch):
    monkeypatch.setattr(solvers, "MANY", 300)
    assert perceptron(ml, maxIter=1).fit(rows).summary().totalIterations == 1
    assert perceptron(ml, maxIter=100, tol=0.9).fit(rows).summary().totalIterations == 8 + 2


def test_given_weights_are_where_l_bfgs_begins(rows, ours, monkeypatch):
    monkeypatch.setattr(solvers, "MANY", 300)
    again = perceptron(ml, maxIter=3, initialWeights=ours.weights).fit(rows)
    losses = again.summary().objectiveHistory
    assert len(losses) == 3
    assert losses[0] < ours.summary().objectiveHistory[-1]


def test_no_mini_batches_where_each_step_is_a_job(rows, ours, monkeypatch):
    monkeypatch.setattr(solvers, "MANY", 300)
    monkeypatch.setattr(solvers, "by_settings", lambda shards: ("job", "for a reason"))
    same = perceptron(ml).fit(rows).summary()
    assert same.objectiveHistory == ours.summary().objectiveHistory
