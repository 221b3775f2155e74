"""What the jobs share: a Spark session, Parquet by path, reports, and errors in one line. Driver.

A job ends with status 0, or with 2 and one line on standard error when its input is at fault, or
as a process that SIGINT (130) or SIGTERM (143) has ended, with one line, too. With --debug, or
DPNN_DEBUG set, the whole trace is shown.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tomllib
import traceback
import warnings
from collections.abc import Callable
from contextlib import nullcontext, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from dpnn.data.encoders.encoders import Encoders
from dpnn.models.model import TrainedModel, load
from dpnn.spark import files
from dpnn.spark.remote import reach
from dpnn.training.history import as_json

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_PACKAGED = "package:"
_signals: list[int] = []  # that have come; the first ends the job


def parser(description: str) -> argparse.ArgumentParser:
    """An argument parser with the options of every job."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--debug", action="store_true", help="show the whole trace of an error")
    return made


def model_parser(description: str) -> argparse.ArgumentParser:
    """With the options of every job that reads a model and data for it."""
    made = parser(description)
    made.add_argument("--model", required=True, help="a model file")
    made.add_argument("--data", required=True, help="Parquet with the model's columns")
    made.add_argument("--where", help="a SQL condition on the rows")
    made.add_argument(
        "--inputs", help="columns, comma-separated, or as in a run file (default: as in training)"
    )
    made.add_argument(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="MODULE",
        help="import it first: a module with layers of your own (on PYTHONPATH or in --py-files)",
    )
    return made


def load_model(args: argparse.Namespace) -> tuple[TrainedModel, Any]:
    """The model of a `model_parser`, and the columns that it is to read (None: as in training)."""
    for module in args.modules:
        import_module(module)
    model = load(args.model)
    if args.inputs and model.columns and isinstance(model.columns.inputs, Encoders):
        raise ValueError(
            f"{args.model} takes its raw columns by their names: leave out --inputs, and rename "
            "columns that are called otherwise"
        )
    return model, columns(args.inputs, model.columns and model.columns.inputs)


def main(job: Callable[[argparse.Namespace], str], args: argparse.Namespace) -> None:
    """Run a job and print its report, or its error in one line and leave with status 2."""
    _signals.clear()
    try:
        print(job(args))
        stop()
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, KeyboardInterrupt) or _signals:
            number = _signals[0] if _signals else signal.SIGINT
            print(f"error: ended by {signal.Signals(number).name}", file=sys.stderr, flush=True)
            _leave(128 + number)
        if args.debug or os.environ.get("DPNN_DEBUG"):
            error.__suppress_context__ = False  # Spark's own trace, beneath our line
            traceback.print_exception(error)
        else:
            print(f"error: {one_line(error)}", file=sys.stderr)
        sys.exit(2)


def one_line(error: BaseException) -> str:
    """What went wrong, without traces."""
    from dpnn.spark.errors import one_line

    return one_line(error)


def session(name: str) -> SparkSession:
    """The session that spark-submit made, or a local one."""
    from pyspark.sql import SparkSession

    from dpnn.spark.session import Session
    from dpnn.spark.waiting import answering

    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    for context in ("SQL", "DataFrame"):  # Spark's own copy, in JSON, of what `main` tells
        logging.getLogger(f"{context}QueryContextLogger").setLevel(logging.CRITICAL)
    try:
        running = Session.active()
    except RuntimeError:
        with answering() if "SPARK_REMOTE" in os.environ else nullcontext():
            spark = SparkSession.builder.appName(name).getOrCreate()
        running = Session.over(spark)
    running.tell_signals()
    for number in (signal.SIGINT, signal.SIGTERM):  # in place of Spark's own
        signal.signal(number, _ended)
    if not running.is_on("spark.python.unix.domain.socket.enabled"):
        cure = "spark.python.unix.domain.socket.enabled=true"
        print(f"dpnn: {cure} would take about 30 ms off each Spark job", file=sys.stderr)
    return running.spark


def stop() -> None:
    """Stop the session, if there is one."""
    from dpnn.spark.session import Session

    with suppress(RuntimeError):
        Session.active().stop()


def _ended(number: int, frame: Any) -> None:
    """A signal: the job ends where it stands; a second one ends the process."""
    _signals.append(number)
    signal.signal(number, signal.SIG_DFL)
    logging.disable()  # py4j would tell of each call that this cuts off
    raise KeyboardInterrupt


def _leave(status: int) -> None:
    """End this process, and with it Spark, whatever still runs."""
    with suppress(Exception):
        stop()
    sys.stdout.flush()
    os._exit(status)


def read(spark: SparkSession, path: str, where: str | None = None) -> DataFrame:
    """Parquet; "package:digits/train" is a data set inside the package."""
    from dpnn import datasets
    from dpnn.spark import source

    if path.startswith(_PACKAGED):
        known = {"digits/train": 0, "digits/test": 1}
        name = path.removeprefix(_PACKAGED)
        if name not in known:
            raise ValueError(f"no {path}: the package holds {', '.join(known)}")
        path = datasets.digits()[known[name]]
    return source.read(spark, path, where)


def write(frame: DataFrame, path: str, overwrite: bool = False) -> None:
    """Parquet, published whole: written beside `path` first, so what is there stays on failure.

    FileExistsError where there is something and `overwrite` is not said.
    """
    target = reach(path)
    if target.exists():
        if not target.is_folder():
            raise FileExistsError(f"{path} is a file: name a directory")
        if not overwrite:
            raise FileExistsError(f"{path} exists already: name another, or --overwrite")
    target.write_table(frame, overwrite)


def columns(text: str | None, known: Any = None) -> Any:
    """--inputs a,b,c: one name, or a list where there are several, or where `known` is one.

    Or as in a run file: a TOML list or table, '{num = ["a", "b"], id = "c"}'. None without a text.
    """
    text = (text or "").strip()
    if text.startswith(("{", "[")):
        try:
            return tomllib.loads(f"inputs = {text}")["inputs"]
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"--inputs {text} is not TOML: {error}") from None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        return None
    return names if len(names) > 1 or isinstance(known, list | tuple) else names[0]


def write_json(path: str, content: Any) -> None:
    files.write(path, (as_json(content) + "\n").encode())


def table(figures: dict[str, Any]) -> str:
    """Figures of an evaluation as a small table, with the confusion matrix where there is one."""
    rows = {name: value for name, value in figures.items() if name != "confusion"}
    width = max(map(len, rows))
    lines = [f"{name:<{width}} {_figure(value)}" for name, value in rows.items()]
    if "confusion" in figures:
        lines += ["", *_confusion(figures["confusion"])]
    return "\n".join(lines)


def _figure(value: Any) -> str:
    """A count, a figure, or one for each class."""
    if isinstance(value, list):
        return "".join(f"{one:>12.4f}" for one in value)
    return f"{value:>12,d}" if isinstance(value, int) else f"{value:>12.4f}"


def _confusion(counts: list[list[int]]) -> list[str]:
    width = max(len(str(n)) for row in counts for n in [*row, len(counts)]) + 1
    head = "true \\ predicted" + "".join(f"{c:>{width}}" for c in range(len(counts)))
    body = [
        f"{c:>16}" + "".join(f"{n if n else '.':>{width}}" for n in row)
        for c, row in enumerate(counts)
    ]
    return [head, *body]
