"""Add predictions to Parquet.

spark-submit jobs/predict.py --model FILE --data PATH --output DIR
"""

from __future__ import annotations

import argparse
import sys

from dpnn import cli


def predict(args: argparse.Namespace) -> str:
    spark = cli.session("dpnn predict")
    model, inputs = cli.load_model(args)
    frame = cli.read(spark, args.data, args.where)
    predicted = model.transform(frame, inputs)
    cli.write(predicted, args.output, args.overwrite)
    added = [name for name in predicted.columns if name not in frame.columns]
    return f"{args.output}: the columns of {args.data}, and {', '.join(added)}"


def main(arguments: list[str] | None = None) -> None:
    parser = cli.model_parser("Write Parquet with prediction columns beside the input's own.")
    parser.add_argument("--output", required=True, help="the directory to write")
    parser.add_argument("--overwrite", action="store_true", help="replace the output directory")
    cli.main(predict, parser.parse_args(arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
