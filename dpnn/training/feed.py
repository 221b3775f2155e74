"""Driver. From what a user hands to `fit` to shards: a DataFrame's, or those of NumPy arrays."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from dpnn import nn
from dpnn.data.arrays import checked, from_arrays, input_shape
from dpnn.data.checks import DataError, Span, span, span_of
from dpnn.data.placement import add_checksums, checksum, row_hashes
from dpnn.data.roles import Columns, is_frame
from dpnn.nn.core.losses import same_rows

Part = tuple[Any, Any, Any]  # X, y, row weights or None
# What Spark has no type for, and the next type that holds the same numbers.
_WIDER = {"u1": np.int16, "u2": np.int32, "u4": np.int64, "u8": np.int64, "f2": np.float32}


@dataclass(frozen=True)
class Feed:
    """The shards of a fit, training and validation cut into equally many.

    A data set is a list of `Shard` in this process, or `SparkShards`.
    """

    train: Any
    validation: Any = None
    columns: Columns | None = None
    origin: dict[str, Any] | None = None  # the source of shards that were fetched from Spark

    @property
    def in_memory(self) -> bool:
        return isinstance(self.train, list)

    @property
    def input_shape(self) -> Any:
        return _row_shape(self.train)

    @property
    def rows_of_shards(self) -> list[int]:
        return [part.rows for part in (self.train if self.in_memory else self.train.handles)]

    @property
    def checksum(self) -> str:
        """Tells training data from other data: the same for the same rows, wherever they lie."""
        if self.in_memory:
            sums = (checksum(row_hashes(shard.arrays)) for shard in self.train)
            return f"{reduce(add_checksums, sums):016x}"
        return f"{self.train.checksum:016x}"

    @property
    def num_shards(self) -> int:
        return len(self.rows_of_shards)

    @property
    def num_rows(self) -> int:
        return sum(self.rows_of_shards)

    @property
    def num_held_rows(self) -> int:
        if self.validation is None:
            return 0
        held = self.validation if self.in_memory else self.validation.handles
        return sum(part.rows for part in held)

    @property
    def source(self) -> dict[str, Any]:
        """What the model was trained on: path, filter, schema and row count where known."""
        if not self.in_memory:
            return self.train.source
        return self.origin or {"rows": self.num_rows}

    def check(self, network: nn.Network, loss: nn.Loss) -> None:
        """ValueError where labels are not what the loss takes, or validation rows not the model's.

        Driver, before the first step.
        """
        if self.validation is not None and _row_shape(self.validation) != self.input_shape:
            raise ValueError(
                f"validation rows have the shape {_row_shape(self.validation)}, training rows "
                f"{self.input_shape}: give both the same columns"
            )
        outputs = network.output_shape
        wanted = outputs[:-1] if loss.task == "classes" else outputs
        for name, shards in (("training", self.train), ("validation", self.validation)):
            shape = _label_shape(shards)
            if shape is None or same_rows(shape, wanted):
                continue
            sizes = prod(shape), prod(wanted)
            got, takes = (shape, wanted) if sizes[0] == sizes[1] else sizes
            raise ValueError(
                f"{name} labels are {got} to a row, but {type(loss).__name__} takes {takes} with "
                f"the model's outputs {outputs}: change the last layer, the loss or the label"
            )
        if loss.task == "values":
            return
        top = network.output_shape[-1] - 1 if loss.task == "classes" else 1
        for name, shards in (("training", self.train), ("validation", self.validation)):
            low, high, broken = _labels(shards) or (0, 0, None)
            if low < 0 or high > top:
                raise ValueError(
                    f"{name} label {low if low < 0 else high:g} is out of range: the model's "
                    f"outputs {network.output_shape} stand for labels 0 to {top}"
                )
            if broken is not None and loss.task == "classes":
                raise ValueError(
                    f"{name} label {broken:g} is no class number: {type(loss).__name__} takes "
                    f"whole numbers from 0 to {top}"
                )

    def fetched(self) -> Feed:
        """The same shards in this process; closes those on Spark."""
        if self.in_memory:
            return self
        held = None if self.validation is None else self.validation.fetch()
        origin = self.train.source
        feed = replace(self, train=self.train.fetch(), validation=held, origin=origin)
        self.close()
        return feed

    def close(self) -> None:
        with ExitStack() as closing:
            for shards in (self.train, self.validation):
                if shards is not None and not isinstance(shards, list):
                    closing.callback(shards.close)


def feed(
    data: Any,
    columns: Columns | None,
    validation: Any = None,
    num_shards: int | None = None,
    spark: bool = False,
) -> Feed:
    """Cut `data` and `validation` into shards.

    data        a DataFrame with `columns`, or arrays (X, y) or (X, y, row weights)
    validation  likewise; or for a DataFrame the name of a boolean column, true = validation
    spark       put arrays into a DataFrame, for an engine that needs one
    """
    if not is_frame(data):
        if columns is not None:
            raise TypeError(
                "inputs, label and weight name columns of a DataFrame: give arrays as (X, y) or "
                "(X, y, weights)"
            )
        train = _part(data, "data")
        held = None if validation is None else _part(validation, "validation")
        if not spark:
            shards = num_shards or os.cpu_count() or 1
            if held is None:
                return Feed(from_arrays(*train, shards))
            cut = _told("training", from_arrays, *train, shards)
            return Feed(cut, _told("validation", from_arrays, *held, shards))
        data, columns = _frame(train) if held is None else _told("training", _frame, train)
        validation = None if held is None else _told("validation", _frame, held)[0]
        return replace(_on_spark(data, columns, validation, num_shards), columns=None)
    if columns is None or columns.inputs is None or not columns.label:
        raise ValueError("a DataFrame needs inputs=… and label=…: the names of its columns")
    return _on_spark(data, columns, validation, num_shards)


def _on_spark(data: Any, columns: Columns, validation: Any, num_shards: int | None) -> Feed:
    from dpnn.data.columns import split_by_indicator
    from dpnn.data.ingest import ingest

    named = (columns.inputs, columns.label, columns.weight)
    indicator, whole = "", None
    if isinstance(validation, str):
        indicator, whole = validation, data
        data, validation = split_by_indicator(data, indicator)
    if validation is None:
        return Feed(ingest(data, *named, num_shards), None, columns)
    if not is_frame(validation):
        raise TypeError("validation must be a DataFrame like the data, or a boolean column's name")
    feed = Feed(_told("training", ingest, data, *named, num_shards), None, columns)
    try:
        shards = feed.train.num_shards
        feed = replace(feed, validation=_told("validation", ingest, validation, *named, shards))
        if whole is not None:
            _check_split(feed, whole, indicator, named)
    except BaseException:
        feed.close()
        raise
    return feed


def _check_split(feed: Feed, whole: Any, indicator: str, named: tuple[Any, ...]) -> None:
    """SourceChanged where an indicator that is not deterministic has cut otherwise each time."""
    from dpnn.data.ingest import checksum as content
    from dpnn.data.spark_shards import SourceChanged

    if _same_at_each_read(whole):
        return
    train, held = feed.train, feed.validation
    if add_checksums(train.checksum, held.checksum) != content(whole, *named):
        raise SourceChanged(
            f"{train.rows:,} training and {held.rows:,} validation rows do not make up the data: "
            f"column {indicator!r} is another at each read; write the data to Parquet first"
        )


def _same_at_each_read(df: Any) -> bool:
    """What Spark knows of the plan; of a user's function it knows only what the user has said."""
    plan = df._jdf.queryExecution().analyzed()
    try:
        nodes = plan.toJSON()
    except Exception:  # a node that has no JSON
        return False
    return plan.deterministic() and not any(udf in nodes for udf in ("PythonUDF", "ScalaUDF"))


