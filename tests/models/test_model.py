"""Trained models: what they predict, on arrays and DataFrames, and their file."""

import copy
import json
import os
import pickle
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save

from dpnn import TrainedModel, load, nn
from dpnn.data.checks import DataError
from dpnn.data.roles import Columns

X = np.arange(24, dtype=np.int16).reshape(8, 3)
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1], np.int32)
SOURCE = {"paths": ["file:/data"], "where": [], "schema": {"x": "array<int>"}, "rows": 8}


def trained(units=3, loss=None, inputs="x", weight=None, layer=None):
    layer = layer or nn.Sequential(nn.Rescale(0.1), nn.Dense(4), nn.Tanh(), nn.Dense(units))
    network = layer.build((3,), seed=1)
    columns = Columns(inputs, "label", weight)
    return TrainedModel(network, loss or nn.SoftmaxCrossEntropy(), columns, SOURCE)


@pytest.fixture(scope="module")
def frame(spark_session):
    """Three partitions, one of them empty, and columns that a model knows nothing of."""
    rows = [
        (i, f"row {i}", x.tolist(), int(y), float(i % 3), {"deep": [i]} if i % 2 else None)
        for i, (x, y) in enumerate(zip(X, LABELS, strict=True))
    ]
    schema = (
        "id long, name string, x array<smallint>, label int, w double, more map<string, array<int>>"
    )
    df = spark_session.createDataFrame(rows, schema)
    return df.repartitionByRange(2, "id").union(df.where("id < 0"))


def softmax(z):
    e = np.exp(z.astype(np.float64))
    return e / e.sum(axis=1, keepdims=True)


def test_predict_gives_raw_outputs_in_batches():
    model = trained()
    whole = model.predict(X)
    assert whole.shape == (8, 3)
    np.testing.assert_array_equal(model.predict(X, batch_size=3), whole)
    np.testing.assert_allclose(model.predict_probability(X), softmax(whole), rtol=1e-6)


def test_a_binary_models_probabilities_are_of_both_classes():
    model = trained(1, nn.BinaryCrossEntropy())
    p = model.predict_probability(X)
    np.testing.assert_allclose(p[:, 1], 1 / (1 + np.exp(-model.predict(X)[:, 0])), rtol=1e-6)
    np.testing.assert_allclose(p.sum(axis=1), 1)


def test_regression_has_no_probabilities():
    with pytest.raises(ValueError, match="MeanSquaredError has no probabilities: use predict"):
        trained(1, nn.MeanSquaredError()).predict_probability(X)


@pytest.mark.connect
def test_transform_adds_prediction_and_probability_and_leaves_the_rest(frame):
    model = trained()
    rows = model.transform(frame).orderBy("id").collect()
    assert model.transform(frame).columns == [*frame.columns, "prediction", "probability"]
    before = frame.orderBy("id").collect()
    assert [row[: len(frame.columns)] for row in rows] == [tuple(row) for row in before]
    z = model.predict(X)
    assert [row.prediction for row in rows] == z.argmax(axis=1).tolist()
    found = np.array([row.probability for row in rows])
    np.testing.assert_allclose(found, softmax(z), rtol=1e-6)


def test_transform_types(frame):
    kinds = dict(trained().transform(frame).dtypes)
    assert (kinds["prediction"], kinds["probability"]) == ("double", "array<double>")
    binary = dict(trained(1, nn.BinaryCrossEntropy()).transform(frame).dtypes)
    assert (binary["prediction"], binary["probability"]) == ("double", "array<double>")
    values = dict(trained(1, nn.MeanSquaredError()).transform(frame).dtypes)
    assert values["prediction"] == "double"
    assert "probability" not in values
    several = dict(trained(2, nn.MeanSquaredError()).transform(frame).dtypes)
    assert several["prediction"] == "array<double>"


@pytest.mark.connect
def test_transform_of_a_regression_gives_values(frame):
    one, two = trained(1, nn.MeanSquaredError()), trained(2, nn.MeanSquaredError())
    for model in (one, two):
        rows = model.transform(frame).orderBy("id").collect()
        found = np.array([row.prediction for row in rows]).reshape(8, -1)
        np.testing.assert_allclose(found, model.predict(X), rtol=1e-6)


