"""What shards say of their raw training rows, small enough to travel, and added up in shard order.

Numbers: the rows with the smallest row hashes, a sample of the table that is the same however it
is cut into shards (all rows of a table of up to `SAMPLE`, unless it is wide); and exact counts,
means and squares.
Categories: how often each value occurs. Executor and driver; needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dpnn.data.encoders.raw import MISSING

SAMPLE = 1 << 15  # rows: quantiles are within 0.6 % of a table's
NUMBERS = 1 << 24  # of the sample, at most: rows of more than 512 columns are fewer
VALUES = 1 << 17  # of a category column that a shard tells, by frequency


@dataclass
class Moments:
    """Of each number column, without what is missing: (K,) each."""

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray  # Σ (x - mean)²
    low: np.ndarray
    high: np.ndarray

    def add(self, other: Moments) -> Moments:
        """Of both sets of rows together. Chan, Golub & LeVeque 1979."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        far = other.mean - self.mean
        return Moments(
            count,
            self.mean + far * share,
            self.squares + other.squares + far * far * self.count * share,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )


@dataclass
class Findings:
    """Of some shards' rows."""

    rows: int
    hashes: np.ndarray  # (s,) of the sampled rows, ascending
    sample: np.ndarray  # (s, K) their numbers
    moments: Moments
    counts: list[dict[int, int]]  # of each category column: hash -> rows; MISSING among them
    texts: list[dict[int, str]]
    widths: tuple[int, ...] = ()  # as `Raw` has them
    stamps: tuple[bool, ...] = ()
    classes: set[str] = field(default_factory=set)  # names of the labels, where they are text
    taught: set[str] = field(default_factory=set)  # those of training rows
    label: Moments | None = None  # of a label of one number

    def add(self, other: Findings) -> Findings:
        hashes, sample = _smallest(
            np.concatenate([self.hashes, other.hashes]),
            np.concatenate([self.sample, other.sample]),
        )
        counts = [_summed(a, b) for a, b in zip(self.counts, other.counts, strict=True)]
        texts = [{**a, **b} for a, b in zip(self.texts, other.texts, strict=True)]
        moments = self.moments.add(other.moments)
        known = self if self.widths else other  # a shard without rows knows nothing
        return Findings(
            self.rows + other.rows,
            hashes,
            sample,
            moments,
            counts,
            texts,
            known.widths,
            known.stamps,
            self.classes | other.classes,
            self.taught | other.taught,
            self.label.add(other.label) if self.label and other.label else None,
        )


def find(
    hashes: np.ndarray,
    numbers: np.ndarray,
    categories: np.ndarray,
    texts: Sequence[dict[int, str]],
    **known: Any,
) -> Findings:
    """Of one shard's training rows, given in content order; `known` is the rest of `Findings`.

    hashes (n,) uint64 row hashes     numbers (n, K)     categories (n, C)
    """
    counts, kept = [], []
    for column, names in zip(categories.T, texts, strict=True):
        values, times = np.unique(column, return_counts=True)
        order = np.lexsort((values, -times))[:VALUES]
        often = dict(zip(values[order].tolist(), times[order].tolist(), strict=True))
        counts.append(often)
        kept.append({value: names[value] for value in often if value in names})
    small, sample = _smallest(hashes, numbers)
    found = moments(numbers)
    return Findings(len(hashes), small, sample, found, counts, kept, **known)


def _smallest(hashes: np.ndarray, sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = max(min(SAMPLE, NUMBERS // max(sample.shape[1], 1)), 1)
    order = np.argsort(hashes, kind="stable")[:rows]
    return hashes[order], sample[order]


def moments(numbers: np.ndarray) -> Moments:
    """Of the columns of (n, K) numbers; NaN is missing."""
    known = ~np.isnan(numbers)
    count = known.sum(axis=0)
    mean = np.where(known, numbers, 0).sum(axis=0) / np.maximum(count, 1)
    far = np.where(known, numbers - mean, 0)
    low = np.where(known, numbers, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, numbers, -np.inf).max(axis=0, initial=-np.inf)
    return Moments(count, mean, (far * far).sum(axis=0), low, high)


def _summed(a: dict[int, int], b: dict[int, int]) -> dict[int, int]:
    out = dict(a)
    for value, times in b.items():
        out[value] = out.get(value, 0) + times
    return out


def missing(counts: dict[int, int]) -> int:
    """Rows whose value is missing."""
    return counts.get(MISSING, 0)
