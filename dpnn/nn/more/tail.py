"""The numbers that a plan returns beside its gradient, by name."""

from __future__ import annotations

import numpy as np

HEAD = 4  # numbers before the sums
ROWS = 2  # the place of their count


class Tail:
    """Views of one float64 array, which adds up and travels as it is.

    loss     Σ of row weight · loss, class weights included
    weight   what its mean divides by
    rows     how many rows there were
    counted  Σ of the row weights alone: what metrics divide by
    sums     those of the metrics, or moments
    """

    def __init__(self, numbers: np.ndarray) -> None:
        self.numbers = numbers

    @classmethod
    def of(cls, sums: int) -> Tail:
        """Zeros, with so many sums."""
        return cls(np.zeros(HEAD + sums))

    @property
    def sums(self) -> np.ndarray:
        return self.numbers[HEAD:]

    @property
    def loss(self) -> float:
        return float(self.numbers[0])

    @property
    def weight(self) -> float:
        return float(self.numbers[1])

    @property
    def rows(self) -> int:
        return int(self.numbers[ROWS])

    @property
    def counted(self) -> float:
        return float(self.numbers[3])

    @property
    def mean(self) -> float:
        """The mean loss; NaN of rows that all weigh nothing."""
        return self.loss / self.weight if self.weight > 0 else float("nan")

    def add(self, loss: float = 0, weight: float = 0, rows: int = 0, counted: float = 0) -> None:
        for place, value in enumerate((loss, weight, rows, counted)):
            self.numbers[place] += value

    def spoil(self) -> None:
        """An infinite loss, and no metrics: weights that only a line search has tried."""
        self.numbers[0] = np.inf
        self.sums[:] = 0
