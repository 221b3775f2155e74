"""Raw columns as plain arrays: what a shard keeps of them until the encoders are learned.

numbers     (n, K) float64: numbers, days (dates) or seconds (timestamps) since 1970; NaN: missing
categories  (n, C) int64: a 64-bit hash of each value's text; 0: missing

The text of a value is the same whatever type it came in: 7, 7.0 and "7" are one category.
Executor and driver; needs NumPy and pyarrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpnn.data.checks import DataError, Problem
from dpnn.data.encoders.wishes import Wishes

MISSING = 0  # the hash that stands for null and NaN


@dataclass(frozen=True)
class Raw:
    """Some rows. `texts` has, for each category column, the text of each hash among them."""

    numbers: np.ndarray
    categories: np.ndarray
    texts: tuple[dict[int, str], ...]
    widths: tuple[int, ...]  # numbers of each number column; dates have one
    stamps: tuple[bool, ...]  # of each date, whether it is a timestamp: seconds, not days

    @property
    def rows(self) -> int:
        return len(self.numbers)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """By a shard's flat names, as far as there are columns."""
        made = {"x.numbers": self.numbers, "x.categories": self.categories}
        return {name: array for name, array in made.items() if array.shape[1]}


def read(table: Mapping[str, Any], wishes: Wishes) -> tuple[Raw, list[Problem]]:
    """The raw arrays of Arrow columns by name, and what is wrong with them.

    DataError where a column's type has no such meaning.
    """
    problems: list[Problem] = []
    numbers: list[np.ndarray] = []
    for wish in wishes.measured:
        values = _numbers(_whole(table[wish.name]), wish.name)
        if infinite := int(np.isinf(values).sum()):
            problems.append(Problem("infinite", f"column {wish.name!r}", infinite))
        numbers.append(values)
    rows = len(table[wishes.names[0]])
    categories = np.zeros((rows, len(wishes.categories)), np.int64)
    texts = []
    for k, category in enumerate(wishes.categories):
        categories[:, k], found = hashed(table[category.name], category.name)
        texts.append(found)
    stamps = tuple(pa.types.is_timestamp(table[date.name].type) for date in wishes.dates)
    wide = np.concatenate([np.empty((rows, 0)), *numbers], axis=1)
    return Raw(wide, categories, tuple(texts), tuple(v.shape[1] for v in numbers), stamps), problems


def hash_text(text: str) -> int:
    """A signed 64-bit number, never MISSING."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True) or 1


def text_of(value: Any) -> str:
    """A category's name: whole numbers without a point, booleans as true and false."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal) and value == value.__trunc__():
        return str(int(value))
    return str(value)


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array without chunks, dictionaries unpacked for numbers' sake."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _numbers(array: pa.Array, name: str) -> np.ndarray:
    """(n, k) float64, NaN for null."""
    kind = array.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _lists(array, name)
    if pa.types.is_date(kind):
        array = array.cast(pa.date32()).cast(pa.int32())
    elif pa.types.is_timestamp(kind):
        micros = array.cast(pa.timestamp("us", kind.tz)).cast(pa.int64())
        array = pc.divide(micros.cast(pa.float64(), safe=False), 1e6)
    elif not (_is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
        raise DataError(
            f"column {name!r} is {kind}, not numbers: name it under categorical, or cast it where "
            "it holds numbers (cast('double'))"
        )
    if pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    values = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values.reshape(-1, 1)


def _lists(array: pa.Array, name: str) -> np.ndarray:
    if array.null_count:
        raise DataError(
            f"column {name!r} has {array.null_count:,} null arrays: drop such rows, or fill them"
        )
    lengths = pc.list_value_length(array).to_numpy(zero_copy_only=False)
    if len(lengths) and (lengths != lengths[0]).any():
        raise DataError(
            f"column {name!r} has rows of {lengths.min()} and of {lengths.max()} values: "
            "all rows must be equally long; pad, cut or filter them"
        )
    width = int(lengths[0]) if len(lengths) else 0
    return _numbers(pc.list_flatten(array), name).reshape(len(array), width)


def hashed(column: pa.Array | pa.ChunkedArray, name: str) -> tuple[np.ndarray, dict[int, str]]:
    """(n,) hashes of a column of categories, and the text of each.

    Texts that come as codes stay so; some of their names may be of no row.
    """
    if isinstance(column, pa.DictionaryArray) and pa.types.is_string(column.type.value_type):
        return _named(column)
    array = _whole(column)
    kind = array.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise DataError(f"column {name!r} is {kind}: categories are strings, numbers or dates")
    if pa.types.is_floating(kind):
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, kind), array)
    return _named(array.dictionary_encode())


def _named(coded: pa.DictionaryArray) -> tuple[np.ndarray, dict[int, str]]:
    names = [text_of(value) for value in coded.dictionary.to_pylist()]
    hashes = np.array([hash_text(text) for text in names], np.int64)
    places = coded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
    return np.append(hashes, MISSING)[places], dict(zip(hashes.tolist(), names, strict=True))


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
