"""The frames engine: large weights, platforms that keep nothing, and what `auto` takes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from pyspark.errors import AnalysisException

from dpnn import Trainer, nn
from dpnn.data.ingest import ingest
from dpnn.data.kept_frame import KeptFrame
from dpnn.data.spark_shards import SparkShards
from dpnn.engines.frames import FramesEngine
from dpnn.engines.local import LocalEngine
from dpnn.engines.protocol import Kind, Plan
from dpnn.engines.worker import Program
from dpnn.spark.session import ConnectUnsupported, Session, is_connect

pytestmark = pytest.mark.connect
MODEL = nn.Sequential(nn.Dense(9), nn.ReLU(), nn.Dense(3))


@pytest.fixture(scope="module")
def rows(spark_session):
    df = spark_session.range(90).selectExpr("cast(id % 7 as float) a", "cast(id as float) b")
    return df.selectExpr("array(a, b / 90) x", "cast(a as int) % 3 y")


def refused(*_):
    raise AnalysisException(
        "[NOT_SUPPORTED_WITH_SERVERLESS] PERSIST TABLE is not supported on serverless compute."
    )


def steps(engine, num=2):
    weights = engine.allocate(MODEL.build((2,), 0).weights.size)
    weights[...] = MODEL.build((2,), 0).weights
    for step in range(num):
        weights -= 0.1 * engine.step(weights, Plan(Kind.TRAIN, 1, step, num)).flat
    return weights


@pytest.mark.parametrize("kept", [True, False])
def test_large_weights_stand_beside_the_query(rows, monkeypatch, kept):
    if not kept:
        monkeypatch.setattr(type(rows), "localCheckpoint", refused)
    program = Program(MODEL, (2,), nn.SoftmaxCrossEntropy())
    with ingest(rows, "x", "y", num_shards=3) as shards:
        engine = FramesEngine(program, shards)
        engine.large = engine.message = 100
        assert 4 * MODEL.build((2,), 0).weights.size > 200
        local = LocalEngine(program, shards.fetch().shards)
        assert np.array_equal(steps(engine), steps(local))
        local.close()


@pytest.fixture
def keeps_nothing(spark_session, monkeypatch):
    """A platform that refuses to persist."""
    monkeypatch.setattr(type(spark_session.range(1)), "persist", refused)


@pytest.fixture
def as_frames(spark_session, monkeypatch):
    """Ingest of a classic session, too, keeps a DataFrame."""
    if not is_connect(spark_session):
        from dpnn.data import ingest

        monkeypatch.setattr(ingest.KeptRDD, "of", KeptFrame)


def fit(rows, engine):
    trainer = Trainer(MODEL, nn.SoftmaxCrossEntropy(), nn.SGD(0.1), batch_size=45, epochs=2)
    trainer.engine = engine
    return trainer.fit(rows, "x", "y", validation=0.2, num_shards=2)


def test_where_nothing_is_kept_rows_are_read_again(
    rows, as_frames, keeps_nothing, capsys, monkeypatch
):
    folders = set()
    known = SparkShards.__init__

    def watched(self, kept, run, *more):
        known(self, kept, run, *more)
        folders.update(Path(handle.path) for handle in self.handles)

    monkeypatch.setattr(SparkShards, "__init__", watched)
    result, expected = fit(rows, "frames"), fit(rows, "local")
    assert np.array_equal(result.model.weights, expected.model.weights)
    assert capsys.readouterr().err.count("keeps nothing between jobs") == 2  # once a read
    assert len(folders) == 4
    assert not any(folder.exists() for folder in folders)


def test_a_lost_shard_is_made_again_and_none_is_left(rows, as_frames):
    with ingest(rows, "x", "y", num_shards=3) as shards:
        program = Program(MODEL, (2,), nn.SoftmaxCrossEntropy())
        engine, paths = FramesEngine(program, shards), [h.path for h in shards.handles]
        first = steps(engine)
        shutil.rmtree(paths[1])
        assert np.array_equal(steps(engine), first)
        shards.repair()  # a worker that has the files mapped goes on without them
        assert all(Path(handle.path).exists() for handle in shards.handles)
    run = Path(paths[0]).parent
    assert not run.exists()


def test_what_auto_takes(rows):
    connect = is_connect(rows)
    result = fit(rows, "auto")
    assert result.engine == ("frames" if connect else "resident")
    if connect:
        assert "each step is a query of its own" in result.engines[0].reason
        assert result.model.source["reader"] == "spark"


def test_engines_that_need_rdds_are_refused_before_anything_is_read(rows):
    if not is_connect(rows):
        pytest.skip("a classic session has RDDs")
    for engine in ("job", "resident"):
        with pytest.raises(ConnectUnsupported, match="take engine='frames', or 'auto'"):
            fit(rows, engine)


def test_as_many_shards_as_slots(rows):
    assert Session.of(rows).expected_slots() == 2
