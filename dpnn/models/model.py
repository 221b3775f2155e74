"""TrainedModel: what `fit` returns and `load` reads; for arrays, tables, DataFrames. Driver."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from dpnn import nn
from dpnn.data import tables
from dpnn.data.arrays import from_arrays, numbers
from dpnn.data.checks import raise_problems
from dpnn.data.roles import Columns, is_frame
from dpnn.data.shards import as_split
from dpnn.models import evaluation, modelfile, outputs, scoring
from dpnn.models.outputs import Output
from dpnn.models.scorer import BATCH, Scorer, Sent, forward

if TYPE_CHECKING:
    import pandas as pd

    from dpnn.spark.session import Session


class TrainedModel:
    """A network with its weights, the loss that gives its outputs a meaning, and its origin.

    network   the bound network; `weights` is its flat vector
    columns   the DataFrame columns that it was trained on, or None after arrays
    source    what it was trained on: paths, filters, schema, rows, as far as known

    Any number of threads may use one model. Weights that are changed meanwhile count from then on.
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
        self._sent: tuple[Any, Sent] | None = None  # the last weights on Spark, by what they are

    @property
    def weights(self) -> np.ndarray:
        return self.network.weights

    def predict(self, x: Any, batch_size: int = BATCH, inputs: Any = None) -> np.ndarray:
        """(B, …) float32: logits for classes; for values what the loss says of them.

        x        arrays, or a pandas or Arrow table with the columns of the training
        inputs   other columns of the table
        """
        z = self._raw(x, batch_size, inputs)
        return self.loss.prediction(z) if self.loss.task == "values" else z

    def predict_probability(
        self, x: Any, batch_size: int = BATCH, inputs: Any = None
    ) -> np.ndarray:
        """(B, classes) float64; x as in `predict`."""
        outputs.probabilities(self.loss, np.zeros((1, *self.network.output_shape)))
        return outputs.probabilities(self.loss, self._raw(x, batch_size, inputs))

    def transform(
        self,
        df: Any,
        inputs: Any = None,
        outputs: Mapping[str, str] | None = None,
        dtype: str = "float64",
    ) -> Any:
        """`df` with a column `prediction` (double), and `probability` (array<double>) for classes.

        inputs    the columns to predict from; those of the training unless given
        outputs   {column: what it says}, instead of those two: "prediction", "probability", "raw"
                  (logits or values), or one class's alone, as in {"p": "probability[1]"}. A column
                  with an empty name is left out
        dtype     "float32" for narrower outputs
        """
        named = self._outputs(outputs, dtype)
        inputs = self._columns(inputs).inputs
        sent = self._send(_session(df))
        return scoring.transform(df, self._scorer(), sent, inputs, named)

    def udf(self, output: str = "prediction", inputs: Any = None, dtype: str = "float64") -> Any:
        """A function of the input columns, in the order of the training, for DataFrames and SQL.

            df.select(model.udf()("age", "hours"))
            spark.udf.register("income", model.udf("probability[1]"))

        Several columns may also come packed, F.array("age", "hours"): that is quicker. output and
        dtype as in `transform`. Needs a running Spark session.
        """
        (made,) = self._outputs({"udf": output}, dtype).values()
        inputs = self._columns(inputs).inputs
        return scoring.udf(self._scorer(), self._send(_session()), inputs, made)

    def evaluate(
        self, data: Any, inputs: Any = None, label: Any = None, weight: str | None = None
    ) -> dict[str, Any]:
        """{"rows", "loss", …}: all metrics that there are, e.g. "accuracy", "auc", "rmse", "r2".

        data: a DataFrame, a pandas or Arrow table, or arrays (X, y) or (X, y, row weights). Columns
        are those of the training unless given; rows count alike unless `weight` names a column.
        The confusion matrix, a row for each true class and a column for each predicted one, is of
        rows, or of weights where there are some, up to 20 classes.
        """
        return self._tally(data, inputs, label, weight).result()

    def best_threshold(
        self,
        data: Any,
        metric: str = "f1",
        inputs: Any = None,
        label: Any = None,
        weight: str | None = None,
    ) -> float:
        """The probability of class 1 from which to say 1, for the best of a metric on these rows.

        Of two classes. metric: "f1", "accuracy" or "balanced_accuracy"; the rest as of `evaluate`.
        Among 16,384 bins of the score; take rows that the model was not trained on.
        """
        return self._tally(data, inputs, label, weight).best_threshold(metric)

    def importance(
        self,
        df: Any,
        metric: str | None = None,
        inputs: Any = None,
        label: Any = None,
        seed: int = 0,
    ) -> pd.DataFrame:
        """How much a metric loses once a column's values are dealt to other rows, for each column.

        A table of `column` and `importance`, the highest first; 0 of a column that is of no use.
        The metric is "log_loss" or, of values, "rmse" unless named. The DataFrame is read once; the
        figures depend on its rows and the seed, and not on its partitions. Columns that tell the
        same share their importance, or have none. inputs and label as of `evaluate`.
        """
        from dpnn.models.importance import importance

        if not is_frame(df):
            raise TypeError(f"importance takes a Spark DataFrame, got {type(df).__name__}")
        columns = self._columns(inputs, label)
        metric = metric or ("rmse" if self.loss.task == "values" else "log_loss")
        sent = self._send(_session(df))
        named = columns.inputs, columns.label
        return importance(df, self._scorer(), sent, named, metric, seed)

    def _tally(self, data: Any, inputs: Any, label: Any, weight: str | None) -> evaluation.Tally:
        """The sums over labelled rows."""
        scorer = self._scorer()
        if is_frame(data):
            columns = self._columns(inputs, label)
            named = (columns.inputs, columns.label, weight)
            session = _session(data)
            with session.translated():
                return evaluation.evaluate(data, scorer, self._send(session), named)
        names, tally = None, evaluation.Tally(scorer)
        if tables.is_table(data):
            columns = self._columns(inputs, label)
            names = tables.wanted(columns.inputs, columns.label, weight)
            arrays = _table(data, names, scorer.label_classes)
            shard = as_split(arrays, np.empty(0))
        elif isinstance(data, tuple | list) and len(data) in (2, 3):
            x, y, *w = data
            if y is None:
                raise TypeError("evaluate needs labels: give (X, y) or (X, y, weights)")
            (shard,) = from_arrays(x, y, w[0] if w else None, num_classes=scorer.label_classes)
        else:
            raise TypeError(
                "evaluate takes a Spark DataFrame, a pandas or Arrow table, or arrays (X, y) or "
                f"(X, y, weights), got {type(data).__name__}"
            )
        tally.add(self.network, shard.x, shard.y, shard.w, names)
        return tally

    def save(self, path: str | os.PathLike[str]) -> None:
        """One safetensors file, at a local path or on any file system that Spark reaches.

        An existing file is replaced, atomically.
        """
        content = modelfile.Content(self.network, self.loss, self.columns, self.source)
        modelfile.write(path, content)

    def _raw(self, x: Any, batch_size: int, inputs: Any) -> np.ndarray:
        """The network's outputs of arrays or of a table."""
        if is_frame(x):
            raise TypeError("predict takes arrays and tables: for a DataFrame there is transform")
        names = None
        if tables.is_table(x):
            names = tables.wanted(self._columns(inputs).inputs)
            x = as_split(_table(x, names), np.empty(0)).x
        elif inputs is not None:
            raise TypeError("inputs=… names the columns of a table: x is arrays already")
        elif isinstance(x, dict):
            x = {name: numbers(f"X[{name!r}]", value) for name, value in x.items()}
        else:
            x = numbers("X", x)
        return forward(self.network, x, names, batch_size)

    def _outputs(self, named: Mapping[str, str] | None, dtype: str) -> dict[str, Output]:
        named = outputs.defaults(self.loss) if named is None else named
        shape = self.network.output_shape
        return {
            name: Output.parse(text, self.loss, shape, dtype)
            for name, text in named.items()
            if name
        }

    def _scorer(self) -> Scorer:
        network = self.network
        return Scorer(network.layer, network.input_shape, network.output_shape, self.loss)

    def _columns(self, inputs: Any, label: Any = None) -> Columns:
        known = self.columns
        if known is None:
            if inputs is None:
                raise ValueError(
                    "the model was trained on arrays: say inputs=…, the columns' names"
                )
            return Columns(inputs, label or "label")
        return Columns(inputs or known.inputs, label or known.label, known.weight)

    def _send(self, session: Session) -> Sent:
        """The weights as bytes, once an application: the DataFrame that uses them is lazy."""
        session.ship()
        data = self.weights.tobytes()
        what = session.id, hashlib.sha256(data).digest()
        if self._sent is None or self._sent[0] != what:
            self._sent = what, Sent(uuid4().hex, session.sent(data))
        return self._sent[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_sent": None}  # that is this process's

    def __repr__(self) -> str:
        return f"TrainedModel({self.network.layer}, {type(self.loss).__name__})"


def load(path: str | os.PathLike[str]) -> TrainedModel:
    """A model from its file: a local path, or any file system that a running session reaches.

    ValueError in one line where it is no model file, or a damaged one. Nothing is unpickled.
    """
    return TrainedModel(*modelfile.read(path))


def _table(data: Any, names: tables.Wanted, num_classes: int | None = None) -> Any:
    """The arrays of a pandas or Arrow table; DataError of bad rows."""
    columns = tables.columns_of(data, tables.names_of(names))
    arrays, problems = tables.arrays(columns, names, num_classes)
    raise_problems(problems, num_classes)
    return arrays


def _session(df: Any = None) -> Session:
    """Of a DataFrame, or the running one; prediction of arrays needs neither."""
    from dpnn.spark.session import Session

    return Session.active() if df is None else Session.of(df)
