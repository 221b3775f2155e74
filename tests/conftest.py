"""What every test needs set before the first Spark session starts.

With --connect all sessions are over Spark Connect, whose server is a process of its own. Every test
with a session runs on both kinds, each kind in a pytest run of its own, but for those marked
`classic`, which say why; `-m connect` takes those of them that show the most in the least time.
"""

import argparse
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# On a busy machine nothing is wrong with an example that takes its time.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

os.environ["PYSPARK_PYTHON"] = sys.executable  # workers would take python3 from PATH
os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")

# JVMs live for seconds: what the second compiler would speed up doesn't pay for its own work.
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
for jvm in ("SUBMIT", "LAUNCHER", "DAEMON_JAVA"):
    os.environ.setdefault(f"SPARK_{jvm}_OPTS", QUICK_JAVA)

# Python workers find dpnn where the tests do, installed or not.
root = str(Path(__file__).resolve().parents[1])
paths = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p and p != root]
os.environ["PYTHONPATH"] = os.pathsep.join([root, *paths])


def master(text):
    if not text.startswith(("local", "spark:")):
        raise argparse.ArgumentTypeError(f"{text} is no master: name tests before --connect")
    return text


def pytest_addoption(parser):
    asked = "run the tests over Spark Connect; a server is started, on local[2] or another master"
    more = {"nargs": "?", "const": "local[2]", "type": master, "metavar": "MASTER"}
    parser.addoption("--connect", help=asked, **more)


def pytest_collection_modifyitems(config, items):
    if config.getoption("--connect"):
        config.hook.pytest_deselected(items=[item for item in items if not over_connect(item)])
        items[:] = filter(over_connect, items)


def over_connect(item):
    """Whether a test has a session, and needs no RDDs, by its mark, fixture or engine."""
    given = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return "spark_session" in item.fixturenames and not (
        item.get_closest_marker("classic")
        or "spark_context" in item.fixturenames
        or any(value in ("job", "resident") for value in given if isinstance(value, str))
    )


@pytest.fixture(scope="session")
def connect_url(request):
    """Of a server that is there while the tests run; from now on this process has no Java."""
    pytest.importorskip("grpc")
    from tests.connect_server import server

    master = request.config.getoption("--connect")
    with server(master) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        patch.delenv("JAVA_HOME", raising=False)
        yield url


@pytest.fixture(scope="session")
def spark_session(request):
    """A session of the kind that the tests run on."""
    if not request.config.getoption("--connect"):
        request.getfixturevalue("spark_context")
        yield request.getfixturevalue("_spark_session")
        return
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.remote(request.getfixturevalue("connect_url")).getOrCreate()
    yield spark
    spark.stop()


@pytest.fixture
def engines(request):
    """Names of the engines that there are on Spark."""
    connect = request.config.getoption("--connect")
    return ("frames",) if connect else ("job", "resident", "frames")


@pytest.fixture
def job_listing(spark_context):
    """Gives Spark's status tracker once it has heard of all jobs that began and ended so far.

    Its events come by a queue of their own, after the job's result has reached the driver.
    """

    def listing():
        spark_context._jsc.sc().listenerBus().waitUntilEmpty()
        return spark_context.statusTracker()

    return listing