@pytest.mark.connect
def test_transform_of_names_with_dots_and_twins(frame):
    from pyspark.sql import functions as F

    odd = frame.withColumn("a.b", F.lit(1)).withColumn("c`d", F.lit(2))
    twins = odd.select("*", F.lit(3).alias("id"))
    expected = [row.prediction for row in trained().transform(frame).orderBy("id").collect()]
    found = trained().transform(odd)
    assert found.columns == [*odd.columns, "prediction", "probability"]
    assert [row.prediction for row in found.orderBy("id").collect()] == expected
    doubled = trained().transform(twins)
    assert doubled.columns == [*twins.columns, "prediction", "probability"]
    assert [row[-2] for row in sorted(doubled.collect())] == expected
    dotted = frame.withColumnRenamed("x", "my.x")
    rows = trained().transform(dotted, inputs="my.x").orderBy("id").collect()
    assert [row.prediction for row in rows] == expected


@pytest.mark.connect
def test_transform_sees_other_weights(frame):
    model = trained()
    before = [row.prediction for row in model.transform(frame).orderBy("id").collect()]
    model.weights[-15:] *= -1  # the last layer
    after = [row.prediction for row in model.transform(frame).orderBy("id").collect()]
    assert after == model.predict(X).argmax(axis=1).tolist() != before


def test_a_copy_predicts_the_same_and_has_its_own_weights(frame):
    model = trained()
    model.transform(frame).collect()  # has broadcast its weights
    expected = model.predict(X)
    twin = copy.deepcopy(model)
    assert twin.predict(X).tobytes() == expected.tobytes()
    assert (twin.loss, twin.columns, twin.source) == (model.loss, model.columns, model.source)
    twin.weights[...] = 0
    assert not twin.predict(X).any()
    assert model.predict(X).tobytes() == expected.tobytes()


@pytest.mark.classic("the function is an RDD's")
def test_a_model_goes_into_a_users_own_function(frame):
    model = trained()

    def first(row):
        return float(model.predict(np.array([row.x]))[0, 0])

    found = frame.select("id", "x").rdd.map(lambda row: (row.id, first(row))).collect()
    np.testing.assert_allclose([z for _, z in sorted(found)], model.predict(X)[:, 0], rtol=1e-5)


def test_predict_of_a_dataframe_names_transform(frame):
    with pytest.raises(TypeError, match="for a DataFrame there is transform"):
        trained().predict(frame)


def test_evaluate_takes_targets_between_no_and_yes():
    model, y = trained(1, nn.BinaryCrossEntropy()), np.linspace(0.1, 0.9, len(X))
    figures = model.evaluate((X, y))
    z = model.predict(X)[:, 0]
    assert figures["loss"] == pytest.approx(np.mean(np.log1p(np.exp(z)) - y * z), rel=1e-5)
    assert np.sum(figures["confusion"]) == len(X)
    assert np.sum(figures["confusion"], axis=1).tolist() == [(y <= 0.5).sum(), (y > 0.5).sum()]
    with pytest.raises(
        ValueError, match="a label is 7: BinaryCrossEntropy takes labels from 0 to 1"
    ):
        model.evaluate((X, np.full(len(X), 7.0)))


@pytest.mark.connect
def test_transform_keeps_vectors_and_nested_inputs(spark_session):
    from pyspark.ml.linalg import Vectors

    rows = [(Vectors.dense(x.astype(float)), [[int(v)] for v in x]) for x in X]
    df = spark_session.createDataFrame(rows, ["v", "n"]).coalesce(1)
    found = trained(inputs="v").transform(df).collect()
    assert [row.v for row in found] == [row[0] for row in rows]
    assert [row.prediction for row in found] == trained().predict(X).argmax(axis=1).tolist()


@pytest.mark.classic("broadcasts are of a SparkContext")
def test_transform_sends_the_weights_once(frame, monkeypatch):
    sc, sent = frame.sparkSession.sparkContext, []
    broadcast = sc.broadcast
    monkeypatch.setattr(sc, "broadcast", lambda value: sent.append(value) or broadcast(value))
    model = trained()
    model.transform(frame)
    model.transform(frame)
    model.evaluate(frame)
    model.udf()
    assert sent == [model.weights.tobytes()]


def test_transform_does_not_hide_a_column(frame):
    taken = frame.withColumnRenamed("name", "prediction")
    with pytest.raises(ValueError, match="has a column 'prediction' already: rename or drop it"):
        trained().transform(taken)


