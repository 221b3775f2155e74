"""`evaluate` of a DataFrame that is nothing but files: by tasks that read these themselves, with
the figures and the words that Spark's rows give.
"""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dpnn
from dpnn import Trainer, nn
from dpnn.data import from_files

pytestmark = pytest.mark.classic("tasks read files by the plan, which only a JVM shows")

N = 300
RAW = nn.Concatenate(nn.Input("numbers"), nn.Sequential(nn.Input("categories"), nn.OneHot((9, 4))))
MODELS = {
    "numbers": (["a", "b"], nn.Dense(2)),
    "raw": (dpnn.columns(["a", "b"], ["name", "day"]), nn.Sequential(RAW, nn.Dense(2))),
}


def table(**changes):
    rng = np.random.default_rng(0)
    a = rng.normal(size=N)
    made = {
        "a": pa.array(a, pa.float32()),
        "b": pa.array(rng.normal(size=N)),
        "name": pa.array([f"n{i % 7}" for i in range(N)]),
        "y": pa.array((a > 0).astype(np.int32)),
    }
    return pa.table(made | changes)


def write(folder, **days):
    for day, rows in days.items():
        path = folder / day.replace("_", "=")
        path.mkdir(parents=True)
        pq.write_table(rows, path / "part.parquet", row_group_size=100)
    return str(folder)


def outcome(model, df):
    try:
        return model.evaluate(df)
    except ValueError as error:
        return str(error)


def alike(a, b):
    if isinstance(a, str):
        return a == b
    return a.keys() == b.keys() and all(np.allclose(a[name], b[name], equal_nan=True) for name in a)


def both(model, df):
    """(whether tasks read files, what came of it): as Spark's rows have it."""
    found = outcome(model, df)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(from_files, "scan_of", lambda frame: None)
        assert from_files.plan_of(df) is None
        expected = outcome(model, df)
    assert alike(found, expected)
    return from_files.plan_of(df) is not None, found


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    inputs, layer = MODELS[request.param]
    rows = table().append_column("day", pa.array(np.arange(N) % 2, pa.int32()))
    trainer = Trainer(layer, nn.SoftmaxCrossEntropy(), epochs=1, progress=False)
    return trainer.fit(rows, inputs, "y").model


def test_figures(spark_session, tmp_path, model, monkeypatch):
    df = spark_session.read.parquet(write(tmp_path, day_0=table(), day_1=table().slice(50)))
    asked = []
    read = from_files.plan_of
    monkeypatch.setattr(from_files, "plan_of", lambda df: asked.append(read(df)) or asked[-1])
    figures = model.evaluate(df)
    assert figures["rows"] == 2 * N - 50
    assert [len(plan.tasks) > 1 for plan in asked] == [True]
    monkeypatch.undo()
    by_files, same = both(model, df)
    assert by_files
    assert alike(same, figures)
    assert both(model, df.where("day = 1 and a > 0"))[1]["rows"] < N / 2
    by_files, same = both(model, df.where("abs(a) >= 0"))
    assert not by_files
    assert alike(same, figures)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"y": pa.array([None, *[1] * (N - 1)], pa.int32())}, "'y' has 1 null"),
        ({"y": pa.array([7] * N, pa.int32())}, "from 0 to 1"),
        ({"a": pa.array([np.inf, *[0.0] * (N - 1)], pa.float32())}, "'a' has 1 "),
    ],
)
def test_bad_rows_are_told_as_of_any_source(spark_session, tmp_path, model, changes, told):
    df = spark_session.read.parquet(write(tmp_path, day_0=table(), day_1=table(**changes)))
    by_files, found = both(model, df)
    assert by_files
    assert told in found
    assert "\n" not in found


def test_files_that_only_spark_reads(spark_session, tmp_path, model):
    narrow = table(y=pa.array([1] * N, pa.int8()))
    df = spark_session.read.parquet(write(tmp_path, day_0=table(), day_1=narrow))
    by_files, figures = both(model, df)
    assert not by_files
    assert figures["rows"] == 2 * N
