"""Which split a row belongs to: asked once, of the one read, where the row is.

However often an expression would change its mind (`rand()`, a user's function), a row lands in
exactly one split. Executor; needs NumPy and pyarrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpnn.data.checks import Problem
from dpnn.data.placement import held_by_content

_TRUE, _FALSE = ("true", "1"), ("false", "0")  # also as a partition column has them


class Rule(Protocol):
    """Cuts the rows of one source.

    told   begins what is said of the source's rows, where there are several: "validation: "
    asked  what a source that is cut was cut by; "" where it is not
    """

    @property
    def told(self) -> str: ...

    @property
    def asked(self) -> str: ...

    def problems(self, batch: pa.RecordBatch) -> list[Problem]:
        """What is wrong with the batch as far as this rule reads it."""

    def held(self, batch: pa.RecordBatch, hashes: np.ndarray) -> np.ndarray:
        """(n,) bool: true for validation rows."""


@dataclass(frozen=True)
class Whole:
    """All rows of a source are of one split."""

    split: str = "train"
    told: str = ""
    asked: str = ""

    def problems(self, batch: pa.RecordBatch) -> list[Problem]:
        return []

    def held(self, batch: pa.RecordBatch, hashes: np.ndarray) -> np.ndarray:
        return np.full(len(hashes), self.split == "validation")


@dataclass(frozen=True)
class ByContent:
    """A share of the rows, by their hashes: the same rows on any cluster, and for arrays."""

    share: float
    told: str = ""

    @property
    def asked(self) -> str:
        return f"validation={self.share:g}"

    def problems(self, batch: pa.RecordBatch) -> list[Problem]:
        return []

    def held(self, batch: pa.RecordBatch, hashes: np.ndarray) -> np.ndarray:
        return held_by_content(hashes, self.share)


@dataclass(frozen=True)
class ByColumn:
    """The batch's last column says it: true, or what a partition column makes of it. A null does
    not.
    """

    name: str
    told: str = ""

    @property
    def asked(self) -> str:
        return f"the indicator {self.name!r}"

    def problems(self, batch: pa.RecordBatch) -> list[Problem]:
        flag = batch.columns[-1]
        if pa.types.is_boolean(flag.type):
            return []
        known = pc.is_in(flag, pa.array([*_TRUE, *_FALSE], flag.type))
        strange = flag.filter(pc.and_(pc.invert(known), flag.is_valid()))
        if not len(strange):
            return []
        where, example = f"column {self.name!r}", repr(pc.min(strange).as_py())
        return [Problem("indicator", where, len(strange), example=example)]

    def held(self, batch: pa.RecordBatch, hashes: np.ndarray) -> np.ndarray:
        flag = batch.columns[-1]
        if not pa.types.is_boolean(flag.type):
            flag = pc.is_in(flag, pa.array(_TRUE, flag.type))
        return pc.fill_null(flag, False).to_numpy(zero_copy_only=False)