def test_a_missing_input_column_is_named(frame):
    with pytest.raises(ValueError, match="no column 'pixels' in the data"):
        trained(inputs="pixels").transform(frame)


def test_after_arrays_transform_asks_for_the_inputs(frame):
    model = trained()
    model.columns = None
    with pytest.raises(ValueError, match="say inputs="):
        model.transform(frame)
    assert model.transform(frame, inputs="x").count() == 8


def expected_figures(model, weights):
    z, rows = model.predict(X).astype(np.float64), np.arange(8)
    loss = np.log(np.exp(z).sum(axis=1)) - z[rows, LABELS]
    right = z.argmax(axis=1) == LABELS
    matrix = np.zeros((3, 3))
    np.add.at(matrix, (LABELS, z.argmax(axis=1)), weights)
    found, true = (np.bincount(of, weights, 3) for of in (z.argmax(axis=1), LABELS))
    hits = matrix.diagonal()
    nonzero = [np.where(n > 0, n, 1) for n in (found, true, found + true)]
    there = found + true > 0
    precision, recall, f1 = hits / nonzero[0], hits / nonzero[1], 2 * hits / nonzero[2]
    return {
        "rows": 8,
        "log_loss": pytest.approx((weights * loss).sum() / weights.sum(), rel=1e-5),
        "f1": pytest.approx(f1[there].mean()),
        "precision": pytest.approx(precision[there].mean()),
        "recall": pytest.approx(recall[there].mean()),
        "precision_by_class": pytest.approx(precision.tolist()),
        "recall_by_class": pytest.approx(recall.tolist()),
        "loss": pytest.approx((weights * loss).sum() / weights.sum(), rel=1e-5),
        "accuracy": pytest.approx((weights * right).sum() / weights.sum()),
        "confusion": matrix.tolist(),
    }


def test_evaluate_is_the_same_on_arrays_and_a_dataframe(frame):
    model = trained()
    expected = expected_figures(model, np.ones(8))
    assert model.evaluate((X, LABELS)) == expected
    assert model.evaluate(frame) == expected


@pytest.mark.connect
def test_evaluate_weighs_rows(frame):
    weights = np.arange(8) % 3.0
    expected = expected_figures(trained(), weights)
    assert trained().evaluate((X, LABELS, weights)) == expected
    assert trained().evaluate(frame, weight="w") == expected
    assert trained(weight="w").evaluate(frame) == expected_figures(trained(), np.ones(8))


def test_evaluate_a_regression(frame):
    model = trained(1, nn.MeanSquaredError())
    error = model.predict(X)[:, 0].astype(np.float64) - LABELS
    expected = {
        "rows": 8,
        "loss": pytest.approx((error**2).mean(), rel=1e-5),
        "mae": pytest.approx(np.abs(error).mean(), rel=1e-5),
        "rmse": pytest.approx(np.sqrt((error**2).mean()), rel=1e-5),
        "r2": pytest.approx(1 - (error**2).sum() / ((LABELS - LABELS.mean()) ** 2).sum(), rel=1e-4),
    }
    assert model.evaluate(frame) == expected
    assert model.evaluate((X, LABELS)) == expected


def test_evaluate_refuses_bad_labels_and_no_rows(frame):
    with pytest.raises(ValueError, match=r"no class number from 0 to 2, e\.g\. 5"):
        trained().evaluate((X, np.full(8, 5)))
    with pytest.raises(ValueError, match="the data has no rows"):
        trained().evaluate(frame.where("id < 0"))
    with pytest.raises(TypeError, match="takes a Spark DataFrame, a pandas or Arrow"):
        trained().evaluate(X)


@pytest.mark.connect
def test_evaluate_tells_of_all_bad_rows_in_one_line(frame):
    from pyspark.sql import functions as F

    holes = frame.repartition(3).withColumn("x", F.when(F.col("id") < 2, F.col("x")))
    with pytest.raises(DataError, match=r"^column 'x' has 6 nulls: drop or fill them"):
        trained().evaluate(holes)
    with pytest.raises(DataError, match=r"^column 'label' has 8 values that are no class number"):
        trained().evaluate(frame.repartition(3).withColumn("label", F.lit(5)))


