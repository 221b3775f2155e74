"""In which order an epoch visits the rows of a shard: a keyed permutation, of rows or of runs.

The rows of a shard have an order of their own, by content hash: as good as shuffled, whatever the
table was sorted by. A split of few bytes is permuted row by row. A large one, of which memory may
have only a part, is cut into runs of neighbours; an epoch takes the runs in a keyed order, some at
a time, and mixes the rows of these. So a disk reads long stretches, and each row still comes once
an epoch; neighbours come close to each other in every epoch, which is what is traded.

Which of the two depends on the rows and the layout alone, never on the machine.

Executor and driver; needs NumPy alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LARGE = 1 << 30  # bytes of a split from which on it is visited in runs
RUN = 1 << 20  # bytes of a run: a disk reads such pieces about as fast as all in a row
MIXED = 64  # runs whose rows are mixed


class Visit(NamedTuple):
    """Of a shard in an epoch: what the order of its rows depends on."""

    seed: int
    epoch: int
    shard: int

    def generator(self, *more: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(np.random.SeedSequence((*self, *more))))


def visits(visit: Visit, rows: int, row_bytes: int) -> ByRow | ByRun:
    """Driver and executor. Of so many rows of so many bytes."""
    return ByRow(visit, rows) if rows * row_bytes < LARGE else ByRun(visit, rows, row_bytes)


class ByRow:
    """All rows in an order of the epoch's own."""

    def __init__(self, visit: Visit, rows: int) -> None:
        self._places = visit.generator().permutation(rows)

    def places(self, start: int, stop: int) -> np.ndarray:
        """The rows of these visits, by their places in the order of content."""
        return self._places[start:stop]

    def ahead(self, start: int, stop: int) -> list[tuple[int, int]]:
        """The spans of places that a disk had better read now: none that is known."""
        return []


class ByRun:
    """Run after run in an order of the epoch's own, the rows of some at a time mixed."""

    def __init__(self, visit: Visit, rows: int, row_bytes: int) -> None:
        self._visit, self._rows = visit, rows
        self._size = max(RUN // max(row_bytes, 1), 1)  # rows of each run, but of the last
        self._runs = visit.generator().permutation(-(-rows // self._size))
        lengths = np.minimum((self._runs + 1) * self._size, rows) - self._runs * self._size
        groups = np.add.reduceat(lengths, np.arange(0, len(lengths), MIXED))
        self._bounds = np.r_[0, np.cumsum(groups)]  # of the groups of runs that are mixed
        self._group = -1
        self._mixed = np.empty(0, np.int64)
        self._told = 0  # groups that `ahead` has told of

    def places(self, start: int, stop: int) -> np.ndarray:
        """The rows of these visits, by their places in the order of content."""
        found = [np.empty(0, np.int64)]
        for number in self._groups(start, stop):
            first, last = self._bounds[number : number + 2]
            found.append(self._of(number)[max(start - first, 0) : min(stop, last) - first])
        return np.concatenate(found)

    def ahead(self, start: int, stop: int) -> list[tuple[int, int]]:
        """The spans of places that a disk had better read now: a group beyond these visits."""
        groups = self._groups(start, stop)
        if not groups or groups[-1] + 1 < self._told:
            return []
        begin, self._told = max(groups[0], self._told), groups[-1] + 2
        runs = self._runs[begin * MIXED : self._told * MIXED].tolist()
        return [(run * self._size, min((run + 1) * self._size, self._rows)) for run in runs]

    def _groups(self, start: int, stop: int) -> range:
        if start == stop:
            return range(0)
        first, last = np.searchsorted(self._bounds, (start, stop - 1), "right") - 1
        return range(first, last + 1)

    def _of(self, number: int) -> np.ndarray:
        if number != self._group:
            runs = self._runs[number * MIXED : (number + 1) * MIXED]
            places = (runs[:, None] * self._size + np.arange(self._size)).reshape(-1)
            places = places[places < self._rows]
            self._mixed = self._visit.generator(number).permutation(places)
            self._group = number
        return self._mixed
