"""TrainedModel: what `fit` returns and `load` reads; predicts arrays and DataFrames. Driver."""

from __future__ import annotations

import os
import zlib
from typing import Any

import numpy as np

from dpnn import nn
from dpnn.data.arrays import from_arrays, numbers
from dpnn.data.roles import Columns, is_frame
from dpnn.models import modelfile, outputs, scoring


class TrainedModel:
    """A network with its weights, the loss that gives its outputs a meaning, and its origin.

    network   the bound network; `weights` is its flat vector
    columns   the DataFrame columns that it was trained on, or None after arrays
    source    what it was trained on: paths, filters, schema, rows, as far as known
    """

    def __init__(
        self,
        network: nn.Network,
        loss: nn.Loss,
        columns: Columns | None = None,
        source: dict[str, Any] | None = None,
    ) -> None:
        self.network, self.loss = network, loss
        self.columns, self.source = columns, source or {}
        self._broadcasts: dict[tuple[str, int], Any] = {}  # by application id and checksum

    @property
    def weights(self) -> np.ndarray:
        return self.network.weights

    def predict(self, x: Any, batch_size: int = scoring.BATCH) -> np.ndarray:
        """Raw outputs (B, …) float32: logits for classes, values for regression."""
        if is_frame(x):
            raise TypeError("predict takes arrays: for a DataFrame there is transform")
        with np.errstate(all="ignore"):  # what overflows shows in the outputs
            return self.network.predict(_asarray(x), batch_size)

    def predict_probability(self, x: Any, batch_size: int = scoring.BATCH) -> np.ndarray:
        """(B, classes) float64."""
        found = outputs.probabilities(self.loss, self.predict(x, batch_size))
        if found is None:
            raise ValueError(
                f"a model trained with {type(self.loss).__name__} has no probabilities: use predict"
            )
        return found

    def transform(self, df: Any, inputs: Any = None) -> Any:
        """`df` with a column `prediction` (double), and `probability` (array<double>) for classes.

        inputs: the columns to predict from; those of the training unless given.
        """
        inputs = self._columns(inputs).inputs
        sc = self._prepare(df)
        return scoring.transform(df, self._scorer(), inputs, self._broadcast(sc))

    def evaluate(
        self, data: Any, inputs: Any = None, label: Any = None, weight: str | None = None
    ) -> dict[str, Any]:
        """{"rows", "loss", "accuracy", "confusion"} or {"rows", "loss", "mae", "rmse", "r2"}.

        data: a DataFrame, or arrays (X, y) or (X, y, row weights). Columns are those of the
        training unless given; its weight column where the data has it. The confusion matrix
        counts rows, [true class][predicted class], up to 20 classes.
        """
        if is_frame(data):
            columns = self._columns(inputs, label)
            if weight is None and columns.weight in data.columns:
                weight = columns.weight
            sc = self._prepare(data)
            named = (columns.inputs, columns.label, weight)
            tally = scoring.evaluate(data, self._scorer(), named, self._broadcast(sc))
        else:
            if not isinstance(data, tuple | list) or len(data) not in (2, 3):
                raise TypeError(
                    "evaluate takes a Spark DataFrame, or arrays (X, y) or (X, y, weights), "
                    f"got {type(data).__name__}"
                )
            scorer = self._scorer()
            tally = scoring.Tally(scorer)
            x, y, *w = data
            if y is None:
                raise TypeError("evaluate needs labels: give (X, y) or (X, y, weights)")
            weights = w[0] if w else None
            (shard,) = from_arrays(x, y, weights, num_classes=scorer.label_classes)
            for x, y, w in scoring.cut(shard.x, shard.y, shard.w):
                tally.add(self.network, x, y, w)
        if not tally.rows:
            raise ValueError("the data has no rows: check its path and filter")
        return tally.result()

    def save(self, path: str | os.PathLike[str]) -> None:
        """One safetensors file, at a local path or on any file system that Spark reaches.

        An existing file is replaced, atomically.
        """
        content = modelfile.Content(self.network, self.loss, self.columns, self.source)
        modelfile.write(path, content)

    def _scorer(self) -> scoring.Scorer:
        return scoring.Scorer(self.network.layer, self.network.input_shape, self.loss)

    def _columns(self, inputs: Any, label: Any = None) -> Columns:
        known = self.columns
        if known is None:
            if inputs is None:
                raise ValueError(
                    "the model was trained on arrays: say inputs=…, the columns' names"
                )
            return Columns(inputs, label or "label")
        return Columns(inputs or known.inputs, label or known.label, known.weight)

    def _prepare(self, df: Any) -> Any:
        """Executors get dpnn; returns the context."""
        from dpnn.spark.shipping import context, ship

        sc = context(df)
        ship(sc)
        return sc

    def _broadcast(self, sc: Any) -> Any:
        """The weights as bytes, once an application: the DataFrame that uses them is lazy."""
        data = self.weights.tobytes()
        key = sc.applicationId, zlib.crc32(data)
        if key not in self._broadcasts:
            self._broadcasts[key] = sc.broadcast(data)
        return self._broadcasts[key]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_broadcasts": {}}  # those are this process's

    def __repr__(self) -> str:
        return f"TrainedModel({self.network.layer}, {type(self.loss).__name__})"


def load(path: str | os.PathLike[str]) -> TrainedModel:
    """A model from its file: a local path, or any file system that a running session reaches.

    ValueError in one line where it is no model file, or a damaged one. Nothing is unpickled.
    """
    return TrainedModel(*modelfile.read(path))


def _asarray(x: Any) -> Any:
    if isinstance(x, dict):
        return {name: numbers(f"X[{name!r}]", value) for name, value in x.items()}
    return numbers("X", x)
