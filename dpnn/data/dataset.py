"""Dataset: the rows that fits use, in named splits, read from the source once and cut into shards.

    with Dataset(df, inputs=["a", "b"], label="y", validation="held") as data:
        a = Trainer(model_a, loss).fit(data)  # one read of the source …
        b = Trainer(model_b, loss).fit(data)  # … for any number of fits

Driver. The way of the data: `Dataset` -> `ingest` (a DataFrame) or `local` (arrays) -> `shards`.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from dpnn.data import tables
from dpnn.data.checks import Ranges, Span
from dpnn.data.encoders.wishes import Wishes
from dpnn.data.local import of_arrays, of_table
from dpnn.data.roles import Columns, is_frame
from dpnn.data.saying import say, told_by_type
from dpnn.data.shards import Layout, LocalShards, Shape, Shards

if TYPE_CHECKING:
    from dpnn.data.spark_shards import SparkShards


class Dataset:
    """The shards of training rows, and of validation rows where there are any.

    data        a Spark DataFrame; a pandas or Arrow table; or NumPy arrays (X, y) or
                (X, y, row weights)
    inputs      of a frame or table: a column, a list of columns, or {input: column or columns};
                or `dpnn.columns(…)`: raw columns, which encoders turn into numbers
    label       and its column, or columns
    weight      and the column of row weights
    validation  the name of a boolean column, true = validation; a share of the rows, such as 0.1,
                picked by their content; or rows of their own, given like data
    num_shards  slices of the data (default: one a slot or core). Weights that are trained on it
                depend on this number, and on nothing else of the cluster
    progress    False: say nothing of how a DataFrame is read, and of what its columns are

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
        progress: bool | None = None,
    ) -> None:
        num_shards, validation = _whole(num_shards), _share(validation)
        self.columns: Columns | None = None
        self.in_process = not is_frame(data)
        self._local: LocalShards | None = None
        self._spark: SparkShards | None = None
        self._shards: Shards
        show = progress is not False
        if isinstance(inputs, Wishes) and not inputs.names:
            inputs = by_type(data, label, weight, validation, show=show)
        if is_frame(data):
            self.columns = _columns(inputs, label, weight)
            self._spark = _ingested(data, self.columns, validation, num_shards, show)
            self._shards = self._spark
        elif tables.is_table(data):
            self.columns = _columns(inputs, label, weight)
            self._shards = self._local = of_table(data, self.columns, validation, num_shards)
        else:
            if (inputs, label, weight) != (None, None, None):
                raise TypeError(
                    "inputs, label and weight name columns of a DataFrame: give arrays as (X, y) "
                    "or (X, y, weights)"
                )
            self._shards = self._local = of_arrays(data, validation, num_shards)
        self.source: dict[str, Any] = self._shards.source
        self.encoders = self._shards.encoders
        if self.columns is not None and self.encoders is not None:
            self.columns = replace(self.columns, inputs=self.encoders)
            for note in self.encoders.notes if show else ():
                say(note)
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

    @property
    def ranges(self) -> Ranges:
        """Lowest and highest training values, by channel, of inputs that float32 may round."""
        return self._shards.facts["train"].ranges

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


def _ingested(
    data: Any, columns: Columns, validation: Any, num_shards: int | None, show: bool
) -> SparkShards:
    from dpnn.data.ingest import ingest

    if not (validation is None or isinstance(validation, str | float) or is_frame(validation)):
        raise TypeError(
            "validation must be a DataFrame like the data, a boolean column's name, or a share "
            f"of the rows, got {type(validation).__name__}"
        )
    named = (columns.inputs, columns.label, columns.weight)
    start = perf_counter()
    shards = ingest(data, *named, num_shards, validation, show)
    if show:
        say(_told(shards, perf_counter() - start))
    return shards


def _told(shards: SparkShards, seconds: float) -> str:
    """What was read: "60,000 rows, 47.0 MB, read into 8 shards in 3.1 s, from 16 files (16 row
    groups, 12.0 MB) past Spark's rows".
    """
    facts = shards.facts.values()
    rows = sum(sum(one.rows) for one in facts)
    size = sum(piece.size for handle in shards.handles for piece in handle.pieces.values())
    path = "through Spark"
    if read := shards.source.get("read"):
        path = (
            f"from {_counted(read['files'], 'file')} ({_counted(read['row_groups'], 'row group')}, "
            f"{read['bytes'] / 1e6:,.1f} MB) past Spark's rows"
        )
    return (
        f"{rows:,} rows, {size / 1e6:,.1f} MB, read into {shards.num_shards} shards "
        f"in {seconds:.1f} s, {path}"
    )


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def by_type(data: Any, label: Any, *roles: Any, show: bool = True) -> Wishes:
    """All columns of a frame or table but its label and those that have another role; says which.

    roles   names of columns; what is no name counts for nothing
    """
    others = [label] if isinstance(label, str) else list(label or ())
    others += [name for name in roles if isinstance(name, str)]
    if is_frame(data):
        from dpnn.data.by_type import by_type

        wishes, names = by_type(data, others), data.columns
    elif tables.is_table(data):
        wishes, names = tables.by_type(data, others), tables.column_names(data)
    else:
        raise TypeError("dpnn.columns() is of a DataFrame or a table: arrays have no columns")
    known = {*others, *wishes.names}
    if not wishes.names:
        left = ", ".join(repr(name) for name in names if name not in known) or "none"
        raise ValueError(f"no column can be an input by its type; those left: {left}")
    if show:
        for line in told_by_type(wishes, [name for name in names if name not in known]):
            say(line)
    return wishes


def _columns(inputs: Any, label: Any, weight: Any) -> Columns:
    for name, value in (("inputs", inputs), ("label", label), ("weight", weight)):
        if is_frame(value):  # F.col("y"): of no use as a truth value, or a name
            raise TypeError(f"{name} must name a column, got {value}: say {name}='…', its name")
    if inputs is None or label is None or label in ("", []):
        raise ValueError("a DataFrame needs inputs=… and label=…: the names of its columns")
    return Columns(inputs, label, weight)


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
