"""The estimators as pyspark.ml's users know them.

Concerns taken from what pyspark's own ml tests and xgboost's Spark tests ask of an estimator:
constructors without arguments, Params with getters and setters, copy with extra Params, uid of the
model, output columns (names, an empty name, types, other columns untouched), thresholds, weights,
labels as strings, persistence alone and nested, pipelines, fit with Param maps, cross-validation.
"""

import numpy as np
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.evaluation import MulticlassClassificationEvaluator, RegressionEvaluator
from pyspark.ml.feature import StandardScaler, StringIndexer, VectorAssembler
from pyspark.ml.linalg import DenseVector, Vectors
from pyspark.ml.tuning import CrossValidator, CrossValidatorModel, ParamGridBuilder

from dpnn.ml import (
    MultilayerPerceptronClassificationModel,
    MultilayerPerceptronClassifier,
    NeuralNetworkClassificationModel,
    NeuralNetworkClassifier,
    NeuralNetworkRegressionModel,
    NeuralNetworkRegressor,
)


@pytest.fixture(scope="module")
def table(spark_session):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2))
    job = rng.choice(["a", "b", "c"], 600)
    score = x[:, 0] + 2 * (job == "b") - 0.5
    rows = [
        (float(a), float(b), str(j), "yes" if s > 0 else "no", float(s > 0), float(s), i % 3)
        for i, ((a, b), j, s) in enumerate(zip(x, job, score, strict=True))
    ]
    names = ["p", "q", "job", "word", "label", "value", "fold"]
    frame = spark_session.createDataFrame(rows, names).coalesce(2)
    return VectorAssembler(inputCols=["p", "q"], outputCol="features").transform(frame).cache()


def classifier(**more):
    settings = {"labelCol": "word", "numericCols": ["p", "q"], "categoricalCols": ["job"]}
    settings |= {"layers": [16], "maxIter": 12, "batchSize": 64, "numShards": 2, "engine": "local"}
    return NeuralNetworkClassifier(**{**settings, "learningRate": 1e-2, **more})


@pytest.fixture(scope="module")
def model(table):
    return classifier().fit(table)


def test_constructors_without_arguments_and_params():
    for cls in (NeuralNetworkClassifier, NeuralNetworkRegressor, MultilayerPerceptronClassifier):
        made = cls()
        assert "maxIter" in made.explainParams()
        assert made.setMaxIter(7) is made
        assert made.getMaxIter() == 7
        assert made.copy({made.maxIter: 9}).getMaxIter() == 9
    with pytest.raises(TypeError):
        NeuralNetworkClassifier("features")


def test_a_wrong_param_hears_the_right_one():
    with pytest.raises(TypeError, match="has no Param 'numericColumns': did you mean 'numericCols"):
        NeuralNetworkClassifier(numericColumns=["p"])
    with pytest.raises(TypeError, match="has no Param 'maxIters': did you mean 'maxIter'"):
        NeuralNetworkRegressor().setParams(maxIters=3)
    with pytest.raises(TypeError, match="has no Param 'layer': did you mean 'layers'"):
        MultilayerPerceptronClassifier().setParams(layer=[2, 2])


def test_local_steps_are_the_trainers(table):
    told = classifier(localSteps=4, wire="int8", maxIter=2)
    assert told.getLocalSteps() == 4
    with told._read(table) as data:
        settings = told._settings(data)
        assert (settings["local_steps"], settings["wire"]) == (4, "int8")
        assert not {"local_steps", "wire"} & classifier()._settings(data).keys()


@pytest.mark.connect
def test_raw_columns_and_labels_of_strings(table, model):
    assert model.labels == ["no", "yes"]
    assert (model.numClasses, model.numFeatures) == (2, 3)
    assert model.evaluate(table)["accuracy"] > 0.9
    assert model.summary.totalIterations == len(model.summary.objectiveHistory) <= 12
    assert model.summary.validationHistory["loss"]


@pytest.mark.connect
def test_outputs_and_other_columns(table, model):
    made = model.transform(table)
    assert made.columns == [*table.columns, "rawPrediction", "probability", "prediction"]
    row = made.first()
    assert isinstance(row.probability, DenseVector)
    assert sum(row.probability) == pytest.approx(1)
    assert row.prediction == float(np.argmax(row.probability))
    assert made.count() == table.count()
    few = model.copy({model.rawPredictionCol: "", model.probabilityCol: "p_yes"}).transform(table)
    assert few.columns == [*table.columns, "p_yes", "prediction"]


def test_thresholds_choose_the_largest_share(table, model):
    strict = model.copy({model.thresholds: [0.01, 1.0]})
    assert {row.prediction for row in strict.transform(table).select("prediction").collect()} <= {
        0.0,
        1.0,
    }
    shy = strict.transform(table).where("prediction = 1").count()
    assert shy < model.transform(table).where("prediction = 1").count()


