"""Train a network from a run file: spark-submit jobs/train.py [RUN_FILE] [--set key=value ...].

Without a run file it trains on the digits data set inside the package.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from dpnn import Result, cli, files, read_run

DIGITS = Path(__file__).resolve().parents[1] / "conf" / "digits.toml"


def train(args: argparse.Namespace) -> str:
    run = read_run(args.run_file, args.set)
    spark = cli.session(f"dpnn train {run.name}")
    run.output.check_writable()
    data = run.data
    frame = cli.read(spark, str(data.train), data.where)
    validation: Any = data.validation  # a path, a boolean column, or a share of the rows
    if isinstance(validation, str) and validation not in frame.columns:
        validation = cli.read(spark, validation, data.where)
    result = run.fit(frame, validation)
    result.model.save(run.output.model)
    if run.output.history:
        cli.write_json(run.output.history, result.history)
    return report(run.output.model, result)


def report(path: str, result: Result) -> str:
    """How good the model is, in training and on held-out rows, and where it lies."""
    here = files.local(path)
    return f"{result!r}\nmodel      {here.resolve() if here else path}"


def main(arguments: list[str] | None = None) -> None:
    parser = cli.parser("Train a network from a run file.")
    parser.add_argument("run_file", nargs="?", default=str(DIGITS), help="TOML (default: digits)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one key of the run file, e.g. training.epochs=3",
    )
    cli.main(train, parser.parse_args(arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
