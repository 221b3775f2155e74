"""What a model says of a DataFrame's rows: as columns, as a function, as everywhere else."""

import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest

from dpnn import TrainedModel, nn
from dpnn.data.roles import Columns

INPUTS = {
    "num": ["f", "d", "i", "dec", "flag"],
    "ids": ["i", "l"],
    "a": "arr",
    "v": "vec",
    "img": "blob",
}
ROWS = 2500


def trained(loss, units):
    branch = [
        nn.Input("num"),
        nn.Sequential(nn.Input("ids"), nn.Embedding(50, 3), nn.Flatten()),
        nn.Input("a"),
        nn.Input("v"),
        nn.Sequential(nn.Input("img"), nn.Rescale(1 / 255)),
    ]
    layer = nn.Sequential(nn.Concatenate(*branch), nn.Dense(20), nn.Tanh(), nn.Dense(units))
    shapes = {"num": (5,), "ids": (2,), "a": (3,), "v": (4,), "img": (6,)}
    return TrainedModel(layer.build(shapes, seed=2), loss, Columns(INPUTS, "y"))


@pytest.fixture(scope="module")
def frame(spark_session):
    """One partition of columns of all types."""
    from pyspark.ml.linalg import Vectors

    rng = np.random.default_rng(0)
    rows = []
    for n in range(ROWS):
        x = rng.normal(size=12)
        vector = Vectors.dense(x[5:9]) if n % 3 else Vectors.sparse(4, [1, 3], [float(x[5]), 2.0])
        rows.append(
            (
                n,
                float(x[0]),
                float(x[1]) * 1e3,
                int(rng.integers(50)),
                int(rng.integers(50)),
                Decimal(int(x[2] * 1e9)).scaleb(-7),
                bool(x[3] > 0),
                [float(v) for v in x[9:]],
                vector,
                bytearray(rng.integers(0, 256, 6, np.uint8).tobytes()),
                n % 2,
            )
        )
    schema = (
        "id long, f float, d double, i int, l long, dec decimal(20,7), flag boolean, "
        "arr array<double>, vec vector, blob binary, y int"
    )
    names = [part.split()[0] for part in schema.split(", ")]
    kinds = schema.replace("vec vector, ", "")
    from pyspark.ml.linalg import VectorUDT
    from pyspark.sql import types as T

    fields = {f.name: f for f in T._parse_datatype_string(kinds).fields}
    fields["vec"] = T.StructField("vec", VectorUDT())
    made = T.StructType([fields[name] for name in names])
    return spark_session.createDataFrame(rows, made).coalesce(1).cache()


def values(df, *names):
    rows = df.orderBy("id").collect()
    return [np.array([row[name] for row in rows]) for name in names]


@pytest.mark.connect
@pytest.mark.parametrize("kind", ["classes", "binary", "values"])
def test_the_same_score_everywhere(frame, tmp_path, kind):
    loss, units = {
        "classes": (nn.SoftmaxCrossEntropy(), 3),
        "binary": (nn.BinaryCrossEntropy(), 1),
        "values": (nn.Poisson(), 1),
    }[kind]
    model = trained(loss, units)
    pandas, arrow = frame.toPandas(), frame.toArrow()
    z = model.predict(arrow)
    assert model.predict(pandas).tobytes() == z.tobytes()
    if kind == "values":
        score, said = z[:, 0].astype(float), ["prediction"]
    else:
        score, said = model.predict_probability(pandas), ["probability"]
    (found,) = values(model.transform(frame), *said)
    assert found.tobytes() == score.tobytes()
    from dpnn.data.columns import column_names

    function = model.udf(said[0])
    (found,) = values(frame.select("id", function(*column_names(INPUTS)).alias("p")), "p")
    assert found.tobytes() == score.tobytes()
    figures = model.evaluate(frame)
    assert model.evaluate(arrow) == model.evaluate(pandas) == figures
    model.save(tmp_path / "m")
    arrow_file = tmp_path / "rows.arrow"
    import pyarrow as pa

    with pa.OSFile(str(arrow_file), "wb") as file, pa.ipc.new_file(file, arrow.schema) as writer:
        writer.write_table(arrow)
    script = (
        "import sys, pyarrow as pa; from dpnn import load\n"
        f"t = pa.ipc.open_file({str(arrow_file)!r}).read_all()\n"
        f"sys.stdout.buffer.write(load({str(tmp_path / 'm')!r}).predict(t).tobytes())\n"
        "assert 'pyspark' not in sys.modules\n"
    )
    fresh = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert fresh.stdout == z.tobytes(), fresh.stderr.decode()


