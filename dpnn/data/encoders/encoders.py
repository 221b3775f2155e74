"""Encoders: what was learned of raw columns, and how a row becomes the network's inputs.

numbers     (n, W) float32: each number column scaled, 0 where missing, and behind it a flag where
            training rows were missing; dates likewise, with sine and cosine of week, year and day
places      (n, F) float32: each number column's place among its edges, from 0 to the last edge, for
            piecewise-linear embeddings; 0 where missing
categories  (n, C) int32: 0 missing, 1 unseen, 2, 3, … the values kept, the most frequent first

Learned once, from the summed `Findings` of the training rows; plain JSON in the model file. The
same function encodes at ingest, in `transform` and in `predict`. Driver and executor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from dpnn.data.checks import DataError
from dpnn.data.encoders.raw import MISSING, Raw, hash_text
from dpnn.data.encoders.wishes import Wishes

UNSEEN, FIRST = 1, 2  # codes; 0 is missing
_TURNS = {"week": 7 * 86400.0, "year": 365.2425 * 86400.0, "day": 86400.0}  # seconds


@dataclass(frozen=True)
class NumberEncoder:
    """y = (x - center) · scale, clipped; or by a grid, the normal score of x's rank.

    flag   training rows were missing: a column of its own says where
    grid   (raw value, score) pairs of the scale "quantile", ascending
    edges  of bins that training rows fill evenly, as far as single values let them
    turns  of a date: what of it comes round, "week", "year", "day"; seconds of its raw unit
    """

    name: str
    center: float
    scale: float
    clip: bool
    flag: bool
    grid: tuple[tuple[float, float], ...] = ()
    edges: tuple[float, ...] = ()
    turns: tuple[str, ...] = ()
    seconds: float = 1.0

    @property
    def constant(self) -> bool:
        """Whether training rows had one value alone: it says nothing, whatever comes later."""
        return self.scale == 0 or len(self.grid) == 1

    @property
    def names(self) -> list[str]:
        turned = [f"{self.name} {turn} {part}" for turn in self.turns for part in ("sin", "cos")]
        return [self.name, *turned, *([f"{self.name} missing"] if self.flag else [])]

    def scaled(self, x: np.ndarray) -> np.ndarray:
        """(n,) float64 of raw values; NaN stays."""
        if self.grid:
            values, scores = np.array(self.grid).T
            return np.where(np.isnan(x), np.nan, np.interp(x, values, scores))
        y = (x - self.center) * self.scale
        return y / np.sqrt(1 + (y / 3) ** 2) if self.clip else y

    def place(self, x: np.ndarray) -> np.ndarray:
        """(n,) where x lies among the edges; beyond them, at their ends."""
        places = np.interp(x, np.array(self.edges), np.arange(len(self.edges)))
        return np.where(np.isnan(x), 0, places)

    def encode(self, x: np.ndarray) -> list[np.ndarray]:
        """The columns that `names` names."""
        absent = np.isnan(x)
        columns = [np.where(absent, 0, self.scaled(x))]
        for turn in self.turns:
            angle = 2 * np.pi * np.mod(np.where(absent, 0, x) * self.seconds, _TURNS[turn])
            angle /= _TURNS[turn]
            columns += [np.where(absent, 0, np.sin(angle)), np.where(absent, 0, np.cos(angle))]
        return [*columns, absent] if self.flag else columns


@dataclass(frozen=True)
class CategoryEncoder:
    """Codes of a column's values: its place in `values` + 2, or a hash where there are buckets."""

    name: str
    values: tuple[str, ...] = ()
    buckets: int | None = None

    @property
    def size(self) -> int:
        """How many codes there are, missing and unseen included."""
        return FIRST + (len(self.values) if self.buckets is None else self.buckets)

    @cached_property
    def _table(self) -> tuple[np.ndarray, np.ndarray]:
        hashes = np.array([hash_text(value) for value in self.values], np.int64)
        order = np.argsort(hashes)
        return hashes[order], (order + FIRST).astype(np.int32)

    def encode(self, hashes: np.ndarray) -> np.ndarray:
        """(n,) int32."""
        if self.buckets is not None:
            codes = (hashes.view(np.uint64) % np.uint64(self.buckets)).astype(np.int32) + FIRST
        elif self.values:
            known, numbers = self._table
            places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
            codes = np.where(known[places] == hashes, numbers[places], UNSEEN)
        else:
            codes = np.full(len(hashes), UNSEEN)
        return np.where(hashes == MISSING, 0, codes).astype(np.int32)


