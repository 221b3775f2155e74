"""What raw columns make a user hear: one line each, once, before the first epoch."""

import numpy as np
import pyarrow as pa
import pytest

import dpnn
from dpnn import Dataset, Trainer, nn
from dpnn.data.checks import DataError

ROWS = 240
RNG = np.random.default_rng(3)
TABLE = pa.table(
    {
        "Age": RNG.integers(17, 90, ROWS),
        "pay": RNG.lognormal(3, 1, ROWS),
        "same": pa.array([7.5] * ROWS),
        "job": RNG.choice(["a", "b", "c"], ROWS),
        "id": [f"row {i}" for i in range(ROWS)],
        "none": pa.array([None] * ROWS, pa.string()),
        "w": np.zeros(ROWS),
        "v": np.where(np.arange(ROWS) % 4 == 0, 0.0, 1.0),
        "held": np.arange(ROWS) % 4 == 0,
        "y": np.where(RNG.random(ROWS) < 0.4, "yes", "no"),
    }
)
INPUTS = dpnn.columns(numeric=["pay"], categorical=["job"])


@pytest.fixture(scope="module", params=["table", "frame"])
def rows(request, spark_session):
    """The table as it is, and as a DataFrame."""
    if request.param == "table":
        return TABLE
    return spark_session.createDataFrame(TABLE)


def replaced(rows, name, values):
    table = TABLE.set_column(TABLE.column_names.index(name), name, pa.array(values))
    return table if rows is TABLE else rows.sparkSession.createDataFrame(table)


def said(capsys):
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("dpnn: ")]
    return [line.removeprefix("dpnn: ") for line in lines if "read into" not in line]


def test_a_constant_number_and_an_id_have_no_influence(rows, capsys):
    inputs = dpnn.columns(["pay", "same"], ["job", "id"])
    with Dataset(rows, inputs, "y", validation="held", num_shards=2) as data:
        same, job_and_id = data.encoders.numbers[1], data.encoders.categories
    train = ROWS * 3 // 4
    constant, an_id = said(capsys)
    assert constant == f"the same value in all {train} training rows, so without influence: 'same'"
    assert an_id == (
        f"column 'id' has {train} values in {train} training rows: taken for an id, so without "
        "influence. If it is a category, give it buckets: Category('id', buckets=1000)"
    )
    assert [column.tolist() for column in same.encode(np.array([7.5, -3.0]))] == [[0, 0]]
    assert same.place(np.array([7.5, 1e9])).tolist() == [0, 0]
    assert [one.size for one in job_and_id] == [5, 2]


def test_what_is_said_is_not_part_of_a_model(capsys):
    with Dataset(TABLE, dpnn.columns(["same", "pay"]), "y", progress=False) as data:
        assert data.encoders.notes
        again = type(data.encoders).from_json(data.encoders.as_json())
    assert (again, again.notes) == (data.encoders, ())
    assert not said(capsys)


def test_columns_by_type_are_said_once(rows, capsys):
    few = rows.drop(["none", "id", "same"]) if rows is TABLE else rows.drop("none", "id", "same")
    with Dataset(few, dpnn.columns(), "y", "pay", "held", num_shards=2) as data:
        assert data.encoders.names == ["Age", "w", "v", "job"]
    assert said(capsys)[:2] == [
        "by type, 3 numeric: 'Age', 'w', 'v'",
        "by type, 1 categorical: 'job'",
    ]
    with pytest.raises(ValueError, match="no column 'Y' in the data: did you mean 'y'"):
        Dataset(few, dpnn.columns(), "Y")


def test_what_could_be_no_input_is_said(spark_session, capsys):
    frame = spark_session.range(9).selectExpr("id % 2 as y", "id * 0.5 as a", "map(1, id) as m")
    with Dataset(frame, dpnn.columns(), "y", num_shards=1):
        pass
    assert said(capsys) == ["by type, 1 numeric: 'a'", "by type, left out: 'm'"]


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        (dpnn.columns(["pay"], ["none"]), "column 'none' is missing in all 180 training rows: .*"),
        (dpnn.columns(["age"]), "no column 'age' in the data: did you mean 'Age'?"),
        (dpnn.columns(["PAY"]), "no column 'PAY' in the data: did you mean 'pay'?"),
        (dpnn.columns(["pay"], ["y"]), "column 'y' is the label and an input as well"),
    ],
)
def test_columns_that_cannot_be(rows, inputs, told):
    with pytest.raises(ValueError, match=told):
        Dataset(rows, inputs, "y", validation="held", num_shards=2)


def test_two_columns_of_one_name(spark_session):
    frame = spark_session.range(9).selectExpr("id as a", "id % 2 as y", "id * 2 as a")
    with pytest.raises(ValueError, match="has 2 columns of the name 'a': rename or drop"):
        Dataset(frame, ["a"], "y")


@pytest.mark.parametrize("inputs", [["pay"], INPUTS])
def test_weights_that_are_all_zero(rows, inputs):
    with pytest.raises(DataError, match="the training rows' weights sum to 0: at least one row"):
        Dataset(rows, inputs, "v", "w", validation="held", num_shards=2)
    with pytest.raises(DataError, match="the validation rows' weights sum to 0: at least one row"):
        Dataset(rows, inputs, "v", "v", validation="held", num_shards=2)


def trainer(outputs=2):
    number = nn.Sequential(nn.Input("numbers"), nn.Dense(outputs))
    return Trainer(number, nn.SoftmaxCrossEntropy(), epochs=1, engine="local")


def test_a_label_of_one_class(rows):
    yes = replaced(rows, "y", ["yes"] * ROWS)
    with pytest.raises(
        ValueError, match="the label column 'y' has one class alone, 'yes', in all 240 "
    ):
        trainer().fit(yes, INPUTS, "y", num_shards=2)
    with pytest.raises(ValueError, match="the label has one class alone, 3, in all 9 training"):
        Trainer(nn.Dense(4), nn.SoftmaxCrossEntropy()).fit((np.ones((9, 2)), np.full(9, 3)))


@pytest.mark.parametrize(
    ("label", "told"),
    [
        (["no", "yes", "no", "maybe"], "validation rows alone have the label 'maybe': the model"),
        ([0, 1, 0, 2], "validation rows have labels from 2 to 2, training rows from 0 to 1: the"),
    ],
)
def test_a_class_that_validation_alone_has(rows, label, told, capsys):
    some = replaced(rows, "y", [label[(i + 3) % 4] for i in range(ROWS)])
    result = trainer(3).fit(some, INPUTS, "y", validation="held", num_shards=2)
    assert len([line for line in said(capsys) if line.startswith(told)]) == 1
    assert result.history["loss"][0] > 0


def test_validation_rows_in_a_table_of_their_own():
    """Whose values the training table has not."""
    other = pa.table({"pay": [1.0, 2.0], "job": ["a", "z"], "y": ["no", "yes"]})
    with Dataset(TABLE, INPUTS, "y", validation=other, num_shards=2) as data:
        assert data.rows == {"train": ROWS, "validation": 2}
        assert sorted(data.encoders.categories[0].values) == ["a", "b", "c"]