@pytest.mark.connect
def test_what_matters_and_where_to_say_yes(table, model):
    found = model.importance(table, "auc")
    assert sorted(found["column"]) == ["job", "p", "q"]
    assert list(found["column"])[2] == "q"
    limit = model.bestThreshold(table)
    assert 0.1 < limit < 0.9
    strict = model.copy().setThresholds([1 - limit, limit]).transform(table)
    for row in strict.select("probability", "prediction").collect():
        assert row.prediction == float(row.probability[1] >= limit)


def test_one_row(table, model):
    row = table.first()
    value = {"p": row.p, "q": row.q, "job": row.job}
    expected = model.transform(table.limit(1)).first()
    assert model.predict(value) == expected.prediction
    np.testing.assert_allclose(
        model.predictRaw(value).toArray(), expected.rawPrediction.toArray(), rtol=1e-5
    )
    np.testing.assert_allclose(
        model.predictProbability(value).toArray(), expected.probability.toArray(), rtol=1e-6
    )


@pytest.mark.connect
def test_the_model_has_the_estimators_uid_and_comes_back(table, model, tmp_path):
    path = str(tmp_path / "model")
    model.write().overwrite().save(path)
    again = NeuralNetworkClassificationModel.load(path)
    assert again.uid == model.uid
    assert again.labels == model.labels
    assert again.summary == model.summary
    assert again.getOrDefault(again.labelCol) == "word"
    same = [m.transform(table).select("rawPrediction").collect() for m in (model, again)]
    assert same[0] == same[1]
    estimator = classifier()
    estimator.save(str(tmp_path / "estimator"))
    assert NeuralNetworkClassifier.load(str(tmp_path / "estimator")).getLayers() == [16]


@pytest.mark.connect
def test_a_regressor_in_units_of_its_label(table, tmp_path):
    regressor = NeuralNetworkRegressor(
        labelCol="value", categoricalCols=["job"], numericCols=["p"], layers=[16], maxIter=40
    )
    regressor.setNumShards(2).setEngine("local").setBatchSize(32).setLearningRate(5e-3)
    model = regressor.fit(table)
    made = model.transform(table)
    assert RegressionEvaluator(labelCol="value").evaluate(made) < 0.3
    model.save(str(tmp_path / "regressor"))
    again = NeuralNetworkRegressionModel.load(str(tmp_path / "regressor"))
    assert again.predict({"p": 0.5, "job": "b"}) == model.predict({"p": 0.5, "job": "b"})


@pytest.mark.parametrize("by", ["fold > 1", "timeCol", "groupCol", "none"])
def test_which_rows_validate(table, by):
    made = classifier(maxIter=1)
    if by == "fold > 1":
        table = table.selectExpr("*", "fold > 1 as held")
        made.setValidationIndicatorCol("held")
        due = table.where("held").count()
    elif by == "timeCol":
        made.setTimeCol("value").setValidationFraction(0.25)
        due = pytest.approx(150, abs=15)
    elif by == "groupCol":
        made.setGroupCol("fold").setValidationFraction(0.5)
        due = None
    else:
        made.setValidationFraction(0.0)
        due = 0
    with made._read(table) as data:
        held = data.rows.get("validation", 0)
    assert held == due if due is not None else held % 200 == 0


@pytest.mark.connect
def test_bad_input_is_one_line(table, capsys):
    with pytest.raises(ValueError, match="no column 'P' in the data: did you mean 'p'"):
        classifier(numericCols=["P"]).fit(table)
    with pytest.raises(ValueError, match="no column 'Fold' in the data: did you mean 'fold'"):
        classifier(groupCol="Fold").fit(table)
    with pytest.raises(ValueError, match="handleInvalid is one of"):
        classifier(handleInvalid="drop").fit(table)
    weightless = table.selectExpr("*", "0.0 as w")
    with pytest.raises(ValueError, match="the training rows' weights sum to 0"):
        classifier(weightCol="w").fit(weightless)
    capsys.readouterr()
    held = table.selectExpr("p", "int(label) + int(fold = 2) as y", "fold = 2 as held")
    made = classifier(numericCols=[], categoricalCols=[], labelCol="y", maxIter=1)
    made.setValidationIndicatorCol("held").fit(held)
    told = capsys.readouterr().err
    assert "dpnn: by type, 1 numeric: 'p'" in told
    assert "dpnn: validation rows have labels from 1 to 2, training rows from 0 to 1: the" in told


def test_two_ways_to_say_which_rows_validate_are_refused(table):
    made = classifier(timeCol="value", groupCol="fold")
    with pytest.raises(ValueError, match="timeCol and groupCol both say which rows validate"):
        made.fit(table)


