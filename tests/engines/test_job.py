"""Engines of one Spark job a step: same bits as `local`, errors as one line."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from dpnn import nn
from dpnn.data.ingest import ingest
from dpnn.engines.frames import FramesEngine
from dpnn.engines.job import JobEngine
from dpnn.engines.local import LocalEngine
from dpnn.engines.protocol import Kind, Plan, ShardError
from dpnn.engines.step_jobs import describe, shuffles
from dpnn.engines.worker import Program

ENGINES = {"job": JobEngine, "frames": FramesEngine}
MODEL = nn.Sequential(nn.Dense(16), nn.ReLU(), nn.Dropout(0.3), nn.Dense(3))


@pytest.fixture(scope="module")
def frames(spark_session):
    """{rows: a DataFrame sorted by label}"""

    def make(rows):
        rng = np.random.default_rng(rows)
        x = rng.standard_normal((rows, 5)).astype(np.float32)
        y = np.sort(rng.integers(0, 3, rows)).astype(int)
        table = [(a.tolist(), int(b)) for a, b in zip(x, y, strict=True)]
        return spark_session.createDataFrame(table, "x array<float>, y int").coalesce(2)

    return {rows: make(rows) for rows in (6, 97)}


@pytest.fixture(params=["job", pytest.param("frames", marks=pytest.mark.connect)])
def opened(request, frames):
    """(engine, local engine) over the same shards; closed afterwards."""
    kind, held = ENGINES[request.param], []

    def open_both(rows=97, num_shards=3, model=MODEL):
        shards = ingest(frames[rows], "x", "y", num_shards=num_shards, validation=frames[97])
        program = Program(model, (5,), nn.SoftmaxCrossEntropy(), seed=3)
        engines = kind(program, shards), LocalEngine(program, shards.fetch().shards)
        held.extend([*engines, shards])
        return engines

    yield open_both
    for each in held:
        each.close()


def start(engine, model=MODEL, seed=0):
    fresh = model.build((5,), seed).weights
    weights = engine.allocate(fresh.size)
    weights[...] = fresh
    return weights


def walk(engine, steps=2, epochs=2):
    """Plain SGD; the weights, and every tail on the way."""
    weights, tails = start(engine), []
    for epoch in range(1, epochs + 1):
        for step in range(steps):
            sums = engine.step(weights, Plan(Kind.TRAIN, epoch, step, steps))
            tails.append(sums.tail.copy())
            weights -= 0.01 * sums.flat
        tails.append(engine.step(weights, Plan(Kind.EVALUATE, epoch)).tail.copy())
    return weights, tails


def assert_same(one, two):
    assert np.array_equal(one[0], two[0])
    for a, b in zip(one[1], two[1], strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize(("rows", "num_shards"), [(97, 1), (97, 2), (97, 3), (6, 3), (6, 8)])
def test_same_bits_as_local(opened, rows, num_shards):
    """97 rows never divide evenly; of 8 shards of 6 rows some are empty."""
    job, local = opened(rows, num_shards)
    if rows == 6:
        assert num_shards != 8 or 0 in job._shards.facts["train"].rows
    assert_same(walk(job), walk(local))


@pytest.mark.parametrize("num_shards", [2, 3, 8])
def test_same_bits_through_shuffles(opened, num_shards):
    job, local = opened(97, num_shards)
    job.partials_bound = 0
    assert shuffles(num_shards, 4, 0)
    assert_same(walk(job, epochs=1), walk(local, epochs=1))


def test_same_moments(opened):
    model = nn.Sequential(nn.Normalization(), nn.Dense(3))
    job, local = opened(97, 3, model)
    tails = [e.step(start(e, model), Plan(Kind.MOMENTS)).tail for e in (job, local)]
    assert np.array_equal(*tails)


def test_weights_from_elsewhere(opened):
    """`allocate` saves a copy; any float32 vector will do."""
    job, _ = opened()
    plan = Plan(Kind.TRAIN, 1, 0, 1)
    weights = start(job)
    expected = job.step(weights, plan).flat.copy()
    assert np.array_equal(job.step(weights.copy(), plan).flat, expected)


def test_shuffle_levels():
    assert shuffles(1, 100, 0) == []
    assert shuffles(8, 100, 800) == []
    assert shuffles(8, 100, 799) == [2]
    assert shuffles(8, 100, 199) == [2, 3]
    assert shuffles(1000, 1, 50) == [5]
    assert shuffles(3, 1, 0) == [1, 2]


def test_shard_error_is_one_line_and_not_retried(opened):
    job, _ = opened()
    weights = start(job)
    weights[0] = np.nan
    with pytest.raises(ShardError, match=r"^non-finite loss at epoch 2 step 0 shard 0") as caught:
        job.step(weights, Plan(Kind.TRAIN, 2, 0, 1))
    assert "\n" not in str(caught.value)
    assert "Traceback" in caught.value.__notes__[0]
    weights[0] = 0
    assert np.isfinite(job.step(weights, Plan(Kind.TRAIN, 2, 0, 1)).flat).all()


class Passing(nn.Layer):
    def forward(self, p, x, ctx):
        return x, None

    def backward(self, p, g, cache, dy, ctx):
        return dy


def test_killed_workers_cost_no_fit(opened, tmp_path):
    """Spark tries a task once in local mode: the engine sends the job again, but not for ever."""
    driver, marks = os.getpid(), str(tmp_path)

    class Mortal(Passing):
        deaths: int = 1

        def forward(self, p, x, ctx):
            if os.getpid() != driver and len(list(Path(marks).iterdir())) < self.deaths:
                Path(marks, str(os.getpid())).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return x, None

    assert_same(*map(walk, opened(model=nn.Sequential(Mortal(), *MODEL.layers))))
    assert any(Path(marks).iterdir())
    job, _ = opened(model=nn.Sequential(Mortal(1000), *MODEL.layers))
    with pytest.raises(
        RuntimeError, match=r"^dpnn epoch 1 step 1/2: its tasks died 4 times"
    ) as told:
        walk(job)
    assert "\n" not in str(told.value)


def test_a_layers_own_oserror_is_one_line(opened):
    driver = os.getpid()

    class Reading(Passing):
        def forward(self, p, x, ctx):
            if os.getpid() != driver:
                raise FileNotFoundError("no such\n file")
            return x, None

    job, _ = opened(model=nn.Sequential(Reading(), *MODEL.layers))
    with pytest.raises(ShardError, match=r"^shard 0: FileNotFoundError: no such file\n"):
        walk(job)


def test_lost_file_is_made_again(opened):
    job, local = opened(97, 3)
    shards = job._shards
    lost = Path(shards.handles[1].path)
    shutil.rmtree(shards.handles[1].path)
    assert_same(walk(job, epochs=1), walk(local, epochs=1))
    assert not lost.exists()
    assert Path(shards.handles[1].path).exists()


def files(sc):
    """Broadcasts lie here until they are destroyed."""
    return sorted(Path(sc._temp_dir).iterdir())


@pytest.mark.parametrize("opened", ["job"], indirect=True)
def test_nothing_left_behind(opened, spark_context):
    job, _ = opened()
    weights = start(job)
    job.step(weights, Plan(Kind.TRAIN, 1, 0, 2))
    before = files(spark_context)
    for step in range(2):
        job.step(weights, Plan(Kind.TRAIN, 1, step, 2))
    weights[0] = np.nan
    with pytest.raises(ShardError):
        job.step(weights, Plan(Kind.TRAIN, 1, 0, 2))
    assert files(spark_context) == before
    job.close()
    job.close()
    assert len(files(spark_context)) == len(before) - 1  # the program


@pytest.mark.parametrize("opened", ["job"], indirect=True)
def test_names_in_the_spark_ui(opened, spark_context, job_listing):
    job, _ = opened()
    store = spark_context._jsc.sc().statusStore()
    spark_context.setJobGroup("mine", "my own words")
    try:
        job.step(start(job), Plan(Kind.TRAIN, 3, 16, 118))
        assert spark_context.getLocalProperty("spark.job.description") == "my own words"
        (number,) = job_listing().getJobIdsForGroup("mine")
        assert store.job(number).description().get() == "dpnn epoch 3 step 17/118"
    finally:
        for key in ("spark.jobGroup.id", "spark.job.description"):
            spark_context.setLocalProperty(key, None)
    assert describe(Plan(Kind.EVALUATE, 2)) == "dpnn epoch 2 validation"
    assert describe(Plan(Kind.ROUND, 2, 16, 118, local=8)) == "dpnn epoch 2 steps 17 to 24/118"


def test_costs(opened):
    job, _ = opened(97, 2)
    weights = start(job)
    for step in range(2):
        job.step(weights, Plan(Kind.TRAIN, 1, step, 2))
    job.step(weights, Plan(Kind.EVALUATE, 1))
    costs = job.costs
    assert costs.steps == 2
    assert costs.bytes == 2 * 2 * 2 * weights.nbytes
    assert min(costs.send, costs.compute, costs.wait, costs.sum) > 0
    assert sorted(costs.seconds) == sorted(costs.hosts) == [0, 1]
    assert np.isclose(sum(costs.seconds.values()) / 2, costs.compute)
