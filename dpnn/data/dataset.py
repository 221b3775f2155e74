"""Dataset: the rows that fits use, in named splits, read from the source once and cut into shards.

    with Dataset(df, inputs=["a", "b"], label="y", validation="held") as data:
        a = Trainer(model_a, loss).fit(data)  # one read of the source …
        b = Trainer(model_b, loss).fit(data)  # … for any number of fits

Driver. The way of the data: `Dataset` -> `ingest` (a DataFrame) or `arrays` (NumPy) -> `shards`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from dpnn.data.arrays import checked, held_out, local_shards
from dpnn.data.checks import DataError, Span
from dpnn.data.roles import Columns, is_frame
from dpnn.data.shards import Layout, LocalShards, Shape, Shards

if TYPE_CHECKING:
    from dpnn.data.spark_shards import SparkShards

Part = tuple[Any, Any, Any]  # X, y, row weights or None


class Dataset:
    """The shards of training rows, and of validation rows where there are any.

    data        a Spark DataFrame, or NumPy arrays (X, y) or (X, y, row weights)
    inputs      of a DataFrame: a column, a list of columns, or {input: column or columns}
    label       and its column, or columns
    weight      and the column of row weights
    validation  the name of a boolean column, true = validation; a share of the rows, such as 0.1,
                picked by their content; or rows of their own, given like data
    num_shards  slices of the data (default: one a slot or core). Weights that are trained on it
                depend on this number, and on nothing else of the cluster

    Made once, used by any number of fits, and closed once: use it in `with`.
    """

    def __init__(
        self,
        data: Any,
        inputs: Any = None,
        label: str | list[str] | None = None,
        weight: str | None = None,
        validation: Any = None,
        num_shards: int | None = None,
    ) -> None:
        num_shards, validation = _whole(num_shards), _share(validation)
        self.columns: Columns | None = None
        self.in_process = not is_frame(data)
        self._local: LocalShards | None = None
        self._spark: SparkShards | None = None
        self._shards: Shards
        if is_frame(data):
            self.columns = _columns(inputs, label, weight)
            self._shards = self._spark = _ingested(data, self.columns, validation, num_shards)
        else:
            _refuse_columns(inputs, label, weight)
            self._shards = self._local = _cut(data, validation, num_shards)
        self.source: dict[str, Any] = self._shards.source
        try:
            _check_shapes(self)
        except BaseException:
            self.close()
            raise

    @property
    def num_shards(self) -> int:
        return len(self.rows_of_shards)

    @property
    def rows(self) -> dict[str, int]:
        """Of each split that there is."""
        return {split: sum(facts.rows) for split, facts in self._shards.facts.items()}

    @property
    def rows_of_shards(self) -> list[int]:
        """How many training rows each shard has."""
        return self._shards.facts["train"].rows

    @property
    def input_shape(self) -> Shape | dict[str, Shape]:
        """The shape of one row, or of each input by name."""
        return _row_shape(self._shards.facts["train"].layout)

    @property
    def checksum(self) -> str:
        """Tells training rows from others: the same for the same rows, wherever they lie."""
        return f"{self._shards.facts['train'].checksum:016x}"

    def has(self, split: str) -> bool:
        """Whether there are rows of this split: "train" or "validation"."""
        return split in self._shards.facts

    def label_shape(self, split: str) -> Shape | None:
        """The shape of one row's label; None where there are no labels."""
        layout = self._shards.facts[split].layout
        return next((shape for name, _, shape in layout if name == "y"), None)

    def labels(self, split: str) -> Span | None:
        """The lowest label, the highest, and one that is not whole or None."""
        return self._shards.facts[split].labels

    def local(self) -> LocalShards:
        """Its shards in this process: mapped or fetched, once."""
        if self._local is None:
            assert self._spark is not None
            self._local = self._spark.fetch()
        return self._local

    def spark(self) -> SparkShards:
        """Its shards on the executors of the active session: put there once."""
        if self._spark is None:
            assert self._local is not None
            from dpnn.data.frames import ingest_local

            self._spark = ingest_local(self._local)
        return self._spark

    def close(self) -> None:
        """Delete its files on the executors. May be called twice."""
        with ExitStack() as closing:
            for shards in (self._local, self._spark):
                if shards is not None:
                    closing.callback(shards.close)

    def __enter__(self) -> Dataset:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        rows = ", ".join(f"{n:,} {split}" for split, n in self.rows.items())
        return f"Dataset({rows} rows in {self.num_shards} shards)"


