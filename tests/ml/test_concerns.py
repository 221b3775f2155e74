"""What pyspark's own ml tests and xgboost's Spark tests ask of an estimator, and its test here.

Params
  constructors without arguments, keyword only; getters, setters, explainParams  test_estimators
  MLlib's Params, defaults and names   test_perceptron_like_mllib
  set, default, clear, copy, uid       here: test_params_that_are_set_and_those_that_are_not
  a wrong name, a wrong value          test_estimators, test_wrong_use
Columns
  features as vector, array, columns of any type of numbers; labels of any type
                                       here: test_types_of_numbers, test_types_of_labels
  sparse vectors                       tests/data/test_sparse_spark
  missing values, zeros are not missing  test_estimators: test_missing_values
  names with dots, spaces and hyphens  here: test_names
  outputs: names, empty ones, types; other columns and rows as they were
                                       test_estimators: test_outputs_and_other_columns
  transform without a label            here: test_types_of_labels
Rows
  empty partitions, no rows at all     here: test_empty_partitions_and_no_rows
  weights                              here: test_rows_that_weigh_nothing_are_no_rows
  validation rows by a column, by time, by group; early stopping  test_estimators
  a seed gives the same model          here: test_seeds
Models
  uid, numFeatures, numClasses, labels, one row as in transform  test_estimators
  summary, evaluate, thresholds, importance  test_estimators, test_perceptron_like_mllib
  every evaluator                      test_perceptron_like_mllib
  Params set on a model; copies        here: test_a_model_has_params_of_its_own
Around them
  pipelines, grids, folds by a column, sub-models, one against the rest
                                       test_estimators, test_perceptron_like_mllib
  several settings from several threads  here: test_settings_from_threads
  persistence of each, alone and nested, and of what is not fitted yet
                                       test_estimators, here: test_what_is_not_fitted_is_saved
  another class's folder, an existing folder  here: test_folders_that_are_refused
  nothing is left persisted, also of what failed  here: test_nothing_stays_behind
  streams, foreachBatch                test_streams
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pyspark.ml import Pipeline
from pyspark.ml.feature import StringIndexer
from pyspark.ml.functions import array_to_vector
from pyspark.sql import functions as F

from dpnn.ml import (
    NeuralNetworkClassificationModel,
    NeuralNetworkClassifier,
    NeuralNetworkRegressionModel,
    NeuralNetworkRegressor,
)

QUICK = {"layers": [4], "maxIter": 2, "numShards": 2, "engine": "local", "batchSize": 64}


@pytest.fixture(scope="module")
def rows(spark_session):
    made = "id", "sin(id) as p", "cos(id * 3) as q", "cast(sin(id) > 0.2 as int) as label"
    return spark_session.range(200).selectExpr(*made).coalesce(2).cache()


def classifier(**more):
    return NeuralNetworkClassifier(**{"numericCols": ["p", "q"], **QUICK, **more})


@pytest.fixture(scope="module")
def model(rows):
    return classifier().fit(rows)


def scores(model, frame):
    return [row.probability for row in model.transform(frame).select("probability").collect()]


def test_params_that_are_set_and_those_that_are_not():
    made = NeuralNetworkRegressor(maxIter=3)
    assert made.isSet("maxIter")
    assert not made.isSet("recipe")
    assert made.hasDefault("recipe")
    assert not made.isDefined("patience")
    with pytest.raises(KeyError):
        made.getPatience()
    made.clear(made.maxIter)
    assert not made.isDefined("maxIter")
    copied = made.copy({made.seed: 7})
    assert (copied.uid, copied.getSeed(), made.getSeed()) == (made.uid, 7, 0)
    assert NeuralNetworkRegressor().uid != made.uid


@pytest.mark.parametrize("kind", ["tinyint", "bigint", "float", "double", "decimal(9,3)"])
def test_types_of_numbers(rows, kind):
    number = (F.col("id") % 100).cast(kind)
    some = rows.select(number.alias("p"), "label")
    found = scores(classifier(numericCols=["p"]).fit(some), some)
    some = rows.select(F.array(number).alias("features"), "label")
    assert scores(classifier(numericCols=[]).fit(some), some) == found
    some = some.withColumn("features", array_to_vector(F.col("features").cast("array<double>")))
    assert scores(classifier(numericCols=[]).fit(some), some) == found


def test_types_of_labels(rows):
    for kind in ("tinyint", "bigint", "float", "double", "decimal(9,0)", "boolean", "string"):
        some = rows.select("p", "q", F.col("label").cast(kind))
        model = classifier().fit(some)
        assert model.numClasses == 2
        assert len(scores(model, rows.select("p", "q"))) == 200
        assert model.evaluate(some)["rows"] == 200


def test_names(rows):
    names = {"p": "my.p", "q": "q-th, of `all`"}
    odd = rows.withColumnsRenamed({**names, "label": "the label"})
    made = classifier(numericCols=list(names.values()), labelCol="the label")
    made.setPredictionCol("a.b").setProbabilityCol("p of 1").setRawPredictionCol("")
    model = made.fit(odd)
    found = model.transform(odd)
    assert found.columns == [*odd.columns, "p of 1", "a.b"]
    assert {row["a.b"] for row in found.select("`a.b`").collect()} <= {0.0, 1.0}
    assert model.copy().setThresholds([0.3, 0.7]).transform(odd).count() == 200


def test_empty_partitions_and_no_rows(rows, model):
    spread = rows.limit(20).repartition(40)
    assert classifier().fit(spread).numFeatures == 2
    none = model.transform(rows.where("id < 0"))
    assert none.columns[-3:] == ["rawPrediction", "probability", "prediction"]
    assert none.count() == 0
    assert model.transform(spread).count() == 20
    with pytest.raises(ValueError, match="the data has no rows: check its path and filter"):
        classifier().fit(rows.where("id < 0"))


def test_rows_that_weigh_nothing_are_no_rows(rows):
    held = rows.withColumn("held", F.expr("id % 5 = 0"))
    lies = held.where("not held").selectExpr("id", "p", "q", "1 - label as label", "held")
    noisy = held.withColumn("w", F.lit(1.0)).unionByName(lies.withColumn("w", F.lit(0.0)))
    far = classifier(validationIndicatorCol="held", weightCol="w", maxIter=15, learningRate=1e-2)
    model = far.fit(noisy)
    assert model.evaluate(rows)["accuracy"] > 0.7


def test_seeds(rows, model):
    def weights(seed):
        return classifier(seed=seed).fit(rows).trained.weights.tolist()

    assert weights(0) == model.trained.weights.tolist()
    assert weights(1) != weights(0)


def test_a_model_has_params_of_its_own(rows, model):
    renamed = model.copy({model.predictionCol: "said"})
    assert renamed.transform(rows).columns[-1] == "said"
    assert model.transform(rows).columns[-1] == "prediction"
    assert renamed.trained is model.trained
    assert model.getMaxIter() == 2


def test_settings_from_threads(rows, model):
    estimator = classifier()
    maps = [{estimator.seed: seed} for seed in (2, 1, 0)]
    with ThreadPoolExecutor(3) as pool:
        fits = estimator.fitMultiple(rows, maps)
        found = dict(pool.map(lambda _: next(fits), maps))
    assert sorted(found) == [0, 1, 2]
    np.testing.assert_array_equal(found[2].trained.weights, model.trained.weights)
    assert found[0].getSeed() == 2


def test_what_is_not_fitted_is_saved(rows, tmp_path):
    words = StringIndexer(inputCol="word", outputCol="label")
    pipeline = Pipeline(stages=[words, classifier(classWeight={"0": 1, "1": 2})])
    pipeline.save(str(tmp_path / "pipeline"))
    again = Pipeline.load(str(tmp_path / "pipeline"))
    a, b = (p.getStages()[1].extractParamMap() for p in (pipeline, again))
    assert {k.name: v for k, v in a.items()} == {k.name: v for k, v in b.items()}
    assert not again.getStages()[1].isSet("recipe")
    some = rows.selectExpr("p", "q", "if(label = 1, 'yes', 'no') as word")
    assert scores(again.fit(some), some) == scores(pipeline.fit(some), some)


def test_folders_that_are_refused(model, tmp_path):
    path = str(tmp_path / "model")
    model.save(path)
    with pytest.raises(Exception, match=r"(?i)already exists"):
        model.save(path)
    with pytest.raises(ValueError, match=r"holds a .*ClassificationModel, not a .*Regr"):
        NeuralNetworkRegressionModel.load(path)
    assert NeuralNetworkClassificationModel.load(path).uid == model.uid


def test_nothing_stays_behind(spark_context, rows):
    def persisted():
        return set(spark_context._jsc.getPersistentRDDs().keys())

    before = persisted()
    classifier().fit(rows)
    with pytest.raises(ValueError, match="none of"):
        classifier(metricName="none of them").fit(rows)
    with pytest.raises(ValueError, match="infinite"):
        classifier().fit(rows.withColumn("p", F.expr("if(id = 3, double('inf'), p)")))
    assert persisted() <= before
