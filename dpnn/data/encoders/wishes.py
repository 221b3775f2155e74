"""What a user says of raw columns: which are numbers, categories, dates, and how they are encoded.

    dpnn.columns(numeric=["age"], categorical=["job"], date=["joined"])
    dpnn.columns(numeric=[Number("age", scale="quantile")], categorical=[Category("zip", most=500)])

A wish is small, frozen and written into the model file as JSON.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Scale = Literal["robust", "standard", "quantile", "none"]
SCALES: tuple[Scale, ...] = ("robust", "standard", "quantile", "none")


@dataclass(frozen=True)
class Number:
    """A column of numbers or booleans, or an array or vector of numbers of one length.

    scale  "robust": minus the median, over the inter-quartile range. "standard": minus the mean,
           over the deviation. "quantile": the normal score of its rank. "none": as it is
    clip   smoothly, x / √(1 + (x/3)²): no value beyond ±3; after "robust" and "standard" alone
    bins   in which a value's place is told, for piecewise-linear embeddings
    """

    name: str
    scale: Scale = "robust"
    clip: bool = True
    bins: int = 128

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ValueError(f"column {self.name!r}: scale is one of {SCALES}, not {self.scale!r}")
        if self.bins < 1:
            raise ValueError(f"column {self.name!r}: bins is at least 1, not {self.bins!r}")


@dataclass(frozen=True)
class Category:
    """A column of categories: strings, whole numbers, booleans, dates.

    least    rows that a value must have in training; rarer ones count as unseen
    most     values that are kept, by their frequency
    buckets  hash the values into so many numbers instead of keeping any: for millions of them
    """

    name: str
    least: int = 1
    most: int = 10_000
    buckets: int | None = None

    def __post_init__(self) -> None:
        for field in ("least", "most", "buckets"):
            value = getattr(self, field)
            if value is not None and (isinstance(value, bool) or value < 1):
                raise ValueError(f"column {self.name!r}: {field} is at least 1, not {value!r}")


@dataclass(frozen=True)
class Date:
    """A date or a timestamp: the time since the training rows' median, in days or seconds, and its
    place in the week, the year and, of a timestamp, the day, each as sine and cosine.
    """

    name: str
    scale: Scale = "robust"
    clip: bool = True
    cyclic: bool = True
    bins: int = 128


Wish = Number | Category | Date


@dataclass(frozen=True)
class Wishes:
    """What is to become of each raw column, in the order in which the user named them.

    None named: all but label, weight and split, each by its type.
    """

    numbers: tuple[Number, ...] = ()
    categories: tuple[Category, ...] = ()
    dates: tuple[Date, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for name in self.names:
            if name in seen:
                raise ValueError(f"column {name!r} is named twice: give it one meaning")
            seen.add(name)

    @property
    def measured(self) -> list[Number | Date]:
        """The columns that become numbers, in order."""
        return [*self.numbers, *self.dates]

    @property
    def names(self) -> list[str]:
        """All columns, numbers first, then categories and dates."""
        wishes: list[Wish] = [*self.numbers, *self.categories, *self.dates]
        return [wish.name for wish in wishes]

    @property
    def array_names(self) -> list[str]:
        """Of the arrays that a shard has of them."""
        numbers = ["x.numbers"] if self.measured else []
        return numbers + (["x.categories"] if self.categories else [])

    def as_json(self) -> dict[str, Any]:
        return {
            field.name: [dataclasses.asdict(wish) for wish in getattr(self, field.name)]
            for field in dataclasses.fields(self)
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Wishes:
        kinds = {"numbers": Number, "categories": Category, "dates": Date}
        made = {key: tuple(kinds[key](**one) for one in content[key]) for key in kinds}
        return cls(**made)


def columns(
    numeric: Iterable[str | Number] = (),
    categorical: Iterable[str | Category] = (),
    date: Iterable[str | Date] = (),
    *,
    scale: Scale = "robust",
    clip: bool = True,
    least: int = 1,
    most: int = 10_000,
) -> Wishes:
    """Raw columns as inputs: `Dataset(df, inputs=dpnn.columns(numeric=[…], categorical=[…]))`.

    None named: all columns but label, weight and split, each by its type.
    A name stands for `Number(name, scale, clip)`, `Category(name, least, most)`, `Date(name)`.
    """
    return Wishes(
        tuple(Number(n, scale, clip) if isinstance(n, str) else n for n in _list(numeric)),
        tuple(Category(n, least, most) if isinstance(n, str) else n for n in _list(categorical)),
        tuple(Date(n, scale, clip) if isinstance(n, str) else n for n in _list(date)),
    )


def check_roles(inputs: Sequence[str], label: str | Sequence[str] | None) -> None:
    """ValueError where a raw column is the label as well."""
    labels = [label] if isinstance(label, str) else list(label or ())
    for name in labels:
        if name in inputs:
            raise ValueError(
                f"column {name!r} is the label and an input as well: leave it out of the inputs"
            )


def _list(names: Any) -> Sequence[Any]:
    return [names] if isinstance(names, str) else list(names)
