"""What a fit leaves behind, as pyspark.ml's training summaries name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrainingSummary:
    """The figures of each epoch.

    objectiveHistory   the training loss
    validationHistory  {metric: values} of the validation rows; empty without any
    totalIterations    how many epochs, of L-BFGS iterations, there were
    bestEpoch          whose weights the model has
    """

    history: dict[str, list[Any]]
    bestEpoch: int  # noqa: N815

    @property
    def objectiveHistory(self) -> list[float]:
        return list(self.history["loss"])

    @property
    def validationHistory(self) -> dict[str, list[float]]:
        named = {k.removeprefix("val_"): v for k, v in self.history.items() if k[:4] == "val_"}
        return {name: list(values) for name, values in named.items()}

    @property
    def totalIterations(self) -> int:
        return len(self.history["loss"])