def test_predict_refuses_what_fit_refuses():
    for x in (np.array([["a"] * 4]), X.astype(complex), X.astype(object)):
        with pytest.raises(DataError, match=r"^X is .* it must be an array of numbers"):
            trained().predict(x)
    masked = np.ma.masked_greater(X, 0.5)
    count = int((X > 0.5).sum())
    for use in (trained().predict, lambda x: trained().evaluate((x, np.zeros(8, int)))):
        with pytest.raises(DataError, match=f"X has {count} masked values: drop such rows or fill"):
            use(masked)


def test_a_frame_of_a_column_that_python_cannot_have(frame):
    from pyspark.sql import functions as F

    odd = frame.withColumn("term", F.expr("interval '1' year"))
    found = trained().transform(odd).drop("term").orderBy("id").collect()
    assert [row.prediction for row in found] == trained().predict(X).argmax(axis=1).tolist()


def test_a_saved_model_comes_back_bit_for_bit(tmp_path):
    model = trained(weight="w")
    path = tmp_path / "made" / "model.safetensors"
    model.save(path)
    back = load(path)
    assert back.weights.tobytes() == model.weights.tobytes()
    assert back.network.layer == model.network.layer
    assert (back.loss, back.columns, back.source) == (model.loss, model.columns, model.source)
    assert back.predict(X).tobytes() == model.predict(X).tobytes()


def test_other_tools_can_read_the_file(tmp_path):
    from safetensors import safe_open

    model = trained()
    model.save(tmp_path / "m")
    with safe_open(tmp_path / "m", framework="np") as file:
        assert set(file.keys()) == set(model.network.parameters)
        for name, view in model.network.parameters.items():
            np.testing.assert_array_equal(file.get_tensor(name), view)
        assert json.loads(file.metadata()["source"]) == SOURCE


def test_saving_again_replaces(tmp_path):
    trained(3).save(tmp_path / "m")
    trained(5).save(tmp_path / "m")
    assert load(tmp_path / "m").network.output_shape == (5,)
    assert os.listdir(tmp_path) == ["m"]  # noqa: PTH208


