"""A trained model over data: predictions beside a DataFrame's columns, and sums for evaluation.

Both are one pass by mapInArrow: no shuffle, no files. Functions say which side they run on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from dpnn import nn
from dpnn.data.arrow import Spec, decode
from dpnn.data.checks import DataError, Problem, raise_problems
from dpnn.data.shards import Arrays, as_shard
from dpnn.models import outputs
from dpnn.nn.more import metrics

BATCH = 1024  # rows of one forward pass
_FEW = 20  # classes up to which a confusion matrix is counted


@dataclass(frozen=True)
class Scorer:
    """What an executor makes the network of; small and picklable, the weights are apart."""

    layer: nn.Layer
    input_shape: Any
    loss: nn.Loss

    def network(self, weights: np.ndarray) -> nn.Network:
        return nn.Network(self.layer, self.input_shape, weights)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return nn.Network(self.layer, self.input_shape).output_shape

    @property
    def num_classes(self) -> int | None:
        return outputs.num_classes(self.loss, self.output_shape)

    @property
    def label_classes(self) -> int | None:
        """num_classes where labels must be class numbers; a binary target may lie between."""
        return self.num_classes if self.loss.task == "classes" else None


class Tally:
    """Sums for evaluation: the loss and metrics of `metrics`, and a confusion matrix."""

    def __init__(self, scorer: Scorer) -> None:
        classes = scorer.num_classes or 0
        self.loss = scorer.loss
        self.classes = classes if classes <= _FEW else 0
        self.tail = np.zeros(metrics.tail_size(scorer.loss, scorer.output_shape))
        self.confusion = np.zeros((self.classes, self.classes), np.int64)

    @property
    def rows(self) -> int:
        return int(self.tail[metrics.ROWS])

    def add(self, network: nn.Network, x: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        """Rows of one batch."""
        if self.loss.task == "binary" and y.size and not 0 <= y.min() <= y.max() <= 1:
            name, far = type(self.loss).__name__, y.min() if y.min() < 0 else y.max()
            raise DataError(f"a label is {far:g}: {name} takes labels from 0 to 1")
        z = network.forward(x)
        self.tail[metrics.LOSS] += network.loss(z, y, self.loss, w)[0]
        weights = self.loss.row_weights(y, w)
        if self.classes:
            predicted = outputs.predictions(self.loss, z)
            self.confusion += outputs.confusion(predicted, y, self.classes)
        self.tail[metrics.ROWS] += len(z)
        self.tail[metrics.WEIGHT] += len(z) if weights is None else weights.sum(dtype=float)
        self.tail[metrics.HEAD :] += metrics.metric_sums(self.loss, z, y, weights)

    def pack(self) -> list[float]:
        """As plain numbers, for the way to the driver."""
        return [*self.tail.tolist(), *self.confusion.reshape(-1).tolist()]

    def merge(self, packed: Iterable[float]) -> None:
        values = np.array(list(packed))
        cut = len(self.tail)
        self.tail += values[:cut]
        self.confusion += values[cut:].astype(np.int64).reshape(self.confusion.shape)

    def result(self) -> dict[str, Any]:
        """{"rows", "loss", "accuracy" or "mae", "rmse", "r2", and "confusion" for few classes}."""
        found: dict[str, Any] = {"rows": self.rows}
        found.update(metrics.means(self.loss, self.tail))
        if self.classes:
            found["confusion"] = self.confusion.tolist()
        return found


def transform(df: Any, scorer: Scorer, inputs: Any, weights: Any) -> Any:
    """Driver. `df` with a column `prediction`, and `probability` for classes.

    weights: a broadcast of the flat vector's bytes.
    """
    from pyspark.sql import types as T

    from dpnn.data.columns import choose

    new = [T.StructField("prediction", _column_type(scorer, outputs.predictions))]
    if scorer.loss.task != "values":
        new.append(T.StructField("probability", _column_type(scorer, outputs.probabilities)))
    exact = df.sparkSession.conf.get("spark.sql.caseSensitive") == "true"
    taken = df.columns if exact else [name.lower() for name in df.columns]
    for field in new:
        if field.name in taken:
            raise ValueError(f"the data has a column {field.name!r} already: rename or drop it")
    for field in df.schema.fields:
        if isinstance(field.dataType, (T.YearMonthIntervalType, T.CalendarIntervalType)):
            raise ValueError(
                f"column {field.name!r} is {field.dataType.simpleString()}, which Spark hands to "
                "no Python function: drop it, or cast it to string"
            )
    columns, spec = choose(df, inputs)
    own = [f"c{i}" for i in range(len(df.columns))]  # the user's may have dots, or twins
    task = partial(predict_batches, spec=spec, scorer=scorer, weights=weights, own=own)
    fields = [
        T.StructField(name, field.dataType, field.nullable, field.metadata)
        for name, field in zip(own, df.schema.fields, strict=True)
    ]
    wide = df.select("*", *columns)
    wide = wide.toDF(*(f"c{i}" for i in range(len(wide.columns))))
    made = wide.mapInArrow(_plain(task), T.StructType([*fields, *new]))
    return made.toDF(*df.columns, *(field.name for field in new))


def evaluate(df: Any, scorer: Scorer, columns: tuple[Any, Any, Any], weights: Any) -> Tally:
    """Driver. The sums over all rows of `df`; columns: (inputs, label, weight)."""
    from dpnn.data.columns import resolve

    frame, spec = resolve(df, *columns, scorer.label_classes)
    task = partial(tally_batches, spec=spec, scorer=scorer, weights=weights)
    tally = Tally(scorer)
    found = frame.mapInArrow(_plain(task), "sums array<double>, found string").collect()
    told = [json.loads(row.found) for row in found]
    raise_problems((Problem(**p) for one in told for p in one["problems"]), spec.num_classes)
    if errors := [error for one in told for error in one["errors"]]:
        raise DataError(errors[0])
    for row in found:
        tally.merge(row.sums)
    return tally


def predict_batches(
    batches: Iterable[pa.RecordBatch], spec: Spec, scorer: Scorer, weights: Any, own: list[str]
) -> Iterator[pa.RecordBatch]:
    """Executor. The columns `own` untouched, then the predictions from those behind them."""
    network = None
    for batch in batches:
        network = network or _network(scorer, weights)
        columns, names = batch.columns[: len(own)], list(own)
        inputs = batch.select(range(len(own), batch.num_columns))
        arrays, problems = decode(inputs, spec)
        try:
            raise_problems(problems)
        except DataError as error:  # how many there are in all, no task of a lazy frame can know
            raise DataError(f"in a batch of rows, {error}") from None
        z = network.predict(as_shard(arrays, np.empty(0)).x, BATCH)
        columns.append(_arrow(outputs.predictions(scorer.loss, z)))
        names.append("prediction")
        probability = outputs.probabilities(scorer.loss, z)
        if probability is not None:
            columns.append(_arrow(probability))
            names.append("probability")
        yield pa.RecordBatch.from_arrays(columns, names=names)


def tally_batches(
    batches: Iterable[pa.RecordBatch], spec: Spec, scorer: Scorer, weights: Any
) -> Iterator[pa.RecordBatch]:
    """Executor. One row: the packed sums of this partition, and as JSON what is wrong with it."""
    network, tally = None, Tally(scorer)
    found: dict[str, list[Any]] = {"problems": [], "errors": []}
    for batch in batches:
        network = network or _network(scorer, weights)
        arrays, problems = decode(batch, spec)
        found["problems"] += map(asdict, problems)
        if any(found.values()):
            continue  # the rest is only looked through
        try:
            shard = as_shard(arrays, np.empty(0))
            for x, y, w in cut(shard.x, shard.y, shard.w):
                tally.add(network, x, y, w)
        except ValueError as error:
            found["errors"].append(str(error))
    if network is not None:
        packed = pa.array([tally.pack()], pa.list_(pa.float64()))
        told = pa.array([json.dumps(found)])
        yield pa.RecordBatch.from_arrays([packed, told], names=["sums", "found"])


def cut(x: Arrays, y: Any, w: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Batches of at most `BATCH` rows."""
    for start in range(0, len(y), BATCH):
        part = slice(start, start + BATCH)
        some = {name: array[part] for name, array in x.items()} if isinstance(x, dict) else x[part]
        yield some, y[part], None if w is None else w[part]


def _network(scorer: Scorer, weights: Any) -> nn.Network:
    return scorer.network(np.frombuffer(weights.value, np.float32))  # read-only, as bytes are


def _arrow(array: np.ndarray) -> pa.Array:
    """(B, …) float64 as a column of doubles, or of arrays as deep as there are more axes."""
    values = pa.array(np.ascontiguousarray(array).reshape(-1))
    for axis in range(array.ndim - 1, 0, -1):
        rows = int(np.prod(array.shape[:axis]))
        offsets = np.arange(rows + 1, dtype=np.int32) * array.shape[axis]
        values = pa.ListArray.from_arrays(offsets, values)
    return values


def _column_type(scorer: Scorer, meaning: Callable[[nn.Loss, np.ndarray], Any]) -> Any:
    """Driver. The Spark type of what `meaning` makes of the model's outputs."""
    from pyspark.sql import types as T

    kind: Any = T.DoubleType()
    for _ in meaning(scorer.loss, np.zeros((1, *scorer.output_shape))).shape[1:]:
        kind = T.ArrayType(kind, containsNull=False)
    return kind


def _plain(task: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """mapInArrow asks for a function: a partial has no name and no code."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return task(batches)

    return run
