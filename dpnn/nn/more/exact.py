"""Sums without rounding errors: the same bits in whatever order, and however cut, the terms come.

A term is taken apart into whole multiples of a few units, powers of two STEP bits apart. Multiples
of one unit have so few bits that float64 adds them exactly; what they come to together is rounded
once, at the end. Demmel & Nguyen 2015; the last step is Shewchuk's, `math.fsum`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import frexp, fsum, inf

import numpy as np

from dpnn.nn.kernels import blocks

STEP = 24  # bits between units: sums of up to 2**(53 - STEP) terms, and as many merges, are exact
LEAST = -1074  # the exponent of the smallest float64, and of the smallest unit
HUGE = 2.0**960  # from here on a term is taken for infinite

Part = tuple[float, np.ndarray]  # a unit, and whole multiples of it
Packed = list[list[float]]  # each: the place of the first sum, then multiples of one unit


def parts(terms: np.ndarray) -> Iterator[Part]:
    """Terms (float64, of any shape) as a sum of arrays; those that are not finite come as unit inf.

    It takes 3 to 5 of them, more where terms differ by more than 10^10.
    """
    rest, top = terms, np.abs(terms).max(initial=0)
    if not top < HUGE:
        finite = np.abs(terms) < HUGE
        yield inf, np.where(finite, 0, terms * inf)
        rest = np.where(finite, terms, 0)
        top = np.abs(rest).max()
    while top > 0:
        steps = (frexp(top)[1] - 1 - LEAST) // STEP
        unit = 2.0 ** (LEAST + STEP * steps)  # at most `top`, and above 2**-STEP of it
        above = 1.5 * 2.0**52 * unit  # beside it nothing smaller than a unit has a place
        part = rest + above
        part -= above
        yield unit, part
        rest = rest - part
        top = np.abs(rest).max()


class ExactSums:
    """`size` sums of float64 terms."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._sums: dict[tuple[int, float], np.ndarray] = {}  # (place of the first, unit) -> sums

    @np.errstate(invalid="ignore")  # what is not finite shows in the sums
    def add(self, place: int, terms: np.ndarray) -> None:
        """The columns of terms (N, k), float64, to k sums, the first of them at `place`."""
        for some in blocks(np, len(terms), 4 * terms.shape[1]):
            for unit, part in parts(terms[some]):
                self._add(place, unit, np.ones(len(part)) @ part)  # a product is the quickest sum

    def count(self, place: int, size: int, which: np.ndarray, weights: Iterable[Part]) -> None:
        """Weights (N,), in parts, each to that of `size` sums that `which` (N,) says.

        Where it says `size`, to none.
        """
        for unit, part in weights:
            self._add(place, unit, np.bincount(which, part, size + 1)[:size])

    def _add(self, place: int, unit: float, sums: np.ndarray) -> None:
        known = self._sums.setdefault((place, unit), sums)
        if known is not sums:
            known += sums

    def pack(self) -> Packed:
        """As plain numbers, for the way to another process."""
        return [[place, *sums.tolist()] for (place, _), sums in self._sums.items()]

    def merge(self, packed: Packed) -> None:
        """Add what other sums are: in whatever order, and grouped in whatever way."""
        for place, *terms in packed:
            self.add(int(place), np.array([terms]))

    def rounded(self) -> np.ndarray:
        """(size,) the float64 next to each sum."""
        numbers = np.zeros(self.size)
        found: dict[tuple[int, bool], list[list[float]]] = {}
        for (place, unit), sums in self._sums.items():
            found.setdefault((place, unit == inf), []).append(sums.tolist())
        for (place, _), each in found.items():
            numbers[place : place + len(each[0])] += list(map(fsum, zip(*each, strict=True)))
        return numbers
