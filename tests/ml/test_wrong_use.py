"""What estimators and models say of data and Params that cannot be: one line, with the cure."""

import pytest

from dpnn.ml import NeuralNetworkClassifier, NeuralNetworkRegressor


@pytest.fixture(scope="module")
def rows(spark_session):
    made = "id", "id % 7 * 0.5 as p", "if(id % 3 = 0, 'yes', 'no') as word", "cast(id as string) t"
    return spark_session.range(240).selectExpr(*made).coalesce(2).cache()


def classifier(**more):
    settings = {"labelCol": "word", "numericCols": ["p"], "layers": [4], "maxIter": 1}
    return NeuralNetworkClassifier(**{**settings, "engine": "local", "numShards": 2, **more})


@pytest.fixture(scope="module")
def model(rows):
    return classifier().fit(rows)


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("-(id % 2)", "'y' has -1, which is no class number: number the classes from 0 on"),
        ("0.5 * (id % 2)", "'y' has 0.5, which is no class number: number the classes from 0 on"),
        ("1000000000 + id", r"'y' has class numbers up to 1000000239, more than the \d+ training"),
        ("cast(id as string)", r"'y' has 240 classes in \d+ training rows: taken for an id"),
    ],
)
def test_labels_that_are_no_classes(rows, label, told):
    with pytest.raises(ValueError, match=f"the label column {told}"):
        classifier(labelCol="y").fit(rows.selectExpr("p", f"{label} as y"))


def test_a_regressor_takes_no_text(rows):
    with pytest.raises(ValueError, match="label column 'word' is string: a regressor's label is"):
        NeuralNetworkRegressor(labelCol="word", numericCols=["p"]).fit(rows)


def test_few_rows_train_without_validation(rows, capsys):
    few = rows.limit(2)  # one of each class
    model = classifier().fit(few)
    assert "a tenth of the rows, picked by content, is none of them" in capsys.readouterr().err
    assert not model.summary.validationHistory
    with pytest.raises(ValueError, match=r"validation=0\.1 leaves it no rows: give more rows, or"):
        classifier(validationFraction=0.1).fit(few)


def test_nothing_can_be_an_input(rows):
    with pytest.raises(ValueError, match="no column can be an input by its type; those left: 'm'"):
        classifier(numericCols=[]).fit(rows.selectExpr("word", "map(1, p) as m"))


def test_columns_that_spark_takes_for_one(rows):
    twins = rows.selectExpr("word", "p", "t as P")
    with pytest.raises(ValueError, match="Spark takes the columns 'p' and 'P' for one: rename"):
        classifier(numericCols=[]).fit(twins)
    twice = rows.selectExpr("word", "p", "id as p")
    with pytest.raises(ValueError, match="the data has 2 columns of the name 'p': rename or drop"):
        classifier(numericCols=[]).fit(twice)


def test_ids_are_told(rows, capsys):
    classifier(numericCols=["p", "id"], categoricalCols=["t"]).fit(rows)
    told = capsys.readouterr().err
    assert "a whole number of its own in each training row: 'id'; leave out what is an id" in told
    assert "column 't' has" in told
    assert "taken for an id, so without influence" in told
    classifier(numericCols=["p"], categoricalCols=["id"]).fit(rows)
    assert "column 'id' has" in capsys.readouterr().err


def test_moments_are_no_ids(rows, capsys):
    timed = rows.selectExpr("p", "word", "timestamp_seconds(id * 997) as at")
    classifier(dateCols=["at"]).fit(timed)
    assert "leave out what is an id" not in capsys.readouterr().err


def test_weights_of_classes_as_a_map(rows):
    weighed = classifier(classWeight={"yes": 3, "no": 1}).fit(rows)
    assert weighed.trained.loss.class_weights == (1.0, 3.0)
    numbers = classifier(labelCol="y", classWeight={0: 1, 1: 2.5})
    found = numbers.fit(rows.selectExpr("p", "id % 2 as y"))
    assert found.trained.loss.class_weights == (1.0, 2.5)
    with pytest.raises(ValueError, match=r"classWeight is .*, not .even."):
        classifier(classWeight="even").fit(rows)


@pytest.mark.parametrize(("name", "value"), [("maxIter", 0), ("batchSize", -1)])
def test_counts(rows, name, value):
    with pytest.raises(ValueError, match=f"{name} is at least 1, not {value}"):
        classifier(**{name: value}).fit(rows)


def test_thresholds_of_other_classes(rows, model):
    three = model.copy().setThresholds([0.2, 0.3, 0.5])
    with pytest.raises(ValueError, match="thresholds has 3 numbers, but the model has 2 classes"):
        three.transform(rows)
    with pytest.raises(ValueError, match="thresholds has 3 numbers, but the model has 2 classes"):
        three.predict({"p": 1.0})


def test_names_of_outputs(rows, model):
    with pytest.raises(ValueError, match="two of the output columns have one name: rawPrediction"):
        model.copy({model.probabilityCol: "rawPrediction"}).transform(rows)
    with pytest.raises(ValueError, match="the data has a column 'p' already: rename or drop it"):
        model.copy({model.predictionCol: "p"}).transform(rows)
    silent = {model.predictionCol: "", model.probabilityCol: "", model.rawPredictionCol: ""}
    assert model.copy(silent).transform(rows).columns == rows.columns


def test_a_frame_that_is_not_the_trainings(rows, model):
    with pytest.raises(ValueError, match="no column 'p' in the data: did you mean 'P'"):
        model.transform(rows.withColumnRenamed("p", "P"))
    with pytest.raises(ValueError, match="column 'p' is string, not numbers: cast it"):
        model.transform(rows.selectExpr("cast(p as string) as p"))
