"""What scripts/bench/data.py measures: the tasks by name, each a function to call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from _session import session
from _table import BATCH, COLUMNS, DAYS, EPOCHS, HIDDEN, matrix

from dpnn import Trainer, load, nn
from dpnn.data.columns import choose
from dpnn.data.ingest import ingest

MODEL = nn.Sequential(nn.Dense(HIDDEN), nn.ReLU(), nn.Dense(2))
DIGITS = nn.Sequential(nn.Rescale(1 / 255), nn.Dense(256), nn.ReLU(), nn.Dense(10))
SHARDS = 2
BATCHES = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
    "spark.sql.execution.arrow.maxBytesPerBatch": "64m",
}
OURS = ("ingest from files", "ingest of Spark's rows", "transform", "evaluate", "end to end")

Tasks = dict[str, Callable[[], Any]]


class Table:
    """The table in a session. What a task needs and is not timed is made when first asked for.

    model  the file of a trained one
    days   partitions that count
    """

    def __init__(self, path: str, model: str, days: int = DAYS) -> None:
        self.path, self._model = path, model
        self.spark = session(BATCHES)
        self.df = self.spark.read.parquet(path)
        if days < DAYS:
            self.df = self.df.where(f"day < {days}")

    def ours(self) -> Tasks:
        trained: Any = load(self._model)
        computed = self.df.where("abs(label) >= 0")  # which is Spark's to apply
        tasks = (
            lambda: read(self.df, "files"),
            lambda: read(computed, "spark"),
            lambda: nowhere(trained.transform(self.df).select("prediction")),
            lambda: trained.evaluate(self.df),
            lambda: self.fit(EPOCHS).model.evaluate(self.df),
        )
        return dict(zip(OURS, tasks, strict=True))

    def others(self) -> Tasks:
        trained: Any = load(self._model)
        chosen = self.df.select(*choose(self.df, COLUMNS, "label")[0])
        x = matrix(self.path)[:, : len(COLUMNS)].copy()
        return {
            "pyarrow, one matrix": lambda: matrix(self.path),
            "Spark, scan to nothing": lambda: nowhere(self.df.select(*COLUMNS, "label")),
            "mapInArrow, consuming": lambda: consumed(chosen),
            "MLlib, assemble and persist": lambda: persisted(self._vectors),
            "MLlib, transform": lambda: nowhere(self._perceptron.transform(self._vectors)),
            "MLlib, evaluate": lambda: self._accuracy(self._perceptron.transform(self._vectors)),
            "NumPy, predict": lambda: trained.predict(x),
        }

    def fit(self, epochs: int) -> Any:
        settings: Any = {"batch_size": BATCH, "epochs": epochs, "progress": False}
        trainer = Trainer(MODEL, nn.SoftmaxCrossEntropy(), optimizer=nn.Adam(1e-3), **settings)
        return trainer.fit(self.df, inputs=COLUMNS, label="label", num_shards=SHARDS)

    @cached_property
    def _vectors(self) -> Any:
        from pyspark.ml.feature import VectorAssembler

        assembler = VectorAssembler(inputCols=COLUMNS, outputCol="features")
        return assembler.transform(self.df).select("features", "label")

    @cached_property
    def _perceptron(self) -> Any:
        return perceptron(self._vectors.limit(1000), [len(COLUMNS), HIDDEN, 2])

    def _accuracy(self, df: Any) -> float:
        from pyspark.ml.evaluation import MulticlassClassificationEvaluator

        return MulticlassClassificationEvaluator(metricName="accuracy").evaluate(df)


def digits(spark: Any, folder: str) -> Tasks:
    """MNIST's train/ in the cache, as arrays of 784 numbers and as vectors."""
    from pyspark.ml.functions import array_to_vector

    df = spark.read.parquet(f"{folder}/train")
    df = df.select("pixels", array_to_vector(df["pixels"]).alias("features"), "label").cache()
    df.count()
    theirs = perceptron(df.limit(1000), [784, 256, 10])
    trainer = Trainer(DIGITS, nn.SoftmaxCrossEntropy(), epochs=1, engine="local", progress=False)
    arrays, vectors = (
        trainer.fit(df.limit(1000), inputs=name, label="label", num_shards=1).model
        for name in ("pixels", "features")
    )
    return {
        "MNIST, transform": lambda: nowhere(arrays.transform(df).select("prediction")),
        "MNIST, transform of vectors": lambda: nowhere(vectors.transform(df).select("prediction")),
        "MNIST, MLlib, transform": lambda: nowhere(theirs.transform(df)),
    }


def perceptron(rows: Any, layers: list[int]) -> Any:
    from pyspark.ml.classification import MultilayerPerceptronClassifier

    return MultilayerPerceptronClassifier(layers=layers, maxIter=1, seed=0).fit(rows)


def read(df: Any, reader: str) -> None:
    """Ingest, by the reader that its plan gets."""
    with ingest(df, COLUMNS, "label", num_shards=SHARDS) as shards:
        if shards.source["reader"] != reader:
            raise RuntimeError(f"the data was read by {shards.source['reader']}, not by {reader}")


def nowhere(df: Any) -> None:
    df.write.format("noop").mode("overwrite").save()


def persisted(df: Any) -> None:
    df.persist().count()
    df.unpersist(blocking=True)


def consumed(df: Any) -> None:
    """All rows into Python, and nothing done with them."""

    def counted(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:  # sent by value
        yield pa.RecordBatch.from_pydict({"n": [sum(batch.num_rows for batch in batches)]})

    df.mapInArrow(counted, "n long").collect()


def make_model(path: str, to: str) -> None:
    """Train one on a few rows, in this process alone."""
    some = matrix(path)[:10_000]
    trainer = Trainer(MODEL, nn.SoftmaxCrossEntropy(), epochs=1, progress=False)
    columns = pa.table({name: some[:, i] for i, name in enumerate(COLUMNS)})
    columns = columns.append_column("label", pa.array(some[:, -1].astype(np.int32)))
    trainer.fit(columns, inputs=COLUMNS, label="label").model.save(to)
