"""A kill changes nothing: whole fits on a standalone cluster, by a user's calls."""

import os
import signal
import time
from pathlib import Path

import pyspark
import pytest

from tests.engines.clusters import CONF, SPECULATION, drive, environment
from tests.engines.crew import alive

pytestmark = pytest.mark.cluster


@pytest.fixture
def late(tmp_path):
    """The environment of a driver that starts a third worker, which ends here."""
    folder = tmp_path / "late"
    folder.mkdir()
    yield {"DPNN_LATE_WORKER": str(folder), "DPNN_SPARK": str(Path(pyspark.__file__).parent)}
    pid = int((folder / "pid").read_text())
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + 60
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.1)


def burn(master, *arguments, **more):
    lines = drive("fire", master, *CONF, *arguments, env=environment(**more))
    assert [line["name"] for line in lines] == [a for a in arguments if "=" not in a]
    for line in lines:
        assert line["equal"], line
        what = line["name"].split("/")[2]
        assert line["done"] == ([] if what == "nothing" else what.split("+"))
    return lines


def test_kills_one_after_the_other_and_an_executor_added_late(standalone, late):
    names = ["job/3/worker+executor", "job/3/late", "resident/4/nothing"]
    lines = burn(standalone, *names, **late)
    assert lines[-1]["executors"] == 3


def test_kills_with_speculation(two_hosts):
    quick = ["spark.speculation.interval=20ms", "spark.speculation.minTaskRuntime=20ms"]
    quick += ["spark.speculation.task.duration.threshold=20ms"]
    names = ["job/3/worker", "resident/2/worker+executor"]
    lines = burn(two_hosts, *SPECULATION, *quick, *names)
    assert lines[0]["copies"] > 0
