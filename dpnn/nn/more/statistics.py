"""Statistics: the sums over rows that metrics are made of, each for several metrics.

All are float64 and weighted by the row weights of the call alone, so that shards add up. A training
adds them as they come; an evaluation exactly, so that they are the same bits in whatever order.
B rows, K outputs of a row, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import ClassVar

import numpy as np

from dpnn import nn
from dpnn.nn.core.params import Shape
from dpnn.nn.kernels.arrays import Array
from dpnn.nn.more import exact

OUTPUTS = 64  # up to which each has sums of its own
BINS = 16384  # of a score: the counts of both classes are 256 kB
FEW = 20  # classes up to which a confusion matrix is counted


class Seen:
    """Outputs z of some rows beside their targets; what several statistics ask is made once."""

    def __init__(self, loss: nn.Loss, z: Array, y: Array, w: Array | None) -> None:
        self.loss, self.z, self.y, self.xp = loss, z, y, nn.array_module(z)
        self.weights = self.xp.ones(len(z)) if w is None else w.reshape(-1).astype(np.float64)

    @cached_property
    def predicted(self) -> Array:
        """(B, K): what the loss makes of z, in float64; probabilities (B, K, C) of classes."""
        p = self.loss.prediction(self.z.astype(np.float64))
        last = p.shape[-1:] if self.loss.task == "classes" else ()
        return p.reshape(len(p), prod(p.shape[1 : p.ndim - len(last)]), *last)

    @cached_property
    def found(self) -> Array:
        """(B, K) the class of the largest output; of one output, whether it is above 0."""
        found = self.z.argmax(axis=-1) if self.loss.task == "classes" else self.z > 0
        return found.reshape(len(found), prod(found.shape[1:]))

    @cached_property
    def true(self) -> Array:
        """(B, K) the class of the target, as a whole number in whatever type it came."""
        true = self.y.reshape(self.found.shape)
        return (true if self.loss.task == "classes" else true > 0.5).astype(np.intp)

    @cached_property
    def parts(self) -> list[exact.Part]:
        """The weights, to be added without rounding errors."""
        return list(exact.parts(self.weights))


@dataclass(frozen=True)
class Statistic:
    """Base: `size` sums of the rows that are `seen`."""

    loss: nn.Loss
    outputs: Shape  # the shape of one row of z
    task: ClassVar[tuple[str, ...]] = ("classes", "binary")

    @property
    def size(self) -> int:
        return 1

    @property
    def classes(self) -> int:
        """Of which a row has its one label, or 0."""
        if self.loss.task == "classes" and len(self.outputs) == 1:
            return self.outputs[0]
        return 2 if self.loss.task == "binary" and self.outputs in ((), (1,)) else 0

    def fits(self) -> bool:
        """Whether there is such a thing for this loss and these outputs."""
        return self.loss.task in self.task

    def terms(self, seen: Seen) -> list[Array]:
        """What each row adds: (B, k), each for the next k of the sums."""
        raise NotImplementedError

    def sums(self, seen: Seen) -> Array:
        """(size,)"""
        return seen.xp.concatenate([seen.xp.dot(seen.weights, one) for one in self.terms(seen)])

    def add(self, seen: Seen, sums: exact.ExactSums, place: int) -> None:
        """On the CPU. The same to exact sums, from `place` on."""
        for one in self.terms(seen):
            sums.add(place, seen.weights[:, None] * one)
            place += one.shape[1]


class Counts(Statistic):
    """Base: of the sums each is a count of rows."""

    def places(self, seen: Seen) -> list[Array]:
        """(B,) each: which sum counts a row, or `size` where none does."""
        raise NotImplementedError

    def sums(self, seen: Seen) -> Array:
        count, size = seen.xp.bincount, self.size
        return sum(count(which, seen.weights, size + 1)[:size] for which in self.places(seen))

    def add(self, seen: Seen, sums: exact.ExactSums, place: int) -> None:
        for which in self.places(seen):
            sums.count(place, self.size, which, seen.parts)


class Hits(Statistic):
    """Σ of the share of a row's outputs that are right."""

    def terms(self, seen: Seen) -> list[Array]:
        hits = seen.found == seen.true
        return [hits.mean(axis=1, keepdims=True, dtype=np.float64)]


