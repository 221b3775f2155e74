"""Specs: layers, losses, optimizers and schedules as plain dicts, for JSON and TOML.

{"type": "Dense", "units": 256}: the type is the class's name, the rest its fields; fields that
hold their default are left out. A type that is not in the registry is an error, so a file can
never name code. What a field may not be is said when the object is made.
"""

import dataclasses
import difflib
from typing import Any, dataclass_transform

from .fields import check

REGISTRY: dict[str, type] = {}
ELSEWHERE: dict[str, str] = {}  # names in other libraries -> ours


@dataclass_transform(frozen_default=True)
class Spec:
    """Base of all that a spec can name: a subclass becomes a frozen dataclass in the registry.

    ValueError for a field that is not of its declared type, or not within the limits declared
    there; TypeError for a class that bears the name of one of dpnn's.
    """

    def __init_subclass__(cls, init: bool = True, base: bool = False) -> None:
        dataclasses.dataclass(frozen=True, init=init)(cls)
        if base:  # Layer, Loss and Optimizer are no layer, loss, …
            return
        known = REGISTRY.get(cls.__name__, cls).__module__
        if known.startswith("dpnn.") and known != cls.__module__:
            raise TypeError(f"{cls.__name__} is {known}'s: give your class another name")
        REGISTRY[cls.__name__] = cls

    def __post_init__(self) -> None:
        for name in _fields(self):
            object.__setattr__(self, name, plain(getattr(self, name)))
        check(self)


def _fields(spec):
    """Field -> its default."""
    return {field.name: field.default for field in dataclasses.fields(spec)}


def plain(value: Any) -> Any:
    """NumPy's numbers and arrays, and lists, as Python's numbers and tuples."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(plain(item) for item in value)
    return value


def to_spec(obj: Any) -> Any:
    """`obj` as dicts, lists, strings and numbers."""
    if isinstance(obj, tuple | list):
        return [to_spec(item) for item in obj]
    if not isinstance(obj, Spec):
        return obj
    spec = {"type": type(obj).__name__}
    for name, default in _fields(obj).items():
        value = getattr(obj, name)
        if default is dataclasses.MISSING or value != default:
            spec[name] = to_spec(value)
    return spec


def from_spec(spec: Any) -> Any:
    """The object that `to_spec` described; ValueError names the nearest right name."""
    if isinstance(spec, list | tuple):
        return tuple(from_spec(item) for item in spec)
    if not isinstance(spec, dict):
        return spec
    name = str(spec.get("type"))
    cls: Any = find(name)
    fields = {key: from_spec(value) for key, value in spec.items() if key != "type"}
    known = _fields(cls)
    for key in fields:
        if key not in known:
            raise ValueError(f"{name} has no {key!r}{nearest(key, known)}")
    try:
        return cls(*fields.pop("layers", ()), **fields)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None


def find(name: str) -> type:
    """The class of that name."""
    if name not in REGISTRY:
        raise ValueError(f"unknown type {name!r}{nearest(name, REGISTRY)}")
    return REGISTRY[name]


def nearest(name: Any, known: Any) -> str:
    """ ", did you mean 'x'?" or ", one of …", to end an error with."""
    close = difflib.get_close_matches(str(name), list(known), 1)
    if ELSEWHERE.get(name) in known:
        close = [ELSEWHERE[name]]
    return f": did you mean {close[0]!r}?" if close else f": one of {', '.join(sorted(known))}"
