"""What the rest asks of a session."""

from types import SimpleNamespace

import pytest
from pyspark import StorageLevel

from dpnn.spark.classic import ClassicSession
from dpnn.spark.session import Session

pytestmark = pytest.mark.classic("it is what a SparkContext knows")


@pytest.fixture
def session(spark_session):
    return Session.active()


@pytest.mark.parametrize(("host", "bare"), [("[::1]", "::1"), ("10.0.0.7", "10.0.0.7")])
def test_addresses_as_sockets_want_them(host, bare):
    conf = {"spark.driver.host": host}
    sc = SimpleNamespace(_jsc=1, master="spark://there:7077", _conf=conf)
    assert ClassicSession(sc).address() == (bare, bare)


@pytest.mark.parametrize(
    ("master", "given", "python"),
    [
        ("local[2]", "", "ours"),
        ("local", "", "ours"),
        ("local[2]", "set", "python3"),
        ("spark://there:7077", "", "python3"),
        ("local-cluster[1,1,1024]", "", "python3"),
    ],
)
def test_the_tasks_python_is_the_driver_s_in_local_mode(monkeypatch, master, given, python):
    monkeypatch.setattr("sys.executable", "ours")
    monkeypatch.delenv("PYSPARK_PYTHON")
    if given:
        monkeypatch.setenv("PYSPARK_PYTHON", given)
    sc = SimpleNamespace(_jsc=1, master=master, pythonExec="python3")
    ClassicSession(sc)
    assert sc.pythonExec == python


def test_room_for_vectors(session):
    assert 0 < session.largest_result() <= session.heap // 4
    session.require_room(1000)
    with pytest.raises(MemoryError, match=r"weights are 800,000 MB, .*spark.driver.memory=2236g"):
        session.require_room(800_000_000_000)


def test_slots_are_the_tasks_that_can_run(session):
    assert session.slots() == session.expected_slots() == 2


def test_properties_come_back(session):
    sc = session.sc
    sc.setLocalProperty("spark.job.description", "mine")
    try:
        with session.described("ours"), session.tagged("tag"):
            assert sc.getLocalProperty("spark.job.description") == "ours"
            assert set(sc.getJobTags()) == {"tag"}
        assert sc.getLocalProperty("spark.job.description") == "mine"
        assert not sc.getJobTags()
    finally:
        sc.setLocalProperty("spark.job.description", None)


def test_single_partitions_are_forgotten(session):
    rdd = session.sc.range(8, numSlices=4).persist(StorageLevel.MEMORY_ONLY)
    rdd.count()
    assert session.cached_partitions(rdd) == 4
    session.forget(rdd, [1, 2], StorageLevel.MEMORY_ONLY)
    assert session.cached_partitions(rdd) in (2, 3, 4)  # executors drop them in their own time
    rdd.unpersist()


def test_which_partitions_a_coalesced_one_joins(session):
    joined, parts = session.coalesced(session.sc.range(10, numSlices=5), 2)
    assert joined.getNumPartitions() == 2
    assert sorted(part for some in parts for part in some) == [0, 1, 2, 3, 4]


def test_a_stopped_session_is_told():
    with pytest.raises(RuntimeError, match="session was stopped: read the data again"):
        ClassicSession(SimpleNamespace(_jsc=None))
