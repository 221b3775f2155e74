"""From what shards have found to encoders. Driver; needs NumPy alone."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from dpnn.data.checks import DataError
from dpnn.data.encoders.encoders import CategoryEncoder, Encoders, NumberEncoder
from dpnn.data.encoders.findings import Findings, missing
from dpnn.data.encoders.raw import MISSING
from dpnn.data.encoders.wishes import Category, Date, Number, Wishes
from dpnn.data.saying import SHOWN, some

_GRID = 1000  # quantiles of the scale "quantile", at most
_ALIKE, _FEW = 0.9, 100  # values to a known row, from so many rows on, that make a column an id


def learn(wishes: Wishes, found: Findings) -> Encoders:
    """Driver. The encoders of some training rows; DataError of columns that are missing in all."""
    _check_missing(wishes, found)
    numbers: list[NumberEncoder] = []
    stamps = [False] * len(wishes.numbers) + list(found.stamps)
    for wish, width, stamp in zip(wishes.measured, found.widths, stamps, strict=True):
        for k in range(width):
            name = wish.name if width == 1 else f"{wish.name}[{k}]"
            numbers.append(_number(wish, name, found, len(numbers), stamp))
    categories = [
        _category(wish, found.counts[k], found.texts[k]) for k, wish in enumerate(wishes.categories)
    ]
    label = found.label
    center, deviation = 0.0, 1.0
    if label is not None and label.count[0]:
        center = float(label.mean[0])
        deviation = float(np.sqrt(label.squares[0] / label.count[0])) or 1.0
    classes = _classes(found.classes)
    notes = _notes(wishes, found, numbers, classes)
    return Encoders(wishes, tuple(numbers), tuple(categories), classes, center, deviation, notes)


def _check_missing(wishes: Wishes, found: Findings) -> None:
    starts = np.cumsum([0, *found.widths])
    absent = [
        wish.name
        for wish, start, width in zip(wishes.measured, starts, found.widths, strict=False)
        if not found.moments.count[start : start + width].any()
    ]
    absent += [
        wish.name
        for wish, counts in zip(wishes.categories, found.counts, strict=True)
        if len(counts) == 1 and missing(counts)
    ]
    if absent:
        s, are, them = ("", "is", "it") if len(absent) == 1 else ("s", "are", "them")
        raise DataError(
            f"column{s} {some(absent)} {are} missing in all {found.rows:,} training rows: leave "
            f"{them} out, e.g. df.drop({', '.join(map(repr, absent[:SHOWN]))})"
        )


def _notes(
    wishes: Wishes, found: Findings, numbers: list[NumberEncoder], classes: tuple[str, ...]
) -> tuple[str, ...]:
    """What a user should know of the columns before the first epoch."""
    told = []
    if constant := [encoder.name for encoder in numbers if encoder.constant]:
        told.append(
            f"the same value in all {found.rows:,} training rows, so without influence: "
            f"{some(constant)}"
        )
    plain = numbers[: len(numbers) - len(wishes.dates)]  # each moment of a log is its own, no id
    if alike := [encoder.name for k, encoder in enumerate(plain) if _is_number_id(found, k)]:
        told.append(
            f"a whole number of its own in each training row: {some(alike)}; leave out what is "
            "an id"
        )
    for wish, counts in zip(wishes.categories, found.counts, strict=True):
        if _is_id(wish, counts):
            told.append(
                f"column {wish.name!r} has {_values(counts):,} values in {found.rows:,} training "
                "rows: taken for an id, so without influence. If it is a category, give it "
                f"buckets: Category({wish.name!r}, buckets=1000)"
            )
    if alone := [name for name in classes if name not in found.taught]:
        told.append(
            f"validation rows alone have the label{'s' * (len(alone) > 1)} {some(alone)}: the "
            "model cannot learn what training rows have not; drop such rows or train with some"
        )
    return tuple(told)


def _values(counts: dict[int, int]) -> int:
    return len(counts) - (MISSING in counts)


def _is_id(wish: Category, counts: dict[int, int]) -> bool:
    """Whether nearly each row has a value of its own, of which nothing can be learned."""
    if wish.buckets is not None or wish.least > 1:
        return False
    known = sum(counts.values()) - missing(counts)
    return known >= _FEW and _values(counts) >= _ALIKE * known


def _is_number_id(found: Findings, column: int) -> bool:
    """Whether each sampled row has a whole number of its own."""
    known = found.sample[:, column]
    known = known[~np.isnan(known)]
    whole = len(known) >= _FEW and bool((known == np.floor(known)).all())
    return whole and len(np.unique(known)) == len(known)


def _classes(names: set[str]) -> tuple[str, ...]:
    """In order: of numbers by their size, else of the alphabet."""
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return tuple(sorted(names))


def _number(
    wish: Number | Date, name: str, found: Findings, column: int, stamp: bool
) -> NumberEncoder:
    count, rows = int(found.moments.count[column]), found.rows
    if count == 0:
        raise DataError(f"column {name!r} is missing in all {rows:,} training rows: leave it out")
    known = found.sample[:, column]
    known = np.sort(known[~np.isnan(known)])
    if not len(known):  # so rarely there that the sample has none
        known = np.array([found.moments.low[column], found.moments.high[column]])
    center, scale = 0.0, 1.0
    grid: tuple[tuple[float, float], ...] = ()
    turns: tuple[str, ...] = ()
    seconds = 1.0
    if wish.scale == "robust":
        center, scale = _robust(known, found, column)
    elif wish.scale == "standard":
        center = float(found.moments.mean[column])
        deviation = float(np.sqrt(found.moments.squares[column] / count))
        scale = 1 / deviation if deviation > 1e-9 * abs(center) else 0.0
    elif wish.scale == "quantile":
        grid = _grid(known)
    constant = scale == 0 or len(grid) == 1
    if isinstance(wish, Date):
        seconds = 1.0 if stamp else 86400.0
        cyclic = wish.cyclic and not constant
        turns = ("week", "year", "day")[: 3 if stamp else 2] if cyclic else ()
    clip = wish.clip and wish.scale in ("robust", "standard")
    edges = _edges(known, wish.bins)
    return NumberEncoder(name, center, scale, clip, count < rows, grid, edges, turns, seconds)


def _edges(known: np.ndarray, bins: int) -> tuple[float, ...]:
    """Bins of as many rows each, where one value counts for a bin at most.

    Quantiles of a column that is 0 nearly always would all be 0, though its other values matter.
    """
    values, counts = np.unique(known, return_counts=True)
    if len(values) <= bins + 1:
        return tuple(values.tolist())
    share, before = len(known) / bins, np.inf
    while share < 0.999 * before:
        share, before = np.minimum(counts, share).sum() / bins, share
    ends = np.cumsum(np.minimum(counts, share))
    places = np.searchsorted(ends, share * np.arange(1, bins + 1) * (1 - 1e-9))
    chosen = np.unique(np.r_[0, np.minimum(places, len(values) - 1)])
    return tuple(values[chosen].tolist())


def _robust(known: np.ndarray, found: Findings, column: int) -> tuple[float, float]:
    """The median, and 1 / the inter-quartile range, or half the range; 0 of a constant."""
    low, center, high = np.quantile(known, [0.25, 0.5, 0.75])
    spread = high - low
    if spread == 0:
        spread = (found.moments.high[column] - found.moments.low[column]) / 2
    return float(center), float(1 / spread) if spread > 0 else 0.0


def _grid(known: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Raw values and their normal scores at up to `_GRID` quantiles, each value once."""
    count = int(np.clip(len(known) // 30, 10, _GRID))
    ranks = np.linspace(0, 1, count)
    values = np.quantile(known, ranks)
    normal = NormalDist()
    scores = np.array([normal.inv_cdf(min(max(r, 1e-7), 1 - 1e-7)) for r in ranks])
    points = []
    for value in np.unique(values):  # ties: the middle of their scores
        tied = scores[values == value]
        points.append((float(value), float((tied[0] + tied[-1]) / 2)))
    return tuple(points)


def _category(wish: Category, counts: dict[int, int], texts: dict[int, str]) -> CategoryEncoder:
    if wish.buckets is not None:
        return CategoryEncoder(wish.name, (), wish.buckets)
    if _is_id(wish, counts):
        return CategoryEncoder(wish.name)
    often = [
        (-times, texts[value])
        for value, times in counts.items()
        if value != MISSING and times >= wish.least
    ]
    return CategoryEncoder(wish.name, tuple(text for _, text in sorted(often)[: wish.most]))