def rewritten(path, change):
    """Change the metadata of a model file in place."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    change(header["__metadata__"])
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "else"}, "is a safetensors file, but no dpnn model"),
        ({"format_version": "9"}, "has model format '9', this is dpnn .* which reads up to '2'"),
        ({"model": '{"type": "Popen"}'}, "needs the class Popen, which is not imported"),
        ({"model": '{"type": "Adam"}'}, "has a broken description"),
        ({"model": '{"type": "Dense"}'}, "has a broken description"),
        ({"model": "{"}, "has a broken description"),
        ({"input_shape": '"abc"'}, "has a broken description"),
        ({"input_shape": "[4]"}, r"of shape \(3, 4\), its model has \(4, 4\)"),
        ({"loss": '{"type": "Dense", "units": 3}'}, "has a broken description"),
        ({"columns": '{"colour": 1}'}, "has a broken description"),
        ({"checksum": "00000000"}, "does not match its checksum"),
        ({"model": "[" * 200_000}, "has a broken description"),
        ({"input_shape": "[1e999]"}, "has a broken description"),
        ({"source": "5"}, "has a broken description"),
        ({"source": "{}"}, "does not match its checksum"),
    ],
)
def test_an_altered_description_is_one_line(tmp_path, change, message):
    path = tmp_path / "m.safetensors"
    trained().save(path)
    rewritten(path, lambda metadata: metadata.update(change))
    with pytest.raises(ValueError, match=f"m.safetensors .*{message}") as told:
        load(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("size", [0, 5, 8, 100, -1])
def test_a_file_that_is_cut_off_is_one_line(tmp_path, size):
    path = tmp_path / "m"
    trained().save(path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match="m is not a model file, or is cut off") as told:
        load(path)
    assert "\n" not in str(told.value)


def test_foreign_files_are_one_line(tmp_path):
    for name, content in {"a.pkl": b"\x80\x04K\x01." * 50, "b.txt": b"hello " * 50}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} is not a model file"):
            load(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"no such file: .*gone"):
        load(tmp_path / "gone")


def test_a_flipped_bit_in_the_weights_is_found(tmp_path):
    path = tmp_path / "m"
    trained().save(path)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="does not match its checksum"):
        load(path)


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("unpickled")

    trained().save(tmp_path / "m")
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    load(tmp_path / "m")


def test_a_model_that_would_not_come_back_is_not_saved(tmp_path):
    class Odd(nn.Layer):
        scale: object = None

        def forward(self, p, x, ctx):
            return x, None

    model = TrainedModel(Odd({1, 2}).build((3,)), nn.MeanSquaredError())
    with pytest.raises((ValueError, TypeError)):
        model.save(tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_path_that_names_a_folder_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match=r"models/ names a folder: name a file in it, e\.g"):
        trained().save(f"{tmp_path}/models/")
    with pytest.raises(IsADirectoryError, match="is a directory: name a file in it"):
        trained().save(tmp_path)
    assert os.listdir(tmp_path) == []  # noqa: PTH208


@pytest.mark.connect
def test_a_layer_of_ones_own_asks_for_its_module(tmp_path):
    (tmp_path / "my_layers.py").write_text(
        "from dpnn import nn\n\n\nclass Half(nn.Layer):\n"
        "    def forward(self, p, x, ctx):\n        return x * 0.5, None\n"
    )
    make = (
        "import sys, my_layers; from dpnn import TrainedModel, nn\n"
        "net = nn.Sequential(my_layers.Half(), nn.Dense(1)).build((2,))\n"
        "TrainedModel(net, nn.MeanSquaredError()).save('m')\n"
    )
    paths = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    env = {**os.environ, "PYTHONPATH": paths}
    subprocess.run([sys.executable, "-c", make], check=True, cwd=tmp_path, env=env)
    with pytest.raises(
        ValueError,
        match=r"m needs the class Half, which is not imported: import my_layers first "
        r"\(jobs: --import my_layers\)$",
    ):
        load(tmp_path / "m")
    use = "import my_layers; from dpnn import load; print(load('m').network.layer)"
    found = subprocess.run(
        [sys.executable, "-c", use], check=True, cwd=tmp_path, env=env, capture_output=True
    )
    assert b"Half()" in found.stdout


def test_a_file_of_format_1_is_read(tmp_path):
    path, model = tmp_path / "m", trained()
    model.save(path)

    def old(metadata):
        metadata["format_version"] = "1"
        metadata["crc32"] = f"{zlib.crc32(model.weights.tobytes()):08x}"
        del metadata["checksum"], metadata["classes"]

    rewritten(path, old)
    assert load(path).predict(X).tobytes() == model.predict(X).tobytes()
    rewritten(path, lambda metadata: metadata.update(crc32="00000000"))
    with pytest.raises(ValueError, match="does not match its checksum"):
        load(path)


def test_normalization_of_format_1_had_variances(tmp_path):
    path = tmp_path / "m"
    layers = nn.Sequential(nn.Normalization(), nn.Dense(3))
    model = TrainedModel(layers.build(3, seed=2), nn.SoftmaxCrossEntropy())
    model.save(path)
    now = model.network.parameters
    now["Normalization[0].mean"][...] = [0.5, -1, 2]
    now["Normalization[0].scale"][...] = [2, 1, 0.5]
    variance = np.array([0.25, 1, 4], np.float32)
    old = {name: np.array(now[name]) for name in ("Dense[1].W", "Dense[1].b")}
    old |= {"Normalization[0].mean": np.array(now["Normalization[0].mean"])}
    old |= {"Normalization[0].variance": variance}
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    metadata["format_version"] = "1"
    metadata["crc32"] = f"{zlib.crc32(b''.join(a.tobytes() for a in old.values())):08x}"
    path.write_bytes(save(old, metadata))
    assert np.array_equal(load(path).predict(X), model.predict(X))


def test_loading_takes_time_as_layers_not_as_their_square(tmp_path):
    def calls(layers):
        """Function calls of one load: they do not depend on how busy the machine is."""
        network = nn.Sequential(*[nn.Dense(1)] * layers).build((1,))
        TrainedModel(network, nn.MeanSquaredError()).save(tmp_path / "m")
        count = 0

        def tick(*_):
            nonlocal count
            count += 1

        sys.setprofile(tick)
        try:
            load(tmp_path / "m")
        finally:
            sys.setprofile(None)
        return count

    few, many = calls(200), calls(800)
    assert many < 5 * few