def _told(which: str, read: Callable[..., Any], *arguments: Any) -> Any:
    """`read`, whose errors say which of two data sets they are of."""
    try:
        return read(*arguments)
    except ValueError as error:
        kind = DataError if isinstance(error, DataError) else ValueError
        raise kind(f"{which}: {error}") from None


def _part(data: Any, name: str) -> Part:
    if not isinstance(data, tuple | list) or len(data) not in (2, 3):
        raise TypeError(
            f"{name} must be a Spark DataFrame, or arrays (X, y) or (X, y, weights), "
            f"got {type(data).__name__}"
        )
    x, y, *rest = data
    if y is None:
        raise TypeError(f"{name} has no labels: give (X, y) or (X, y, weights)")
    return x, y, rest[0] if rest else None


def _frame(part: Part) -> tuple[Any, Columns]:
    """Arrays as a DataFrame of the active session, and which columns are what."""
    import pyarrow as pa
    from pyspark.sql import SparkSession

    x, _, w = part
    names = {k: f"x{i}" for i, k in enumerate(x)} if isinstance(x, dict) else "x"
    own = {f"x.{k}": name for k, name in names.items()} if isinstance(names, dict) else {}
    columns = {own.get(name, name): _arrow(array) for name, array in checked(*part).items()}
    frame = SparkSession.builder.getOrCreate().createDataFrame(pa.table(columns))
    return frame, Columns(names, "y", None if w is None else "w")


def _arrow(array: np.ndarray) -> Any:
    import pyarrow as pa

    kind = array.dtype.newbyteorder("=")
    if kind.str[1:] == "u8" and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{array.max()} is above what Spark's whole numbers hold, {2**63 - 1}")
    flat = np.ascontiguousarray(array, _WIDER.get(kind.str[1:], kind)).reshape(-1)
    values = pa.array(flat)
    for width in reversed(array.shape[1:]):
        values = pa.FixedSizeListArray.from_arrays(values, width)
    return values


def _row_shape(shards: Any) -> Any:
    """The shape of one row, or of each input by name; ValueError where it has no numbers."""
    shape = input_shape(shards) if isinstance(shards, list) else shards.input_shape
    for name, one in (shape if isinstance(shape, dict) else {"x": shape}).items():
        if 0 in one:
            raise ValueError(f"input {name!r} has rows of shape {one}: there is nothing in them")
    return shape


def _label_shape(shards: Any) -> tuple[int, ...] | None:
    """The shape of one row's label; None where there are no labels."""
    if isinstance(shards, list):
        return None if shards[0].y is None else shards[0].y.shape[1:]
    layout = () if shards is None else shards.layout
    return next((tuple(shape) for name, _, shape in layout if name == "y"), None)


def _labels(shards: Any) -> Span | None:
    if isinstance(shards, list):
        return span_of(span(s.y) for s in shards if s.y is not None)
    return None if shards is None else shards.labels
