"""Pandas and Arrow tables: the numbers that a model gets of columns of all types. No Spark."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dpnn import TrainedModel, nn
from dpnn.data import tables
from dpnn.data.checks import DataError
from dpnn.data.roles import Columns

ROWS = 6
FLOATS = np.linspace(-2, 3, ROWS)


def model(inputs, width, label="y", loss=None, units=2):
    layer = nn.Sequential(nn.Flatten(), nn.Dense(5), nn.Tanh(), nn.Dense(units))
    network = layer.build((width,) if isinstance(width, int) else width, seed=3)
    return TrainedModel(network, loss or nn.SoftmaxCrossEntropy(), Columns(inputs, label))


COLUMNS = {
    "float64": pa.array(FLOATS),
    "float16": pa.array(FLOATS.astype(np.float16)),
    "int8": pa.array(np.arange(ROWS), pa.int8()),
    "uint32": pa.array(np.arange(ROWS), pa.uint32()),
    "int64": pa.array(np.arange(ROWS) + (1 << 24)),
    "bool": pa.array([True, False] * 3),
    "decimal": pa.array([Decimal(i) / 4 for i in range(ROWS)], pa.decimal128(12, 4)),
    "category": pa.array([2, 0, 1, 2, 2, 0]).dictionary_encode(),
}


def as_float32(column):
    return np.array([float(v) for v in column.to_pylist()], np.float32)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_each_type_beside_a_float(name):
    table = pa.table({"f": pa.array(FLOATS, pa.float32()), name: COLUMNS[name]})
    expected = np.stack([FLOATS.astype(np.float32), as_float32(COLUMNS[name])], axis=1)
    m = model(["f", name], 2)
    assert m.predict(table).tobytes() == m.predict(expected).tobytes()
    frame = table.to_pandas()
    assert m.predict(frame).tobytes() == m.predict(expected).tobytes()


def test_whole_numbers_side_by_side_stay_whole():
    big = (1 << 24) + 1
    columns = [pa.array([1], pa.int8()), pa.array([big], pa.int64())]
    arrays, problems = tables.arrays(columns, {"x": ["a", "b"]})
    assert not problems
    assert arrays["x"].tolist() == [[1, big]]
    assert arrays["x"].dtype.kind == "i"


ARRAYS = [
    pa.array(FLOATS.reshape(3, 2).tolist()),
    pa.array(FLOATS.reshape(3, 2).tolist(), pa.list_(pa.float32(), 2)),
    pa.array(FLOATS.reshape(3, 2).tolist(), pa.large_list(pa.float64())),
    pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.uint8())),
    pa.array([b"\x01\xff", b"\x03\x04", b"\x05\x06"]),
    pa.array(
        [
            {"type": 1, "size": None, "indices": None, "values": [0.5, 2.0]},
            {"type": 0, "size": 2, "indices": [1], "values": [3.0]},
            {"type": 1, "size": None, "indices": None, "values": [1.0, -1.0]},
        ]
    ),
]


@pytest.mark.parametrize("column", ARRAYS, ids=lambda column: str(column.type)[:30])
def test_a_column_of_arrays(column):
    if pa.types.is_struct(column.type):
        expected = np.array([[0.5, 2], [0, 3], [1, -1]], np.float32)
    elif pa.types.is_binary(column.type):
        expected = np.array([[1, 255], [3, 4], [5, 6]], np.uint8)
    else:
        expected = np.array(column.to_pylist())
    m = model("v", 2)
    assert m.predict(pa.table({"v": column})).tobytes() == m.predict(expected).tobytes()


def test_pandas_cells_of_arrays_and_vectors():
    class Vector:
        def __init__(self, values):
            self.values = values

        def toArray(self):
            return np.array(self.values)

    m, rows = model("v", 2), FLOATS.reshape(3, 2)
    expected = m.predict(rows).tobytes()
    assert m.predict(pd.DataFrame({"v": list(rows)})).tobytes() == expected
    assert m.predict(pd.DataFrame({"v": [Vector(row) for row in rows]})).tobytes() == expected


def test_several_inputs_by_name_and_a_table_in_chunks():
    layer = nn.Sequential(
        nn.Concatenate(
            nn.Input("num"), nn.Sequential(nn.Input("id"), nn.Embedding(5, 3), nn.Flatten())
        ),
        nn.Dense(2),
    )
    network = layer.build({"num": (2,), "id": ()}, seed=0)
    m = TrainedModel(
        network, nn.SoftmaxCrossEntropy(), Columns({"num": ["a", "b"], "id": "k"}, "y")
    )
    a, b, k = np.arange(6.0), np.arange(6.0) / 3, np.arange(6) % 5
    table = pa.table({"k": k, "unused": ["x"] * 6, "b": b, "a": a})
    chunked = pa.concat_tables([table.slice(0, 2), table.slice(2)])
    expected = m.predict({"num": np.stack([a, b], 1), "id": k})
    for data in (table, chunked, table.to_pandas(), table.to_batches()[0]):
        assert m.predict(data).tobytes() == expected.tobytes()
    figures = m.evaluate(table.append_column("y", pa.array(k % 2)))
    assert figures == m.evaluate(({"num": np.stack([a, b], 1), "id": k}, k % 2))


def test_evaluate_weighs_a_table_only_when_told():
    rows = {"a": FLOATS, "b": FLOATS**2, "y": np.arange(ROWS) % 2, "w": np.arange(ROWS) * 1.0}
    m = model(["a", "b"], 2)
    m.columns = Columns(["a", "b"], "y", "w")
    x = np.stack([FLOATS, FLOATS**2], axis=1)
    for table in (pa.table(rows), pd.DataFrame(rows)):
        assert m.evaluate(table) == m.evaluate((x, rows["y"]))
        assert m.evaluate(table, weight="w") == m.evaluate((x, rows["y"], rows["w"]))


def test_what_is_wrong_with_a_table_is_one_line():
    m = model(["a", "b"], 2)
    with pytest.raises(ValueError, match=r"^no column 'b' in the data: did you mean 'bb'\?"):
        m.predict(pa.table({"a": [1.0], "bb": [1.0]}))
    holes = pd.DataFrame({"a": [1.0, None, np.nan], "b": [1, 2, 3]})
    with pytest.raises(DataError, match=r"^column 'a' has 2 nulls: drop or fill them, e\.g\. df"):
        m.predict(holes)
    with pytest.raises(DataError, match=r"^column 'b' is string, not numbers"):
        m.predict(pa.table({"a": [1.0], "b": ["x"]}))
    with pytest.raises(DataError, match=r"^column 'b' is not numbers: "):
        m.predict(pd.DataFrame({"a": [1.0, 2.0], "b": [object(), 3]}))
    with pytest.raises(DataError, match=r"^column 'a' has 1 value that is NaN or infinite"):
        m.predict(pa.table({"a": [np.inf], "b": [1.0]}))
    m.columns = None
    with pytest.raises(ValueError, match="say inputs="):
        m.predict(pa.table({"a": [1.0], "b": [1.0]}))
    assert m.predict(pa.table({"a": [1.0], "b": [1.0]}), inputs=["a", "b"]).shape == (1, 2)


def test_rows_of_no_table_are_arrays():
    with pytest.raises(TypeError, match=r"inputs=… names the columns of a table"):
        model("v", 2).predict(np.zeros((1, 2)), inputs="v")
    with pytest.raises(TypeError, match="takes a Spark DataFrame, a pandas or Arrow table"):
        model("v", 2).evaluate(5)


@pytest.mark.parametrize("kind", ["list", "column", "array", "arrays by name"])
def test_a_category_never_seen_is_named(kind):
    layer = nn.Sequential(nn.Embedding(4, 2), nn.Flatten(), nn.Dense(2))
    cure = ": drop such rows, or train with rows that have it"
    rows = np.zeros((3000, 3), int)
    rows[2345] = [3, 1, 9]
    takes = r"Embedding\[.\] takes whole numbers from 0 to 3, not 9"
    if kind == "list":
        m = TrainedModel(layer.build((3,)), nn.SoftmaxCrossEntropy(), Columns(["a", "b", "c"], "y"))
        data, where = pd.DataFrame(rows, columns=list("abc")), "column 'c'"
    elif kind == "column":
        m = TrainedModel(layer.build(()), nn.SoftmaxCrossEntropy(), Columns("carrier", "y"))
        data, where = pa.table({"carrier": rows[:, 2]}), "column 'carrier'"
    elif kind == "array":
        m = TrainedModel(layer.build((3,)), nn.SoftmaxCrossEntropy())
        data, where = rows, r"X\[:, 2\]"
    else:
        named = nn.Sequential(nn.Input("k"), *layer.layers)
        m = TrainedModel(named.build({"k": (3,)}), nn.SoftmaxCrossEntropy())
        data, where = {"k": rows}, r"X\['k'\]\[:, 2\]"
    with pytest.raises(DataError, match=f"^{where} has 9: {takes}{cure}$"):
        m.predict(data)
    if kind != "arrays by name":
        y = np.zeros(3000, int)
        labelled = (data, y) if kind == "array" else None
        labelled = labelled or (
            data.assign(y=y) if kind == "list" else data.append_column("y", pa.array(y))
        )
        with pytest.raises(DataError, match=f"^{where} has 9: "):
            m.evaluate(labelled)


def test_an_error_that_is_of_no_value_stays():
    with pytest.raises(ValueError, match=r"^the model expected rows of shape \(2,\), got \(3,\)$"):
        model("v", 2).predict(np.zeros((4, 3)))
