"""The resident engine on Spark: same bits as local, through deaths, and nothing left behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dpnn import nn
from dpnn.data.ingest import ingest
from dpnn.engines.local import LocalEngine
from dpnn.engines.open import open_engine
from dpnn.engines.protocol import EngineUnavailable, Kind, Plan, ShardError
from dpnn.engines.resident.engine import ResidentEngine
from dpnn.engines.worker import Program
from dpnn.spark.classic import ClassicSession

pytestmark = pytest.mark.classic("the resident engine needs RDDs")

ROWS = 1003
MODEL = nn.Sequential(nn.Dense(16), nn.ReLU(), nn.Dropout(0.2), nn.Dense(3))
PROGRAM = Program(MODEL, (5,), nn.SoftmaxCrossEntropy(), seed=3, optimizer=nn.Adam(0.01))
STEPS = 50


def shards(spark, num_shards, rows=ROWS):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((rows, 5)).astype(np.float32)
    table = [(row.tolist(), int(np.abs(row).argmax() % 3)) for row in x]
    df = spark.createDataFrame(table, "x array<float>, y int")
    return ingest(df, "x", "y", num_shards=num_shards, validation=0.2)


def train(engine, steps=STEPS, before=None, local=0):
    """Plain gradient descent with evaluations between: what a fit asks of an engine.

    local: rounds of so many steps, in place of steps
    """
    net = nn.Network(MODEL, (5,))
    weights = engine.allocate(net.layout.size)
    weights[:] = np.random.default_rng(5).standard_normal(weights.size) * 0.1
    tails = []
    for step in range(steps):
        if before is not None:
            before(step, weights)
        plan = Plan(Kind.TRAIN, 0, step, steps)
        if local:
            plan = Plan(Kind.ROUND, 1, step * local, steps * local, local=local, scale=0.5)
        sums = engine.step(weights, plan)
        tails.append(sums.tail.tobytes())
        weights += (1 if local else -0.5) / float(sums.tail[1]) * sums.flat
        if step % 4 == 3:
            tails.append(engine.step(weights, Plan(Kind.EVALUATE, 0)).tail.tobytes())
    return weights.copy(), tails


def locally(data, **options):
    engine = LocalEngine(PROGRAM, data.fetch().shards)
    try:
        return train(engine, **options)
    finally:
        engine.close()


def leftovers():
    names = {p.name for p in Path("/dev/shm").glob("*")} | {
        p.name for p in Path("/tmp").glob("dpnn-*")
    }
    memory = [p for p in Path("/proc/self/fd").iterdir() if "memfd:dpnn" in link(p)]
    threads = [t.name for t in threading.enumerate() if t.name in ("dpnn-door", "dpnn-resident")]
    return names, len(memory), threads


def link(path):
    try:
        return str(path.readlink())
    except OSError:
        return ""


def tasks_of_engine(engine):
    """Process ids of the Python workers that hold a place, by their sockets' other ends."""
    return [seat.pid for seat in engine._roster.seats.values()]


@pytest.fixture(scope="module")
def data(spark_session):
    made = {n: shards(spark_session, n) for n in (1, 2, 3, 5, 8)}
    yield made
    for one in made.values():
        one.close()


@pytest.mark.parametrize("num_shards", [1, 2, 3, 5, 8])
def test_same_bits(data, num_shards):
    engine = ResidentEngine(PROGRAM, data[num_shards])
    try:
        weights, tails = train(engine)
    finally:
        engine.close()
    expected, expected_tails = locally(data[num_shards])
    assert np.array_equal(weights, expected)
    assert tails == expected_tails


def test_nothing_is_left_and_workers_are_kept(data, job_listing):
    before = leftovers()
    for _ in range(2):
        engine = ResidentEngine(PROGRAM, data[2])
        train(engine, steps=2)
        start = time.perf_counter()
        engine.close()
        engine.close()
        assert time.perf_counter() - start < 30
    assert leftovers() == before
    assert not job_listing().getActiveJobsIds()


@pytest.mark.parametrize("local", [0, 3])
def test_a_killed_worker_costs_a_submission(data, local):
    """local[2] fails the whole job when a Python worker dies: it is sent again from the step."""
    engine = ResidentEngine(PROGRAM, data[3])

    def kill(step, weights):
        if step in (2, 5):
            os.kill(tasks_of_engine(engine)[step % 2], signal.SIGKILL)

    try:
        weights, tails = train(engine, 8, kill, local)
        assert engine._run == 3
    finally:
        engine.close()
    expected, expected_tails = locally(data[3], steps=8, local=local)
    assert np.array_equal(weights, expected)
    assert tails == expected_tails


def test_an_exception_in_the_driver(data, job_listing):
    engine = ResidentEngine(PROGRAM, data[2])
    try:
        with pytest.raises(ZeroDivisionError):
            train(engine, before=lambda step, weights: 1 / (3 - step))
    finally:
        engine.close()
    assert not job_listing().getActiveJobsIds()


def test_non_finite_is_one_line_and_the_engine_goes_on(data):
    engine = ResidentEngine(PROGRAM, data[3])
    try:
        weights = engine.allocate(nn.Network(MODEL, (5,)).layout.size)
        weights[:] = np.nan
        with pytest.raises(ShardError, match="non-finite loss at epoch 0 step 0 shard 0"):
            engine.step(weights, Plan(Kind.TRAIN, 0, 0, 4))
        weights[:] = 0
        assert engine.step(weights, Plan(Kind.TRAIN, 0, 0, 1)).tail[1] == sum(
            data[3].facts["train"].rows
        )
        assert engine._run == 1
    finally:
        engine.close()


def test_lost_files_are_made_again(spark_session):
    with shards(spark_session, 2) as data:
        for file in Path(data.handles[1].path).glob("*/*"):
            file.unlink()
        engine = ResidentEngine(PROGRAM, data)
        try:
            weights, _ = train(engine, steps=2)
        finally:
            engine.close()
        assert np.isfinite(weights).all()


def test_a_cancelled_job_is_not_sent_again(data, spark_context):
    engine = ResidentEngine(PROGRAM, data[2])

    def cancel(step, weights):
        if step == 2:
            spark_context.cancelAllJobs()
            engine._job._thread.join(60)

    try:
        with pytest.raises(RuntimeError, match=r"^the fit's Spark job was cancelled: Job \d+ canc"):
            train(engine, before=cancel)
    finally:
        engine.close()


def test_auto_takes_the_job_engine_where_the_driver_cannot_listen(data, monkeypatch):
    monkeypatch.setattr(ClassicSession, "address", lambda self: ("192.0.2.1", ""))
    dataset = SimpleNamespace(in_process=False, spark=lambda: data[2])
    engine, name, why = open_engine("auto", PROGRAM, dataset)
    engine.close()
    assert (name, "can't listen" in why) == ("job", True)
    with pytest.raises(OSError, match="assign requested address"):
        open_engine("resident", PROGRAM, dataset)


def test_tasks_that_never_come(data):
    """All slots are held by another fit: a bounded wait and a clear line."""
    holder = ResidentEngine(PROGRAM, data[2])
    engine = ResidentEngine(PROGRAM, data[2], arrival=1.0)
    try:
        train(holder, steps=1)
        with pytest.raises(EngineUnavailable, match="0 of 2 tasks came within 1 s, with 2 slots"):
            train(engine, steps=1)
        engine.close()
        train(holder, steps=1)
    finally:
        engine.close()
        holder.close()
