"""Evaluate a model on Parquet: spark-submit jobs/evaluate.py --model FILE --data PATH."""

from __future__ import annotations

import argparse
import sys

from dpnn import cli, load


def evaluate(args: argparse.Namespace) -> str:
    spark = cli.session("dpnn evaluate")
    model = load(args.model)
    frame = cli.read(spark, args.data, args.where)
    figures = model.evaluate(frame, cli.columns(args.inputs), args.label, args.weight)
    if args.json:
        cli.write_json(args.json, figures)
    return cli.table(figures)


def main(arguments: list[str] | None = None) -> None:
    parser = cli.parser("Evaluate a model on Parquet.")
    parser.add_argument("--model", required=True, help="a model file")
    parser.add_argument("--data", required=True, help="Parquet with the label column")
    parser.add_argument("--where", help="a SQL condition on the rows")
    parser.add_argument("--inputs", help="columns, comma-separated (default: those of training)")
    parser.add_argument("--label", help="label column (default: that of training)")
    parser.add_argument("--weight", help="row weight column (default: that of training)")
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON, too")
    cli.main(evaluate, parser.parse_args(arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
