"""Whole numbers that float32 cannot tell apart are told before they reach a layer that rounds."""

import numpy as np
import pyarrow as pa
import pytest

from dpnn import Dataset, Trainer, nn
from dpnn.training.checks import blurred

LOSS = nn.BinaryCrossEntropy()
START = 1_700_000_000


def times(rows=64):
    seconds = START + np.arange(rows, dtype=np.int64) * 1000
    return np.stack([np.arange(rows, dtype=np.int64), seconds], axis=1), np.arange(rows) % 2


def fit(model, data, **columns):
    Trainer(model, LOSS, epochs=1, engine="local").fit(data, num_shards=2, **columns)


def told(capsys):
    return [line for line in capsys.readouterr().err.splitlines() if "float32 tells" in line]


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_arrays_of_times_are_told_by_channel(capsys, dtype):
    x, y = times()
    fit(nn.Dense(1), (x.astype(dtype), y))
    (line,) = told(capsys)
    assert line == (
        "dpnn: X, channel 1 runs from 1700000000 to 1700063000: there Dense's float32 tells only "
        "numbers 128 apart; begin with nn.Normalization(), subtract their lowest first, or name "
        "the column in dpnn.columns(numeric=[…])"
    )


@pytest.mark.parametrize("inputs", [["n", "at"], {"n": "n", "at": ["at"]}])
def test_a_table_names_the_column(capsys, inputs):
    x, y = times()
    table = pa.table({"n": x[:, 0], "at": x[:, 1], "y": y})
    model = nn.Dense(1)
    if isinstance(inputs, dict):
        model = nn.Sequential(nn.Input("at"), nn.Dense(1))
    fit(model, table, inputs=inputs, label="y")
    (line,) = told(capsys)
    assert "column 'at' runs" in line


def test_before_a_normalization_they_are_no_reason(capsys):
    fit(nn.Sequential(nn.Normalization(), nn.Dense(1)), times())
    assert told(capsys) == []


def test_wide_and_small_numbers_are_no_reason(capsys):
    x = np.array([[0, 5], [2**40, 7], [2**39, 1], [3, 2]])
    fit(nn.Sequential(nn.Rescale(1e-12), nn.Dense(1)), (x, np.array([0, 1, 0, 1])))
    assert told(capsys) == []


def test_ids_into_an_embedding_are_no_reason(capsys):
    ids = np.array([[2**24 + 1], [2**24 + 2], [2**24 + 3], [2**24 + 9]])
    model = nn.Sequential(nn.Embedding(2**24 + 10, 1), nn.Flatten(), nn.Dense(1))
    network = nn.Network(model, (1,), weights=np.zeros(2**24 + 12, np.float32))
    assert blurred(Dataset((ids, [0, 1, 0, 1]), num_shards=1), network) is None


def test_a_frame_names_the_column_from_every_shard(spark_session, capsys):
    df = spark_session.range(0, 64, numPartitions=3).selectExpr(
        "id", f"double({START} + id * 1000) AS at", "id % 2 AS y"
    )
    fit(nn.Dense(1), df, inputs=["id", "at"], label="y")
    (line,) = told(capsys)
    assert "column 'at' runs from 1700000000 to 1700063000" in line