def _ingested(data: Any, columns: Columns, validation: Any, num_shards: int | None) -> SparkShards:
    from dpnn.data.ingest import ingest

    if not (validation is None or isinstance(validation, str | float) or is_frame(validation)):
        raise TypeError(
            "validation must be a DataFrame like the data, a boolean column's name, or a share "
            f"of the rows, got {type(validation).__name__}"
        )
    named = (columns.inputs, columns.label, columns.weight)
    return ingest(data, *named, num_shards, validation)


def _cut(data: Any, validation: Any, num_shards: int | None) -> LocalShards:
    num_shards = num_shards or os.cpu_count() or 1
    part = _part(data, "data")
    if validation is None:
        return local_shards({"train": checked(*part)}, num_shards)
    if isinstance(validation, float):
        splits = held_out(checked(*part), validation)
        for split, arrays in splits.items():
            if not len(arrays["y"]):
                kind = {"train": "training", "validation": "validation"}[split]
                raise DataError(f"{kind}: validation={validation:g} leaves it no rows")
        return local_shards(splits, num_shards)
    held = _part(validation, "validation")
    splits = {
        "train": _told("training", checked, *part),
        "validation": _told("validation", checked, *held),
    }
    return local_shards(splits, num_shards)


def _columns(inputs: Any, label: Any, weight: Any) -> Columns:
    if inputs is None or not label:
        raise ValueError("a DataFrame needs inputs=… and label=…: the names of its columns")
    return Columns(inputs, label, weight)


def _refuse_columns(*named: Any) -> None:
    if any(name is not None for name in named):
        raise TypeError(
            "inputs, label and weight name columns of a DataFrame: give arrays as (X, y) or "
            "(X, y, weights)"
        )


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


def _told(which: str, read: Callable[..., Any], *arguments: Any) -> Any:
    """`read`, whose errors say which of two data sets they are of."""
    try:
        return read(*arguments)
    except ValueError as error:
        kind = DataError if isinstance(error, DataError) else ValueError
        raise kind(f"{which}: {error}") from None


def _whole(num_shards: Any) -> int | None:
    if isinstance(num_shards, np.integer):
        num_shards = int(num_shards)
    if num_shards is not None and (not isinstance(num_shards, int) or num_shards < 1):
        raise ValueError(f"num_shards must be a whole number from 1, got {num_shards!r}")
    return num_shards


def _share(validation: Any) -> Any:
    """A number between 0 and 1 as a float; anything that is no number as it is."""
    if not isinstance(validation, int | float | np.number) or isinstance(validation, bool):
        return validation
    if not 0 < validation < 1:
        raise ValueError(f"validation={validation:g}: a share of the rows is between 0 and 1")
    return float(validation)


def _check_shapes(data: Dataset) -> None:
    """ValueError where rows have nothing in them, or validation rows are unlike training rows."""
    shape = data.input_shape
    for name, one in (shape if isinstance(shape, dict) else {"x": shape}).items():
        if 0 in one:
            raise ValueError(f"input {name!r} has rows of shape {one}: there is nothing in them")
    if data.has("validation"):
        held = _row_shape(data._shards.facts["validation"].layout)
        if held != shape:
            raise ValueError(
                f"validation rows have the shape {held}, training rows {shape}: give both the "
                "same columns"
            )


def _row_shape(layout: Layout) -> Shape | dict[str, Shape]:
    shapes = {name: shape for name, _, shape in layout}
    if "x" in shapes:
        return shapes["x"]
    return {name[2:]: shape for name, shape in shapes.items() if name.startswith("x.")}
