"""Evaluate a model on Parquet: spark-submit jobs/evaluate.py --model FILE --data PATH."""

from __future__ import annotations

import argparse
import sys

from dpnn import cli


def evaluate(args: argparse.Namespace) -> str:
    spark = cli.session("dpnn evaluate")
    model, inputs = cli.load_model(args)
    frame = cli.read(spark, args.data, args.where)
    figures = model.evaluate(frame, inputs, args.label, args.weight)
    if args.json:
        cli.write_json(args.json, figures)
    return cli.table(figures)


def main(arguments: list[str] | None = None) -> None:
    parser = cli.model_parser("Evaluate a model on Parquet.")
    parser.add_argument("--label", help="label column (default: that of training)")
    parser.add_argument("--weight", help="row weight column (default: all rows count alike)")
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON, too")
    cli.main(evaluate, parser.parse_args(arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
