"""A trained model beside the labels: sums over the rows of a batch, of a partition, of all.

Functions say which side they run on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from dpnn import nn
from dpnn.data.arrow import Spec, decode
from dpnn.data.checks import DataError, Problem, raise_problems
from dpnn.data.shards import as_shard
from dpnn.models import outputs, tables
from dpnn.models.scorer import Scorer, Sent, bound, cut, explained
from dpnn.models.tables import Wanted
from dpnn.nn.more import metrics

_FEW = 20  # classes up to which a confusion matrix is counted


class Tally:
    """Sums for evaluation: the loss and metrics of `metrics`, and a confusion matrix."""

    def __init__(self, scorer: Scorer) -> None:
        classes = scorer.num_classes or 0
        self.loss = scorer.loss
        self.classes = classes if classes <= _FEW else 0
        self.tail = np.zeros(metrics.tail_size(scorer.loss, scorer.output_shape))
        self.confusion = np.zeros((self.classes, self.classes))

    @property
    def rows(self) -> int:
        return int(self.tail[metrics.ROWS])

    def add(
        self, network: nn.Network, x: Any, y: Any, w: Any = None, names: Wanted | None = None
    ) -> None:
        """Either side. Rows of any number; `names` are the columns that x is of."""
        network = network.mine()
        for some, labels, weights in cut(x, y, w):
            with np.errstate(all="ignore"):  # what overflows shows in the figures
                self._add(network, some, labels, weights, names)

    def _add(self, network: nn.Network, x: Any, y: Any, w: Any, names: Wanted | None) -> None:
        if self.loss.task == "binary" and y.size and not 0 <= y.min() <= y.max() <= 1:
            name, far = type(self.loss).__name__, y.min() if y.min() < 0 else y.max()
            raise DataError(f"a label is {far:g}: {name} takes labels from 0 to 1")
        try:
            z = network.forward(x)
        except ValueError as error:
            raise explained(error, network, x, names) from None
        self.tail[metrics.LOSS] += network.loss(z, y, self.loss, w)[0]
        weights = self.loss.row_weights(y, w)
        if self.classes:
            predicted = outputs.predictions(self.loss, z)
            self.confusion += outputs.confusion(predicted, y, self.classes, w)
        self.tail[metrics.ROWS] += len(z)
        self.tail[metrics.WEIGHT] += len(z) if weights is None else weights.sum(dtype=float)
        self.tail[metrics.HEAD :] += metrics.metric_sums(self.loss, z, y, weights)

    def pack(self) -> list[float]:
        """As plain numbers, for the way to the driver."""
        return [*self.tail.tolist(), *self.confusion.reshape(-1).tolist()]

    def merge(self, packed: Iterable[float]) -> None:
        values = np.array(list(packed))
        size = len(self.tail)
        self.tail += values[:size]
        self.confusion += values[size:].reshape(self.confusion.shape)

    def result(self, weighted: bool = False) -> dict[str, Any]:
        """{"rows", "loss", "accuracy" or "mae", "rmse", "r2", and "confusion" for few classes}.

        weighted   the confusion matrix is of weights and not of whole rows
        """
        if not self.rows:
            raise ValueError("the data has no rows: check its path and filter")
        found: dict[str, Any] = {"rows": self.rows}
        found.update(metrics.means(self.loss, self.tail))
        if self.classes:
            found["confusion"] = self.confusion.astype(float if weighted else int).tolist()
        return found


def evaluate(df: Any, scorer: Scorer, sent: Sent, columns: tuple[Any, Any, Any]) -> Tally:
    """Driver. The sums over all rows of `df`; columns: (inputs, label, weight)."""
    from dpnn.data.columns import resolve

    frame, spec = resolve(df, *columns, scorer.label_classes)
    names = tables.wanted(columns[0])
    task = partial(tally_batches, spec=spec, scorer=scorer, sent=sent, names=names)
    tally = Tally(scorer)
    found = frame.mapInArrow(_plain(task), "sums array<double>, found string").collect()
    told = [json.loads(row.found) for row in found]
    raise_problems((Problem(**p) for one in told for p in one["problems"]), spec.num_classes)
    if errors := [error for one in told for error in one["errors"]]:
        raise DataError(errors[0])
    for row in found:
        tally.merge(row.sums)
    return tally


def tally_batches(
    batches: Iterable[pa.RecordBatch], spec: Spec, scorer: Scorer, sent: Sent, names: Wanted
) -> Iterator[pa.RecordBatch]:
    """Executor. One row: the packed sums of this partition, and as JSON what is wrong with it."""
    tally: Tally | None = None
    found: dict[str, list[Any]] = {"problems": [], "errors": []}
    for batch in batches:
        tally = tally or Tally(scorer)
        arrays, problems = decode(batch, spec)
        found["problems"] += map(asdict, problems)
        if any(found.values()):
            continue  # the rest is only looked through
        try:
            shard = as_shard(arrays, np.empty(0))
            tally.add(bound(scorer, sent), shard.x, shard.y, shard.w, names)
        except ValueError as error:
            found["errors"].append(str(error))
    if tally is not None:
        packed = pa.array([tally.pack()], pa.list_(pa.float64()))
        told = pa.array([json.dumps(found)])
        yield pa.RecordBatch.from_arrays([packed, told], names=["sums", "found"])


def _plain(task: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """mapInArrow asks for a function: a partial has no name and no code."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return task(batches)

    return run
