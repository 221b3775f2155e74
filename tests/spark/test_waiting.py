"""Work that gets no slot is told of, and no other."""

import re
import threading
import time
from types import SimpleNamespace

import pytest

from dpnn.spark.waiting import Waiting, is_waiting


def info(tasks, active, completed):
    return SimpleNamespace(numTasks=tasks, numActiveTasks=active, numCompletedTasks=completed)


@pytest.mark.parametrize(
    ("stages", "waits"),
    [
        ([], False),
        ([info(4, 2, 0)], False),
        ([info(4, 0, 4)], False),
        ([info(2, 2, 0), info(4, 0, 0)], True),
        ([info(2, 2, 0), info(4, 0, 3)], True),
    ],
)
def test_a_stage_with_tasks_to_do_and_none_at_work_waits(stages, waits):
    assert is_waiting(stages) == waits


def test_a_job_behind_another_says_so_once_in_a_while(spark_context, tmp_path):
    said, tracker = [], spark_context.statusTracker()
    release = tmp_path / "release"

    def say(line):
        said.append(line)
        if len(said) == 2:
            release.touch()

    def at_work():
        stages = map(tracker.getStageInfo, tracker.getActiveStageIds())
        return sum(stage.numActiveTasks for stage in stages if stage)

    def hold(_):
        end = time.monotonic() + 60
        while not release.exists() and time.monotonic() < end:
            time.sleep(0.1)
        return [0]

    holder = threading.Thread(
        target=lambda: spark_context.parallelize(range(2), 2).mapPartitions(hold).collect()
    )
    holder.start()
    while at_work() < 2:
        time.sleep(0.05)
    with Waiting(say, first=0.5) as waiting:
        with waiting.over("reading the data"):
            assert spark_context.parallelize(range(2), 1).count() == 2
        told = len(said)
        with waiting.over("a step"):
            time.sleep(1.5)
    holder.join()
    assert 2 <= told == len(said) <= 5  # after 0.5, 1, 2 s, …; nothing of the step
    line = (
        r"reading the data waits for a free slot, \d+ s so far: other jobs of this session hold .*"
    )
    assert all(re.fullmatch(line, one) for one in said)


def test_nothing_is_said_of_work_that_is_soon_done(spark_context):
    said = []
    with Waiting(said.append, first=0.5) as waiting:
        for _ in range(5):
            with waiting.over("a step"):
                time.sleep(0.2)
    assert said == []


def test_who_wants_silence_has_it():
    with Waiting(None) as waiting, waiting.over("a step"):
        assert "dpnn-waiting" not in [thread.name for thread in threading.enumerate()]
