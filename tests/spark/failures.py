"""A driver to whom something happens: prints what came of each attempt as one JSON line.

python -m tests.spark.failures SCENARIO FOLDER
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from dpnn import Trainer, nn


def rows(spark: Any) -> Any:
    return spark.range(60).selectExpr("cast(id as float) x", "cast(id % 2 as int) y")


def fit(df: Any, engine: str = "job") -> Any:
    model = nn.Sequential(nn.Dense(2))
    trainer = Trainer(model, nn.SoftmaxCrossEntropy(), epochs=1, engine=engine, progress=False)
    return trainer.fit(df, ["x"], "y", num_shards=2)


def attempt(action: Callable[[], object]) -> str:
    try:
        action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "fine"


def session(folder: str) -> SparkSession:
    builder = SparkSession.builder.master("local[2]").config("spark.local.dir", folder)
    return builder.config("spark.ui.enabled", "false").getOrCreate()


def deleted(folder: str) -> list[str]:
    """The folder of the block manager goes between two fits."""
    df = rows(session(folder))
    fit(df)
    for path in Path(folder).glob("blockmgr-*"):
        shutil.rmtree(path)
    return [attempt(lambda: fit(df)) for _ in range(4)]


def plain(folder: str) -> list[str]:
    """Nothing but getOrCreate; RDDs and mapInArrow take the same Python."""
    df = rows(session(folder))

    def whose(_: int) -> str:
        return sys.executable

    def check() -> None:
        assert df.sparkSession.sparkContext.parallelize([0], 1).map(whose).first() == sys.executable

    return [attempt(lambda: fit(df, "auto").model.evaluate(df)), attempt(check)]


if __name__ == "__main__":
    scenario = {"deleted": deleted, "plain": plain}[sys.argv[1]]
    print(json.dumps(scenario(sys.argv[2])))
