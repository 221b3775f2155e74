"""What the fields of a spec may be: of the kind that they are declared as, and within the limits
that their names say. Told in one line when the object is made, so that no file and no typo gets
further than that.
"""

import dataclasses
from functools import cache
from math import inf
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from dpnn.nn.core.spec import Spec

# What fields of these names take: counts from 1 on, shares from 0 up to 1, rates from 0 on.
_COUNTS = {"dilation", "every", "filters", "groups", "heads", "kernel_size", "memory", "pool_size"}
_COUNTS |= {"evaluations", "shape", "steps", "strides", "units", "words"}
_SHARES = ("beta1", "beta2", "label_smoothing", "momentum", "q", "rho", "warmup")
_RATES = ("class_weights", "delta", "epsilon", "learning_rate", "patience", "rate", "weight_decay")
_LIMITS: dict[str, tuple[float, float]] = dict.fromkeys(_COUNTS, (1, inf))
_LIMITS |= dict.fromkeys(_SHARES, (0, 1)) | dict.fromkeys(_RATES, (0, inf))
_WORDS = {bool: "true or false", int: "whole numbers", float: "numbers", str: "a text"}


def check(spec: Any) -> None:
    """ValueError for a field that cannot be what its declaration and its name say."""
    for name, kind in _kinds(spec.__class__).items():
        value = getattr(spec, name)
        limits = _LIMITS.get(name)
        if _fits(value, kind) and (limits is None or _within(value, *limits)):
            continue
        wanted = _wanted(kind, limits is not None)
        if limits is not None:
            wanted += f" from {limits[0]}{' up to 1' * (limits[1] == 1)}"
        raise ValueError(f"{type(spec).__name__}.{name} takes {wanted}, not {value!r}")


def is_number(value: Any) -> bool:
    """Python counts True and False among them."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@cache
def _kinds(cls: Any) -> dict[str, Any]:
    """Field -> its declared type; Any where it cannot be told."""
    try:
        hints = get_type_hints(cls)
    except (NameError, TypeError):  # a user's class that names what is known to type checkers alone
        hints = {}
    return {field.name: hints.get(field.name, Any) for field in dataclasses.fields(cls)}


def _fits(value: Any, kind: Any) -> bool:
    """Whether it can be told that a value is of a kind, or is not known that it isn't."""
    origin, kinds = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in kinds)
    if origin is Literal:
        return value in kinds
    if origin in (tuple, list):  # `plain` has made tuples of lists
        if not isinstance(value, tuple):
            return False
        if origin is list or kinds[1:] == (...,):
            kinds = kinds[:1] * len(value)
        return not get_args(kind) or (len(kinds) == len(value) and all(map(_fits, value, kinds)))
    if kind in (int, float):
        return is_number(value) and (kind is float or isinstance(value, int))
    ours = kind in (bool, str, NoneType) or (isinstance(kind, type) and issubclass(kind, Spec))
    return not ours or isinstance(value, kind)


def _within(value: Any, low: float, high: float) -> bool:
    """Whether the number is, or all in a tuple are, from low to below high; else there is none."""
    values = value if isinstance(value, tuple) else (value,)
    return all(low <= n < high for n in values if is_number(n))


def _wanted(kind: Any, numbers: bool) -> str:
    """The kind in words; of a field with limits, what they hold for."""
    kinds = [k for k in get_args(kind) or (kind,) if k is not NoneType]
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, kinds))
    if get_origin(kind) in (tuple, list):
        return f"a list of {_wanted(kinds[0], numbers)}"
    if numbers:
        kinds = kinds[:1]
    words = [_WORDS.get(k, f"a {getattr(k, '__name__', k)}") for k in kinds if not get_origin(k)]
    return " or ".join(words) or _wanted(kinds[0], numbers)