def test_however_rows_are_cut_they_have_the_same_bits():
    """Wide layers: there BLAS's blocks show in the last bits of float32."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 100)).astype(np.float32)
    net = nn.Sequential(nn.Dense(64), nn.Tanh(), nn.Dense(24)).build(100)
    model = TrainedModel(net, nn.MeanSquaredError())
    whole = model.predict(x)
    for _ in range(3):
        order = rng.permutation(len(x))
        parts = np.split(x[order], np.sort(rng.choice(len(x), 9, replace=False)))
        found = np.concatenate([model.predict(part) for part in parts])
        np.testing.assert_array_equal(found, whole[order])
    net.weights *= 2
    assert not np.allclose(model.predict(x), whole)  # the weights of now


@pytest.fixture(scope="module")
def small(spark_session):
    rows = [(i, float(i), float(i % 5), i % 3) for i in range(300)]
    return spark_session.createDataFrame(rows, "id long, a double, b double, y int").repartition(2)


def perceptron(units=3, loss=None):
    layer = nn.Sequential(nn.Dense(4), nn.Tanh(), nn.Dense(units))
    network = layer.build((2,), seed=1)
    return TrainedModel(network, loss or nn.SoftmaxCrossEntropy(), Columns(["a", "b"], "y"))


@pytest.mark.connect
def test_named_outputs(small):
    model = perceptron()
    found = model.transform(
        small,
        outputs={"p": "probability", "": "prediction", "one": "probability[1]", "z": "raw"},
        dtype="float32",
    )
    assert found.columns == [*small.columns, "p", "one", "z"]
    kinds = dict(found.dtypes)
    assert (kinds["p"], kinds["one"], kinds["z"]) == ("array<float>", "float", "array<float>")
    p, one, z = values(found, "p", "one", "z")
    assert (p[:, 1] == one).all()
    x = np.array([(row.a, row.b) for row in small.orderBy("id").collect()])
    np.testing.assert_allclose(z, model.predict(x), rtol=1e-5)
    with pytest.raises(ValueError, match="has a column 'ID' already: rename or drop it"):
        model.transform(small, outputs={"ID": "prediction"})


def test_only_what_is_asked_for_is_computed(small, capsys):
    def plan(frame):
        frame.explain(extended=True)
        return capsys.readouterr().out.partition("== Optimized Logical Plan ==")[2]

    made = perceptron().transform(small)
    few = plan(made.select("id", "prediction"))
    assert few.count("array<double>") == few.count("probability") == 0
    assert plan(made).partition("== Physical Plan ==")[2].count("ArrowEvalPython") == 1
    text = plan(made.where("id < 7").select("prediction")).partition("== Physical Plan ==")[2]
    assert "Filter" not in text.partition("ArrowEvalPython")[0]  # it lies below


def test_both_outputs_of_a_batch_share_one_pass(monkeypatch):
    import pyarrow as pa

    from dpnn.data import tables
    from dpnn.data.roles import is_frame
    from dpnn.models import scoring
    from dpnn.models.outputs import Output
    from dpnn.models.scorer import Sent

    class Broadcast:
        value = perceptron().weights.tobytes()

    calls = []
    forward = scoring.forward
    monkeypatch.setattr(scoring, "forward", lambda *a: calls.append(1) or forward(*a))
    model, wanted = perceptron(), tables.wanted(["a", "b"])
    columns = [pa.array([1.0, 2.0]), pa.array([3.0, 4.0])]
    sent, scorer = Sent("once", Broadcast), model._scorer()
    shown = [
        scoring.score(columns, None, wanted, scorer, sent, Output(meaning)).to_pylist()
        for meaning in ("raw", "prediction", "raw")
    ]
    assert len(calls) == 1
    assert shown[0] == shown[2]
    other = [pa.array([5.0, 2.0]), columns[1]]
    again = scoring.score(other, None, wanted, scorer, sent, Output("raw")).to_pylist()
    assert len(calls) == 2
    assert again != shown[0]
    scoring.score(columns, None, wanted, scorer, Sent("other", Broadcast), Output("raw"))
    assert len(calls) == 3
    assert not is_frame(columns)


@pytest.mark.connect
def test_a_function_in_sql_of_single_and_packed_columns(small, spark_session):
    model = perceptron()
    expected = values(model.transform(small), "prediction", "probability")
    small.createOrReplaceTempView("rows_of_udf")
    spark_session.udf.register("says", model.udf())
    spark_session.udf.register("chance", model.udf("probability[2]"))
    found = spark_session.sql(
        "select id, says(a, b) as s, says(array(a, b)) as packed, chance(a, b) as c "
        "from rows_of_udf"
    )
    one, packed, chance = values(found, "s", "packed", "c")
    assert (one == expected[0]).all()
    assert (packed == expected[0]).all()
    np.testing.assert_allclose(chance, expected[1][:, 2], rtol=1e-6)
    from pyspark.errors import PythonException

    with pytest.raises(PythonException, match=r"the model takes 2 columns \(a, b\), got 3"):
        small.select(model.udf()("a", "b", "b")).collect()


def test_a_function_with_threads_in_the_worker(small, spark_session):
    model = perceptron()
    expected = values(model.transform(small), "prediction")
    key = "spark.sql.execution.pythonUDF.arrow.concurrency.level"
    spark_session.conf.set(key, "4")
    try:
        found = values(model.transform(small), "prediction")
    finally:
        spark_session.conf.unset(key)
    assert (found[0] == expected[0]).all()


@pytest.mark.connect
def test_a_bad_value_in_a_lazy_frame_names_its_column(small):
    from pyspark.errors import PythonException
    from pyspark.sql import functions as F

    layer = nn.Sequential(nn.Embedding(299, 2), nn.Flatten(), nn.Dense(3))
    columns = Columns(["y", "id"], "y")
    model = TrainedModel(layer.build((2,), seed=0), nn.SoftmaxCrossEntropy(), columns)
    told = r"column 'id' has 299: Embedding\[0\] takes whole numbers from 0 to 298, not 299"
    with pytest.raises(PythonException, match=told):
        model.transform(small).collect()
    with pytest.raises(ValueError, match=f"^{told}: drop such rows"):
        model.evaluate(small)
    holes = small.withColumn("id", F.when(F.col("id") > 5, F.col("id")))
    with pytest.raises(PythonException, match=r"in a batch of rows, column 'id' has .* nulls"):
        model.transform(holes).collect()


@pytest.mark.connect
def test_a_stream_of_rows(small, spark_session, tmp_path):
    model = perceptron()
    small.write.parquet(str(tmp_path / "in"))
    stream = spark_session.readStream.schema(small.schema).parquet(str(tmp_path / "in"))
    query = model.transform(stream).writeStream.format("memory").queryName("scored").start()
    try:
        query.processAllAvailable()
    finally:
        query.stop()
    found = values(spark_session.table("scored"), "prediction")
    assert (found[0] == values(model.transform(small), "prediction")[0]).all()


def test_no_session_no_function():
    script = (
        "from dpnn import TrainedModel, nn\n"
        "net = nn.Dense(1).build((2,))\n"
        "try: TrainedModel(net, nn.MeanSquaredError()).udf(inputs=['a', 'b'])\n"
        "except RuntimeError as e: print(e)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert found.stdout == "no Spark session runs here: start one first\n"
