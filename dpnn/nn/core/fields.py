"""What the fields of a spec may be: of their declared type, and within the limits declared there.

units: Count   a whole number from 1        share: Share   a number from 0 to below 1
rate: Rate     a number from 0              size: Pair     a count, or one down and one right

Told in one line when the object is made, so that no file and no typo gets further than that.
"""

import dataclasses
from functools import cache
from math import inf
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints


class Limit(NamedTuple):
    """Numbers from `low` to below `high`: Annotated[float, Limit(0, 1)]."""

    low: float
    high: float = inf


Count = Annotated[int, Limit(1)]
Share = Annotated[float, Limit(0, 1)]
Rate = Annotated[float, Limit(0)]
Pair = Count | tuple[Count, Count]

_WORDS = {bool: "true or false", int: "whole numbers", float: "numbers", str: "a text"}


def check(spec: Any) -> None:
    """ValueError for a field that cannot be what its declaration says."""
    for name, kind in _kinds(spec.__class__).items():
        value = getattr(spec, name)
        if not _fits(value, kind):
            field = f"{type(spec).__name__}.{name}"
            raise ValueError(f"{field} takes {_in_words(kind)}, not {value!r}")


@cache
def _kinds(cls):
    """Field -> its declared type; Any where it cannot be told."""
    try:
        hints = get_type_hints(cls, include_extras=True)
    except (NameError, TypeError):  # a user's class that names what is known to type checkers alone
        hints = {}
    return {field.name: hints.get(field.name, Any) for field in dataclasses.fields(cls)}


def _fits(value, kind):
    """Whether it can be told that a value is of a kind, or is not known that it isn't."""
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin is Annotated:
        within = (low <= value < high for low, high in _limits(inner))
        return _fits(value, inner[0]) and all(within)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin in (tuple, list):
        return isinstance(value, tuple) and _each_fits(value, origin, inner)
    if kind in (int, float):
        return is_number(value) and (kind is float or isinstance(value, int))
    known = kind in (bool, str, NoneType) or dataclasses.is_dataclass(kind)
    return not known or isinstance(value, kind)


def _limits(annotated):
    return [limit for limit in annotated if isinstance(limit, Limit)]


def _each_fits(values, origin, inner):
    """tuple[int, str] takes a pair, tuple[int, ...] and list[int] any number, tuple anything."""
    if origin is list or inner[1:] == (...,):
        inner = inner[:1] * len(values)
    return not inner or (len(inner) == len(values) and all(map(_fits, values, inner)))


def is_number(value: Any) -> bool:
    """Python counts True and False among them."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _in_words(kind):
    """What a field of this kind takes."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        words = _in_words(inner[0])
        for low, high in _limits(inner):
            words += f" from {low}" if high == inf else f" from {low} up to {high}"
        return words
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin in (Union, UnionType):
        return " or ".join(_in_words(one) for one in inner if one is not NoneType)
    if origin in (tuple, list):
        count = "" if origin is list or inner[1:] == (...,) else f"{len(inner)} "
        return f"a list of {count}{_in_words(inner[0])}"
    return _WORDS.get(kind, f"a {getattr(kind, '__name__', kind)}")
