"""Fits over one read: an estimator reads its rows, then trains on them. Driver."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from pyspark.ml.base import _FitMultipleIterator
from pyspark.ml.param import Params
from pyspark.sql import DataFrame

from dpnn.data.dataset import Dataset
from dpnn.training.result import Result
from dpnn.training.trainer import Trainer

_DATA = {  # Params that say which rows are read, and how
    "featuresCol",
    "labelCol",
    "weightCol",
    "validationIndicatorCol",
    "validationFraction",
    "timeCol",
    "groupCol",
    "numericCols",
    "categoricalCols",
    "dateCols",
    "handleInvalid",
    "numShards",
}
_fits = threading.Lock()  # a fit takes all slots: those of other threads wait here, not in Spark


class ReadsOnce(Params):
    """Mixed into the estimators: settings that change nothing of what is read share one read."""

    def _fit(self, dataset: DataFrame) -> Any:
        with self._read(dataset) as data:
            return self._train(data, dataset)

    def fitMultiple(
        self, dataset: DataFrame, paramMaps: Sequence[Any]
    ) -> Iterator[tuple[int, Any]]:
        """One read of the rows for all settings, unless some of them change what is read."""
        if any(param.name in _DATA for changed in paramMaps for param in changed):
            return super().fitMultiple(dataset, paramMaps)  # type: ignore[misc]
        shared = _Shared(self.copy(), dataset, len(paramMaps))

        def fit(index: int) -> Any:
            return shared.fit(paramMaps[index])

        return _FitMultipleIterator(fit, len(paramMaps))

    def _read(self, df: DataFrame) -> Dataset:
        """The rows as shards."""
        raise NotImplementedError

    def _train(self, data: Dataset, df: DataFrame) -> Any:
        """The model of rows that were read, from `df`."""
        raise NotImplementedError


def fitted(trainer: Trainer, data: Dataset) -> Result:
    """One fit at a time."""
    with _fits:
        return trainer.fit(data)


class _Shared:
    """One read for several fits; its shards go with the last of them."""

    def __init__(self, estimator: ReadsOnce, df: DataFrame, fits: int) -> None:
        self._estimator, self._df, self._left = estimator, df, fits
        self._lock = threading.Lock()
        self._data: Dataset | None = None

    def fit(self, changed: Any) -> Any:
        with self._lock:
            if self._data is None:
                self._data = self._estimator._read(self._df)
        try:
            return self._estimator.copy(changed)._train(self._data, self._df)
        finally:
            with self._lock:
                self._left -= 1
                if not self._left:
                    self._data.close()
