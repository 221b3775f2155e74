"""What a Spark Connect session does its own way."""

import re
import time

import pytest
from pyspark.errors import PySparkRuntimeError

from dpnn.spark import shipping
from dpnn.spark.errors import one_line
from dpnn.spark.reading import Progress
from dpnn.spark.session import Session, is_connect
from dpnn.spark.waiting import answering


@pytest.fixture
def session(spark_session):
    if not is_connect(spark_session):
        pytest.skip("a classic session")
    return Session.active()


@pytest.mark.connect
def test_a_query_tells_how_far_it_is(session):
    def slow(batches):
        time.sleep(0.5)
        yield from batches

    assert session.progress("some") == Progress(0, 0)
    with session.tagged("some"):
        session.spark.range(0, 100, 1, 3).mapInArrow(slow, "id long").toArrow()
    now = session.progress("some")
    assert now.tasks == 3
    session.spark.range(0, 100, 1, 5).mapInArrow(slow, "id long").toArrow()
    assert session.progress("some") == now


@pytest.mark.connect
def test_a_platform_that_takes_no_modules_is_said(session, monkeypatch, capsys):
    def refused(*_, **__):
        raise PySparkRuntimeError("[UNSUPPORTED_OPERATION] addArtifacts is not supported")

    monkeypatch.setattr(type(session.spark), "addArtifacts", refused)
    monkeypatch.setattr(shipping, "_shipped", set())
    session.ship()
    session.ship()
    assert capsys.readouterr().err == f"dpnn: {shipping.NO_ARTIFACTS}\n"


def test_a_server_that_is_silent_is_said_at_once(capsys):
    said, end = "", time.monotonic() + 60
    with answering(0.05):
        while not said and time.monotonic() < end:
            time.sleep(0.05)
            said = capsys.readouterr().err
    assert re.search("^dpnn: the Spark Connect server does not answer", said)
    with answering(0.05):
        pass
    time.sleep(0.2)
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("[RETRIES_EXCEEDED] The maximum number of retries", "server does not answer: see that"),
        ("StatusCode.UNAVAILABLE failed to connect", "server does not answer: see that"),
        ("[INVALID_HANDLE.SESSION_CLOSED] the handle", "session has ended on its server"),
        (
            "Received message larger than max (200000000 vs. 134217728)",
            "of 200000000 bytes",
        ),
        (
            "StatusCode.DEADLINE_EXCEEDED",
            "longer than .* take: .*fewer local_steps",
        ),
        ("[JVM_ATTRIBUTE_NOT_SUPPORTED] Attribute `rdd`", "rdd"),
    ],
)
def test_what_a_server_says_is_one_line(said, told):
    line = one_line(PySparkRuntimeError(said))
    assert re.search(told, line), line
    assert "\n" not in line