@dataclass(frozen=True)
class Encoders:
    """All of a model's, in the order of its raw columns.

    classes           names of a label that is text, by their numbers
    center, deviation of a label of numbers, over training rows
    notes             what is to be said of the columns, once; not kept in the model file
    """

    wishes: Wishes
    numbers: tuple[NumberEncoder, ...] = ()
    categories: tuple[CategoryEncoder, ...] = ()
    classes: tuple[str, ...] = ()
    center: float = 0.0
    deviation: float = 1.0
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def names(self) -> list[str]:
        """The raw columns, as their wishes name them."""
        return self.wishes.names

    @property
    def number_names(self) -> list[str]:
        """What each column of the input `numbers` is."""
        return [name for encoder in self.numbers for name in encoder.names]

    @property
    def sizes(self) -> dict[str, int]:
        """Category column -> how many codes it has."""
        return {encoder.name: encoder.size for encoder in self.categories}

    def encode(self, raw: Raw) -> dict[str, np.ndarray]:
        """`numbers`, `places` and `categories`, as far as there are such columns."""
        if raw.numbers.shape[1] != len(self.numbers):
            raise DataError(
                f"the rows have {raw.numbers.shape[1]} numbers in their number columns, training "
                f"rows had {len(self.numbers)}: give arrays of the same lengths"
            )
        made: dict[str, np.ndarray] = {}
        if self.numbers:
            columns = [
                column
                for encoder, x in zip(self.numbers, raw.numbers.T, strict=True)
                for column in encoder.encode(x)
            ]
            made["numbers"] = np.stack(columns, axis=1).astype(np.float32)
            places = [e.place(x) for e, x in zip(self.numbers, raw.numbers.T, strict=True)]
            made["places"] = np.stack(places, axis=1).astype(np.float32)
        if self.categories:
            codes = [
                encoder.encode(hashes)
                for encoder, hashes in zip(self.categories, raw.categories.T, strict=True)
            ]
            made["categories"] = np.stack(codes, axis=1)
        return made

    def arrays(self, raw: Raw) -> dict[str, np.ndarray]:
        """`encode`, by a shard's flat names."""
        return {f"x.{name}": array for name, array in self.encode(raw).items()}

    def encode_label(self, hashes: np.ndarray) -> np.ndarray:
        """(n,) int32 class numbers of hashed names; DataError for a name that training had not."""
        names = CategoryEncoder("label", self.classes).encode(hashes) - FIRST
        if (names < 0).any():
            raise DataError(
                f"the label has {int((names < 0).sum()):,} values that are none of the model's "
                f"classes: {', '.join(self.classes[:20])}"
            )
        return names

    def as_json(self) -> dict[str, Any]:
        return {
            "wishes": self.wishes.as_json(),
            "numbers": [vars(encoder) for encoder in self.numbers],
            "categories": [
                {"name": e.name, "values": e.values, "buckets": e.buckets} for e in self.categories
            ],
            "classes": self.classes,
            "label": [self.center, self.deviation],
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Encoders:
        numbers = [
            NumberEncoder(
                **{
                    **one,
                    "grid": tuple(map(tuple, one["grid"])),
                    "edges": tuple(one["edges"]),
                    "turns": tuple(one["turns"]),
                }
            )
            for one in content["numbers"]
        ]
        categories = [
            CategoryEncoder(**{**one, "values": tuple(one["values"])})
            for one in content["categories"]
        ]
        wishes, classes = Wishes.from_json(content["wishes"]), tuple(content["classes"])
        return cls(wishes, tuple(numbers), tuple(categories), classes, *content["label"])
