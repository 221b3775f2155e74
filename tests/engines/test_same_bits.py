"""Contract 2: the same weights, bit for bit, on every engine."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from dpnn import Trainer, nn
from dpnn.data.arrays import from_arrays
from dpnn.engines.local import LocalEngine
from dpnn.engines.worker import Program

RNG = np.random.default_rng(3)
MODEL = nn.Sequential(nn.Dense(24), nn.ReLU(), nn.Dropout(0.2), nn.Dense(3))


def frame(spark, rows, sort=False):
    x = RNG.standard_normal((rows, 5)).astype(np.float32)
    y = (np.abs(x).argmax(1) % 3).astype(np.int32)
    if sort:
        order = np.argsort(y, kind="stable")
        x, y = x[order], y[order]
    table = [(row.tolist(), int(label)) for row, label in zip(x, y, strict=True)]
    return spark.createDataFrame(table, "x array<float>, y int").coalesce(3), x, y


def fit(engine, data, num_shards, model=MODEL, changes=None, **columns):
    trainer = Trainer(
        model,
        loss=nn.SoftmaxCrossEntropy(),
        optimizer=nn.Adam(1e-2),
        batch_size=64,
        epochs=2,
        seed=4,
        engine=engine,
        progress=False,
        **(changes or {}),
    )
    return trainer.fit(data, num_shards=num_shards, **columns)


@pytest.mark.parametrize(
    ("rows", "num_shards"),
    [
        (301, 1),
        (301, 2),
        pytest.param(301, 3, marks=pytest.mark.connect),
        (301, 5),
        (301, 8),
        pytest.param(6, 8, marks=pytest.mark.connect),
    ],
)
def test_engines_agree(spark_session, engines, rows, num_shards):
    """With 6 rows in 8 shards some are empty; 301 rows never divide evenly."""
    df, x, y = frame(spark_session, rows, sort=True)
    columns = {"inputs": "x", "label": "y", "validation": df}
    local = fit("local", df, num_shards, **columns)
    arrays = fit("local", (x, y), num_shards, validation=(x, y))
    assert np.array_equal(local.model.weights, arrays.model.weights)
    for engine in engines:
        result = fit(engine, df, num_shards, **columns)
        assert result.engine == engine
        assert np.array_equal(result.model.weights, local.model.weights), engine
        assert result.history["loss"] == local.history["loss"]
        assert result.history["val_loss"] == local.history["val_loss"]


@pytest.mark.parametrize(
    ("rows", "num_shards"),
    [(301, 1), pytest.param(301, 5, marks=pytest.mark.connect), (6, 8)],
)
def test_engines_agree_on_local_steps(spark_session, engines, rows, num_shards):
    df, _, _ = frame(spark_session, rows, sort=True)
    norm = [nn.BatchNorm()] if rows > num_shards else []
    model = nn.Sequential(nn.Dense(24), *norm, nn.ReLU(), nn.Dropout(0.2), nn.Dense(3))
    changes = {"local_steps": 3, "clip_norm": 0.1, "ema": 0.9}
    columns = {"inputs": "x", "label": "y", "validation": df, "model": model, "changes": changes}
    local = fit("local", df, num_shards, **columns)
    for engine in engines:
        result = fit(engine, df, num_shards, **columns)
        assert result.engine == engine
        assert np.array_equal(result.model.weights, local.model.weights), engine
        assert result.history["loss"] == local.history["loss"]
        assert result.history["val_loss"] == local.history["val_loss"]


@pytest.mark.parametrize(
    ("num_shards", "local_steps", "wire"),
    [
        (5, None, "bfloat16"),
        (5, None, "int8"),
        (3, 3, "bfloat16"),
        pytest.param(3, 3, "int8", marks=pytest.mark.connect),
    ],
)
def test_engines_agree_on_a_narrow_wire(spark_session, engines, num_shards, local_steps, wire):
    df, _, _ = frame(spark_session, 301, sort=True)
    model = nn.Sequential(nn.Dense(512), nn.ReLU(), nn.Dense(3))
    changes = {"local_steps": local_steps, "wire": wire}
    columns = {"inputs": "x", "label": "y", "validation": df, "model": model, "changes": changes}
    local = fit("local", df, num_shards, **columns)
    exact = fit("local", df, num_shards, **{**columns, "changes": {"local_steps": local_steps}})
    assert not np.array_equal(local.model.weights, exact.model.weights)
    weights = local.model.weights.nbytes
    for engine in engines:
        result = fit(engine, df, num_shards, **columns)
        assert np.array_equal(result.model.weights, local.model.weights), engine
        assert result.history["loss"] == local.history["loss"]
        assert result.history["val_loss"] == local.history["val_loss"]
        if engine != "resident":  # shares memory on one host
            up = result.history["costs"][0]["bytes"] - num_shards * weights
            assert up < num_shards * weights * (0.75 if wire == "bfloat16" else 0.5)


@pytest.mark.connect
@pytest.mark.parametrize(
    "changes", [{}, {"local_steps": 3}, {"wire": "int8"}], ids=["steps", "rounds", "narrow"]
)
def test_engines_agree_on_sparse_tables(spark_session, engines, changes):
    """Of 20,000 words 80 are met, fewer in each step; what comes back is a hundredth."""
    x = (RNG.integers(0, 80, (300, 2)) * 249).astype(np.int32)
    data = (x, (x.sum(1) // 249 % 3).astype(np.int32))

    def trained(engine, sparse=True):
        table = nn.Embedding(20_000, 8, sparse=sparse)
        model = nn.Sequential(table, nn.Flatten(), nn.Dense(3))
        return fit(engine, data, 3, model=model, changes=changes)

    local = trained("local")
    weights, rows = local.model.weights, 20_000 * 8
    start = local.model.network.layer.build((2,), seed=4).weights
    moved = (weights != start)[:rows].reshape(-1, 8).any(1)
    assert set(np.flatnonzero(moved)) == set(x.flat)
    dense = trained("local", sparse=False)
    assert not np.array_equal(weights, dense.model.weights)
    for engine in engines:
        result = trained(engine)
        assert np.array_equal(result.model.weights, weights), engine
        if engine != "resident":  # shares memory on one host
            up = result.history["costs"][0]["bytes"] - 3 * weights.nbytes
            assert up < 3 * weights.nbytes / 20


@pytest.mark.connect
def test_a_line_search_into_infinity_is_the_same_on_every_engine(spark_session, engines):
    rng = np.random.default_rng(0)
    x = (10 * rng.random((200, 3))).astype(np.float32)
    y = rng.poisson(np.exp(x @ [0.1, 0.2, -0.1] / 3)).astype(np.float32)

    def train(engine):
        trainer = Trainer(nn.Dense(1), nn.Poisson(), nn.LBFGS(), epochs=4, seed=1, progress=False)
        trainer.engine = engine
        return trainer.fit((x, y), num_shards=3)

    local = train("local")
    assert local.history["loss"][-1] < 1.2
    for engine in engines:
        assert np.array_equal(train(engine).model.weights, local.model.weights), engine


@pytest.mark.connect
def test_arrays_on_spark(spark_session, engines):
    _, x, y = frame(spark_session, 100)
    images = x.reshape(100, 5, 1)
    model = nn.Sequential(nn.Flatten(), nn.Dense(3))
    weights = [
        Trainer(model, nn.SoftmaxCrossEntropy(), batch_size=32, epochs=1, engine=e, progress=False)
        .fit((images, y, np.ones(100)), num_shards=2)
        .model.weights
        for e in ("local", engines[0])
    ]
    assert np.array_equal(*weights)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "float16", ">f4", ">i2"])
def test_arrays_of_types_that_spark_lacks(spark_session, engines, dtype):
    x = np.random.default_rng(0).integers(0, 200, (90, 4)).astype(dtype)
    y = (x[:, 0] > 100).astype(np.uint8)
    model = nn.Sequential(nn.Rescale(0.01), nn.Dense(2))
    weights = [
        Trainer(model, nn.SoftmaxCrossEntropy(), batch_size=32, epochs=1, engine=e, progress=False)
        .fit((x, y), num_shards=2)
        .model.weights
        for e in ("local", engines[-1])
    ]
    assert np.array_equal(*weights)


def test_fits_side_by_side_in_one_process():
    """BLAS keeps to one thread until the last of them has ended, whichever thread they run in."""
    x = RNG.standard_normal((600, 200)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int32)

    def train(epochs):
        model = nn.Sequential(nn.Dense(64), nn.ReLU(), nn.Dense(2))
        trainer = Trainer(model, nn.SoftmaxCrossEntropy(), batch_size=300, progress=False)
        trainer.epochs, trainer.engine = epochs, "local"
        return trainer.fit((x, y), num_shards=2).model.weights

    before = blas_threads()
    alone = train(6)
    with ThreadPoolExecutor() as pool:
        short, long = pool.submit(train, 2), pool.submit(train, 6)
        assert np.array_equal(long.result(), alone)
        short.result()
    assert blas_threads() == before


def test_blas_keeps_to_one_thread_while_an_engine_is_open():
    program, x = Program(MODEL, (5,), nn.SoftmaxCrossEntropy()), np.zeros((9, 5), np.float32)
    before = blas_threads()

    def made():
        parts = from_arrays(x, np.zeros(9, np.int32), num_shards=2)
        return LocalEngine(program, [{"train": part} for part in parts])

    first = made()
    with ThreadPoolExecutor() as pool:
        second = pool.submit(made).result()
        first.close()
        first.close()
        assert blas_threads() == {1}
        pool.submit(second.close).result()
    assert blas_threads() == before


def blas_threads():
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}
