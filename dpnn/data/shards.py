"""Shards: the arrays of one logical slice of a data set, and which rows a step takes of them.

Executor and driver; needs NumPy alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Arrays = np.ndarray | dict[str, np.ndarray]  # one input, or several by name


@dataclass(frozen=True)
class Shard:
    """The rows of one shard. Arrays may be memory-mapped; dtypes are as compact as the source's.

    x      (n, …) or {name: (n, …)}: the inputs
    y      (n,) or (n, …), or None where there is no label
    w      (n,) float32 row weights, or None for ones
    order  (n,) the rows sorted by content hash: the same for the same rows, however they arrived
    """

    x: Arrays
    y: np.ndarray | None
    w: np.ndarray | None
    order: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.order)


def step_rows(shard: Shard, seed: int, epoch: int, index: int, step: int, steps: int) -> np.ndarray:
    """The row numbers that shard `index` gives to a step: every row once an epoch.

    Step t of T takes perm[⌊t·n/T⌋ : ⌊(t+1)·n/T⌋]; the permutation hangs on (seed, epoch, index).
    """
    perm = epoch_rows(shard, seed, epoch, index)
    n = shard.rows
    return perm[step * n // steps : (step + 1) * n // steps]


def epoch_rows(shard: Shard, seed: int, epoch: int, index: int) -> np.ndarray:
    """All row numbers of a shard in the order of this epoch."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, epoch, index))))
    return shard.order[rng.permutation(shard.rows)]
