"""A trained model beside the labels: sums over the rows of a batch, of a partition, of all.

Functions say which side they run on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa

from dpnn import nn
from dpnn.data import tables
from dpnn.data.arrow import Spec, decode
from dpnn.data.checks import DataError, Problem, raise_problems
from dpnn.data.shards import as_split
from dpnn.data.tables import Wanted
from dpnn.models.scorer import BATCH, Scorer, Sent, bound, cut, forward
from dpnn.nn.core.network import each
from dpnn.nn.more.exact import Packed
from dpnn.nn.more.metrics import Measures
from dpnn.nn.more.tail import ROWS, Tail


class Tally:
    """Sums for evaluation: the loss and all metrics of some rows."""

    def __init__(self, scorer: Scorer, names: Iterable[str] | None = None) -> None:
        """names: of some metrics alone."""
        self.loss = scorer.loss
        self.measures = Measures.of_rows(scorer.loss, scorer.output_shape, names, many=True)
        self.sums = self.measures.exact()
        passes = 10**6 // (BATCH * prod(scorer.output_shape))  # whose outputs are measured at once
        self.rows = BATCH * min(max(passes, 1), 10)

    def add(
        self, network: nn.Network, x: Any, y: Any, w: Any = None, names: Wanted | None = None
    ) -> None:
        """Either side. Rows of any number; `names` are the columns that x is of."""
        for some, labels, weights in cut(x, y, w, self.rows):
            with np.errstate(all="ignore"):  # what overflows shows in the figures
                self._add(network, some, labels, weights, names)

    def _add(self, network: nn.Network, x: Any, y: Any, w: Any, names: Wanted | None) -> None:
        if self.loss.task == "binary" and y.size and not 0 <= y.min() <= y.max() <= 1:
            name, far = type(self.loss).__name__, y.min() if y.min() < 0 else y.max()
            raise DataError(f"a label is {far:g}: {name} takes labels from 0 to 1")
        if w is not None and not w.all():  # what weighs nothing adds nothing, whatever it is
            some = w != 0
            self.sums.add(ROWS, np.array([[np.count_nonzero(~some)]], float))
            if not some.any():
                return
            x, y, w = each(x, lambda v: v[some]), y[some], w[some]
        self.measures.add_exactly(self.sums, forward(network, x, names), y, w)

    def result(self) -> dict[str, Any]:
        """{"rows", "loss", …}: all metrics that there are for the loss."""
        tail = Tail(self.sums.rounded())
        if not tail.rows:
            raise ValueError("the data has no rows: check its path and filter")
        return {"rows": tail.rows, **self.measures.figures(tail)}

    def best_threshold(self, metric: str) -> float:
        """The probability of class 1 from which it should be said, for the best of a metric."""
        return self.measures.best_threshold(Tail(self.sums.rounded()), metric)


def evaluate(df: Any, scorer: Scorer, sent: Sent, columns: tuple[Any, Any, Any]) -> Tally:
    """Driver. The sums over all rows of `df`; columns: (inputs, label, weight)."""
    from dpnn.data import from_files
    from dpnn.data.columns import choose

    selected, spec = choose(df, *columns, scorer.label_classes)
    frame = df.select(*selected)
    names = tables.wanted(columns[0])
    task = partial(tally_batches, spec=spec, scorer=scorer, sent=sent, names=names)
    plan = from_files.plan_of(frame)
    if plan is not None:
        read = partial(from_files.run, plan=plan, task=task, bad=_unread)
        found = _told(plan.frame(frame.sparkSession), read)
    if plan is None or any(one["problems"] or one["errors"] for _, one in found):
        found = _told(frame, task)  # Spark's rows tell what is wrong as they do of any source
    problems = (Problem(**p) for _, one in found for p in one["problems"])
    raise_problems(problems, spec.num_classes)
    if errors := [error for _, one in found for error in one["errors"]]:
        raise DataError(errors[0])
    tally = Tally(scorer)
    for sums, _ in found:
        tally.sums.merge(sums)
    return tally


def _told(frame: Any, task: Callable[[Any], Any]) -> list[tuple[Packed, dict[str, Any]]]:
    """Driver. Of each partition its packed sums, and what is wrong with it."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return task(batches)  # mapInArrow asks for a function: a partial has no name and no code

    rows = frame.mapInArrow(run, "sums array<array<double>>, found string").collect()
    return [(row.sums, json.loads(row.found)) for row in rows]


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
            shard = as_split(arrays, np.empty(0))
            tally.add(bound(scorer, sent), shard.x, shard.y, shard.w, names)
        except ValueError as error:
            found["errors"].append(str(error))
    if tally is not None:
        yield _record(tally.sums.pack(), found)


def _unread(problem: Problem) -> pa.RecordBatch:
    return _record([], {"problems": [asdict(problem)], "errors": []})


def _record(sums: Packed, found: dict[str, list[Any]]) -> pa.RecordBatch:
    columns = [pa.array([sums], pa.list_(pa.list_(pa.float64()))), pa.array([json.dumps(found)])]
    return pa.RecordBatch.from_arrays(columns, names=["sums", "found"])
