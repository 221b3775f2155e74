"""Spark's errors in one line with the cure, from the Python API as from the jobs."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from py4j.protocol import Py4JError
from pyspark.sql import functions as F

from dpnn import Trainer, nn
from dpnn.spark import errors
from dpnn.spark.errors import SparkFailure, WorkersDied

ROOT = Path(__file__).resolve().parents[2]
RAISED = """An error occurred while calling o42.collect.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 1 in stage 3.0 failed 1 \
times, most recent failure: Lost task 1.0 in stage 3.0 (TID 5) (host executor driver): \
org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "/somewhere/worker.py", line 10, in main
    process()
{error}

\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handle(PythonRunner.scala:12)
\tat java.base/java.lang.Thread.run(Thread.java:840)

Driver stacktrace:
\tat org.apache.spark.scheduler.DAGScheduler.abort(DAGScheduler.scala:1)
Caused by: org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "/somewhere/worker.py", line 10, in main
    process()
{error}

\t... 1 more
"""


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ("KeyError: 'no such thing'", "KeyError: 'no such thing'"),
        ("dpnn.data.checks.DataError: column 'a' has 3 nulls", "column 'a' has 3 nulls"),
        ("mine.Special: a\nsecond line", "mine.Special: a"),
        ("ModuleNotFoundError: No module named 'pyarrow'", "python3, has no pyarrow: install it"),
        ("ModuleNotFoundError: No module named 'own.layers'", "no module own.layers: .*--py-files"),
        ("OSError: [Errno 28] No space left on device", "disk of Spark's is full: .*local.dir"),
        ("java.lang.OutOfMemoryError: Java heap space", "out of memory: .*spark.driver.memory"),
        (
            'java.io.IOException: Cannot run program "/no/python": error=2',
            "no Python at /no/python: set PYSPARK_PYTHON",
        ),
        (
            "a.Odd: [PYTHON_VERSION_MISMATCH] different version: 3.9 than that in driver: 3.11, x",
            r"python3, is version 3\.9 and the driver's 3\.11: set PYSPARK_PYTHON",
        ),
    ],
)
def test_what_an_executor_raises_is_its_last_line_or_the_cure(raised, told):
    line = errors.one_line(Py4JError(RAISED.format(error=raised)))
    assert "\n" not in line
    assert_matches(told, line)
    assert "Python worker" not in line


def assert_matches(pattern, text):
    import re

    assert re.search(pattern, text), text


def test_java_s_errors_are_told_by_their_cause():
    text = (
        "An error\n: org.apache.spark.SparkException: Job aborted\n\tat x\nCaused by: a.b.Odd: why"
    )
    assert errors.one_line(Py4JError(text)) == "Odd: why"


def fit(df, engine):
    model = nn.Sequential(nn.Dense(2))
    trainer = Trainer(model, nn.SoftmaxCrossEntropy(), epochs=1, engine=engine, progress=False)
    return trainer.fit(df, ["x"], "y", num_shards=2)


@pytest.fixture
def rows(spark_session):
    return spark_session.range(60).selectExpr("cast(id as float) x", "cast(id % 2 as int) y")


def refused(df, engine, kind, told):
    with pytest.raises(kind, match=told) as error:
        fit(df, engine)
    assert "\n" not in str(error.value)
    assert error.value.__suppress_context__, "Spark's own trace is not for everybody"
    return error.value


def test_a_user_s_function_that_fails_is_its_own_last_line(rows, engines):
    def fail(i):
        raise KeyError(f"row {i}")

    failing = rows.withColumn("y", F.udf(fail, "int")("y"))
    error = refused(failing, engines[0], SparkFailure, r"^KeyError: .row")
    assert "in fail" in error.__notes__[0]
    fit(rows, engines[0])


def test_a_worker_killed_during_ingest_is_one_line_and_the_session_usable(rows, engines):
    kill = F.udf(lambda i: os.kill(os.getpid(), signal.SIGKILL), "int")
    told = "worker.* died, killed perhaps for want"
    refused(rows.withColumn("y", kill("y")), engines[0], WorkersDied, told)
    fit(rows, engines[0])


@pytest.mark.classic("the tasks' Python is the server's")
@pytest.mark.parametrize("case", ["nowhere", "bare"])
def test_an_interpreter_that_lacks_something_is_named(rows, monkeypatch, tmp_path, case):
    python = tmp_path / "bin" / "python"
    told = f"no Python at {python}: set PYSPARK_PYTHON="
    if case == "bare":
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True)
        told = f"executors' Python, {python}, has no \\w+: install it, or set PYSPARK_PYTHON="
    monkeypatch.setattr(rows.sparkSession.sparkContext, "pythonExec", str(python))
    refused(rows, "job", SparkFailure, told)
    monkeypatch.undo()
    fit(rows, "job")


@pytest.mark.slow
def test_a_deleted_local_folder_fails_one_fit_alone(tmp_path):
    done = run("deleted", tmp_path)
    assert done[0].startswith("FolderLost: a local folder of Spark's, "), done
    assert done[1:] == ["fine"] * 3


@pytest.mark.slow
def test_a_plain_script_needs_no_environment(tmp_path):
    assert run("plain", tmp_path) == ["fine", "fine"]


def run(name, folder):
    """What each attempt of a scenario in `failures` came to."""
    bare = ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON")
    env = {k: v for k, v in os.environ.items() if k not in bare} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.spark.failures", name, str(folder)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
