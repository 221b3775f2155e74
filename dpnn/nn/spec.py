"""Specs: layers, losses, optimizers and schedules as plain dicts, for JSON and TOML.

{"type": "Dense", "units": 256}: the type is the class's name, the rest its fields; fields that
hold their default are left out. A type that is not in the registry is an error, so a file can
never name code.
"""

import dataclasses
import difflib
from importlib import import_module
from typing import Any, dataclass_transform

REGISTRY: dict[str, type] = {}


@dataclass_transform(frozen_default=True)
class Spec:
    """Base of all that a spec can name: a subclass becomes a frozen dataclass in the registry."""

    def __init_subclass__(cls, init: bool = True) -> None:
        dataclasses.dataclass(frozen=True, init=init)(cls)
        if Spec not in cls.__bases__:  # Layer, Loss, Optimizer, Schedule are no layer, loss, …
            REGISTRY[cls.__name__] = cls


def to_spec(obj: Any) -> Any:
    """`obj` as dicts, lists, strings and numbers."""
    if isinstance(obj, tuple | list):
        return [to_spec(item) for item in obj]
    if not isinstance(obj, Spec):
        return obj
    spec = {"type": type(obj).__name__}
    for field in dataclasses.fields(obj):  # type: ignore[arg-type]
        value = getattr(obj, field.name)
        if field.default is dataclasses.MISSING or value != field.default:
            spec[field.name] = to_spec(value)
    return spec


def from_spec(spec: Any) -> Any:
    """The object that `to_spec` described; ValueError names the nearest right name."""
    if isinstance(spec, list | tuple):
        return tuple(from_spec(item) for item in spec)
    if not isinstance(spec, dict):
        return spec
    fields = {key: from_spec(value) for key, value in spec.items() if key != "type"}
    name = str(spec.get("type"))
    cls: Any = find(name)
    known = [field.name for field in dataclasses.fields(cls)]
    for key in fields:
        if key not in known:
            raise ValueError(f"{name} has no {key!r}{nearest(key, known)}")
    try:
        return cls(*fields.pop("layers", ()), **fields)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None


def find(name: str) -> type:
    """The class of that name, from `dpnn.extras` where it is none of `dpnn.nn`'s."""
    if name not in REGISTRY:
        import_module("dpnn.extras")
    if name not in REGISTRY:
        raise ValueError(f"unknown type {name!r}{nearest(name, REGISTRY)}")
    return REGISTRY[name]


def nearest(name: Any, known: Any) -> str:
    """ ", did you mean 'x'?" or ", one of …", to end an error with."""
    close = difflib.get_close_matches(str(name), list(known), 1)
    return f": did you mean {close[0]!r}?" if close else f": one of {', '.join(sorted(known))}"
