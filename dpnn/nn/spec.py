"""Specs: layers, losses and optimizers as plain dicts, for JSON and TOML.

{"type": "Dense", "units": 256}: the type is the class's name, the rest its fields; fields that
hold their default are left out. A type that is not in the registry is an error, so a file can
never name code.
"""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

REGISTRY: dict[str, type] = {}


def register(*classes: type) -> None:
    """Let `classes`, frozen dataclasses, be named in specs."""
    REGISTRY.update({cls.__name__: cls for cls in classes})


def to_spec(obj: Any) -> Any:
    """`obj` as dicts, lists, strings and numbers."""
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        spec = {"type": type(obj).__name__}
        for f in dataclasses.fields(obj):
            value = getattr(obj, f.name)
            if f.default is dataclasses.MISSING or value != f.default:
                spec[f.name] = to_spec(value)
        return spec
    if isinstance(obj, tuple | list):
        return [to_spec(item) for item in obj]
    if isinstance(obj, dict):
        return {key: to_spec(item) for key, item in obj.items()}
    return obj


def from_spec(spec: Any) -> Any:
    """The object that `to_spec` described; ValueError names the nearest right name."""
    if isinstance(spec, list):
        return tuple(from_spec(item) for item in spec)
    if not isinstance(spec, dict) or "type" not in spec:
        return spec
    fields = dict(spec)
    name = fields.pop("type")
    cls = REGISTRY.get(name) if isinstance(name, str) else None
    if cls is None:
        raise ValueError(f"unknown type {name!r}{nearest(name, REGISTRY)}")
    known = [f.name for f in dataclasses.fields(cls)]
    for key in fields:
        if key not in known:
            raise ValueError(f"{name} has no {key!r}{nearest(key, known)}")
    made = {key: from_spec(value) for key, value in fields.items()}
    try:
        return cls(*made.pop("layers"), **made) if "layers" in made else cls(**made)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None


def nearest(name: Any, known: Any) -> str:
    """ ", did you mean 'x'?" or ", one of …", to end an error with."""
    close = difflib.get_close_matches(str(name), list(known), 1)
    return f": did you mean {close[0]!r}?" if close else f": one of {', '.join(sorted(known))}"