def test_class_weights_and_one_class(table):
    balanced = classifier(classWeight="balanced", maxIter=2).fit(table)
    assert balanced.trained.loss.class_weights is not None
    with pytest.raises(ValueError, match="'word' has one class alone, 'yes'"):
        classifier().fit(table.where("word = 'yes'"))
    with pytest.raises(ValueError, match="classWeight has no weight for yes"):
        classifier(classWeight='{"no": 1}').fit(table)


def test_missing_values(table):
    holes = table.selectExpr("if(fold = 0, null, p) as p", "q", "job", "word")
    model = classifier(maxIter=2).fit(holes)
    assert model.transform(holes).count() == 600
    kept = classifier(maxIter=1, handleInvalid="skip")
    with kept._read(holes) as data:
        assert sum(data.rows.values()) == 400
    with pytest.raises(Exception, match="a row has a null or NaN among p, q, job"):
        classifier(maxIter=1, handleInvalid="error").fit(holes)


def test_param_maps_share_one_read(table, job_listing):
    estimator = classifier(maxIter=1)
    maps = [{estimator.learningRate: rate} for rate in (1e-3, 1e-2, 1e-1)]
    models = estimator.fit(table, maps)
    assert len(models) == 3
    assert len({tuple(m.trained.weights[:5]) for m in models}) == 3


@pytest.mark.connect
def test_in_a_pipeline_and_a_cross_validator(table, tmp_path):
    words = StringIndexer(inputCol="word", outputCol="number")
    last = NeuralNetworkClassifier(labelCol="number", layers=[8], maxIter=3, numShards=2)
    last.setEngine("local")
    pipeline = Pipeline(stages=[words, last])
    grid = ParamGridBuilder().addGrid(last.learningRate, [1e-3, 1e-2]).build()
    evaluator = MulticlassClassificationEvaluator(labelCol="number", metricName="accuracy")
    search = CrossValidator(
        estimator=pipeline, estimatorParamMaps=grid, evaluator=evaluator, numFolds=2, parallelism=2
    )
    found = search.fit(table)
    assert len(found.avgMetrics) == 2
    found.write().overwrite().save(str(tmp_path / "search"))
    again = CrossValidatorModel.load(str(tmp_path / "search"))
    best = [m.transform(table).select("probability").collect() for m in (found, again)]
    assert best[0] == best[1]


@pytest.mark.connect
def test_mllibs_perceptron_by_its_import_line(table, tmp_path):
    stages = [
        StandardScaler(inputCol="features", outputCol="scaled"),
        MultilayerPerceptronClassifier(
            featuresCol="scaled", layers=[2, 4, 2], maxIter=20, seed=1, blockSize=64
        ),
    ]
    fitted = Pipeline(stages=stages).fit(table)
    accuracy = MulticlassClassificationEvaluator(metricName="accuracy")
    assert accuracy.evaluate(fitted.transform(table)) > 0.6
    model = fitted.stages[-1]
    assert isinstance(model, MultilayerPerceptronClassificationModel)
    assert model.getLayers() == [2, 4, 2]
    assert model.weights.size == 2 * 4 + 4 + 4 * 2 + 2
    assert len(model.summary().objectiveHistory) == model.summary().totalIterations
    assert model.predict(Vectors.dense([3.0, 0.0])) in (0.0, 1.0)
    fitted.write().overwrite().save(str(tmp_path / "pipeline"))
    again = PipelineModel.load(str(tmp_path / "pipeline"))
    same = [m.transform(table).select("probability").collect() for m in (fitted, again)]
    assert same[0] == same[1]


def test_a_perceptron_begins_with_the_weights_of_another(table):
    def fitted(iterations, weights=None):
        return MultilayerPerceptronClassifier(
            layers=[2, 3, 2],
            solver="gd",
            stepSize=0.5,
            tol=0.0,
            maxIter=iterations,
            seed=3,
            initialWeights=weights,
        ).fit(table)

    found = fitted(3, fitted(2).weights).weights.toArray()
    np.testing.assert_allclose(found, fitted(5).weights.toArray(), rtol=1e-5, atol=1e-6)


def test_what_a_perceptron_cannot_be(table):
    with pytest.raises(ValueError, match="layers must be set"):
        MultilayerPerceptronClassifier().fit(table)
    with pytest.raises(ValueError, match="layers begin with 5, but column 'features' has rows"):
        MultilayerPerceptronClassifier(layers=[5, 2]).fit(table)
    with pytest.raises(
        ValueError, match=r"initialWeights has 5 numbers, but layers \[2, 2\] have 6"
    ):
        MultilayerPerceptronClassifier(layers=[2, 2], initialWeights=Vectors.dense([0.0] * 5)).fit(
            table
        )
    with pytest.raises(ValueError, match="solver is one of"):
        MultilayerPerceptronClassifier(layers=[2, 2], solver="adam").fit(table)