class Errors(Statistic):
    """Σ |p - y|, Σ (p - y)², Σ y and Σ y² of each output; of very many outputs only means."""

    task = ("values",)

    @property
    def each(self) -> bool:
        return prod(self.outputs) <= OUTPUTS

    @property
    def size(self) -> int:
        return 4 * (prod(self.outputs) if self.each else 1)

    def terms(self, seen: Seen) -> list[Array]:
        xp, target = seen.xp, seen.y.reshape(seen.predicted.shape).astype(np.float64)
        error = seen.predicted - target
        parts = [xp.abs(error), error * error, target, target * target]
        if not self.each:  # no variance: r2 is unknown
            parts = [part.mean(axis=1, keepdims=True) for part in parts[:2]]
            parts += [xp.zeros_like(parts[0])] * 2
        return parts


class Pinball(Statistic):
    """Σ of the loss that the q-quantile of y has least of: q above it, 1 - q below."""

    def fits(self) -> bool:
        return isinstance(self.loss, nn.Quantile)

    def terms(self, seen: Seen) -> list[Array]:
        assert isinstance(self.loss, nn.Quantile)
        error = seen.predicted - seen.y.reshape(seen.predicted.shape)
        values = error * ((error > 0) - self.loss.q)
        return [values.mean(axis=1, keepdims=True)]


class Surprise(Statistic):
    """Σ -log of the probability of the target, which is taken to be within 2e-16 of 0 and 1."""

    def terms(self, seen: Seen) -> list[Array]:
        xp, least = seen.xp, np.finfo(np.float64).eps
        p = xp.clip(seen.predicted, least, 1 - least)
        if self.loss.task == "classes":
            places = seen.true[..., None]
            values = -xp.log(xp.take_along_axis(p, places, axis=-1)[..., 0])
        else:
            y = seen.y.reshape(p.shape)
            values = -(y * xp.log(p) + (1 - y) * xp.log1p(-p))
        return [values.mean(axis=1, keepdims=True)]


class ByClass(Counts):
    """(3, C): the rows of each class that were found, all that were found, and all there are."""

    @property
    def size(self) -> int:
        return 3 * self.classes

    def fits(self) -> bool:
        return self.classes > 0

    def places(self, seen: Seen) -> list[Array]:
        found, true = seen.found.reshape(-1), seen.true.reshape(-1)
        hit = seen.xp.where(found == true, true, self.size)
        return [hit, self.classes + found, 2 * self.classes + true]


class Confusion(Counts):
    """(C, C): rows of true class i that were taken for class j."""

    @property
    def size(self) -> int:
        return self.classes**2

    def fits(self) -> bool:
        return 0 < self.classes <= FEW

    def places(self, seen: Seen) -> list[Array]:
        return [seen.true.reshape(-1) * self.classes + seen.found.reshape(-1)]


class Scores(Counts):
    """(2, BINS): how many rows of class 0, and of class 1, have a score in each bin.

    The score is the log odds s of class 1. Bins are equally wide in s / (4 + |s|): none is lost
    however large, and near s = 0 one is 0.0005 wide, at 1 % and at 99 % 0.002.
    """

    @property
    def size(self) -> int:
        return 2 * BINS

    def fits(self) -> bool:
        return self.classes == 2

    def places(self, seen: Seen) -> list[Array]:
        z = seen.z.reshape(len(seen.z), -1).astype(np.float64)
        s = z[:, 1] - z[:, 0] if self.loss.task == "classes" else z[:, 0]
        place = (s / (4 + seen.xp.abs(s)) + 1) * (BINS / 2)
        place = seen.xp.clip(seen.xp.nan_to_num(place, nan=0), 0, BINS - 1).astype(np.intp)
        return [seen.true.reshape(-1) * BINS + place]


def lower_edge(bins: Array) -> Array:
    """The probability of class 1 at the lower edge of a bin of `Scores`; 0 of the first."""
    share = np.asarray(bins) / (BINS / 2) - 1
    with np.errstate(divide="ignore", over="ignore"):
        return 1 / (1 + np.exp(-4 * share / (1 - np.abs(share))))
