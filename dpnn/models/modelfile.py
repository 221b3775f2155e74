"""The model file: one safetensors file of named tensors, with all else as JSON in its metadata.

Tensors are the network's parameters by name (`Dense[1].W`), float32. Metadata, all strings:
format "dpnn-model", format_version, dpnn_version, checksum (crc32 of all other metadata and of the
weights), and as JSON: model, loss, input_shape, columns (inputs, label, weight), source (what it
was trained on) and classes (the modules of classes that are not dpnn's). Specs name only registered
classes, so reading a file runs no code of its author's. Version 1 had a crc32 of the weights alone
and no classes. Driver.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

import dpnn
from dpnn import nn
from dpnn.data.encoders.encoders import Encoders
from dpnn.data.roles import Columns
from dpnn.nn.core.spec import REGISTRY
from dpnn.nn.more import normalization
from dpnn.spark import files

FORMAT, VERSION = "dpnn-model", "2"
# What a description that nobody wrote on purpose may lead to.
_BROKEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


class Content(NamedTuple):
    """What a model file holds."""

    network: nn.Network
    loss: nn.Loss
    columns: Columns | None
    source: dict[str, Any]


def check_savable(model: nn.Layer) -> None:
    """ValueError where the model would not come back from its file."""
    if nn.from_spec(_json(nn.to_spec(model))) != model:
        raise ValueError(
            f"the model cannot be saved: {model!r} is not what its spec gives back; "
            "a layer's fields must be numbers, strings, tuples or other layers"
        )


def write(path: str | os.PathLike[str], content: Content) -> None:
    """Make or replace the file, atomically."""
    network = content.network
    check_savable(network.layer)
    model, loss = nn.to_spec(network.layer), nn.to_spec(content.loss)
    homes = {name: REGISTRY[name].__module__ for name in _types([model, loss])}
    homes = {name: home for name, home in homes.items() if home.partition(".")[0] != "dpnn"}
    metadata = {
        "format": FORMAT,
        "format_version": VERSION,
        "dpnn_version": dpnn.__version__,
        "model": json.dumps(model),
        "loss": json.dumps(loss),
        "input_shape": json.dumps(network.input_shape),
        "columns": json.dumps(_described(content.columns)),
        "source": json.dumps(content.source),
        "classes": json.dumps(homes),
    }
    metadata["checksum"] = _checksum(metadata, network.weights)
    files.write(path, save(dict(network.layout.named(network.weights)), metadata))


def read(path: str | os.PathLike[str]) -> Content:
    """ValueError in one line where the file is foreign, cut off, altered or of a newer format."""
    with files.opened(path) as here:
        try:
            with safe_open(here, framework="np") as tensors:
                return _content(tensors)
        except SafetensorError as error:
            raise ValueError(
                f"{path} is not a model file, or is cut off ({_line(error)}): "
                "give a file that model.save or jobs/train.py wrote"
            ) from None
        except _BadModelError as error:
            raise ValueError(f"{path} {error}") from None
        except OSError as error:
            raise OSError(f"cannot read {path}: {error}") from error


class _BadModelError(Exception):
    pass


def _content(tensors: Any) -> Content:
    metadata = tensors.metadata() or {}
    if metadata.get("format") != FORMAT:
        raise _BadModelError("is a safetensors file, but no dpnn model")
    version = metadata.get("format_version", "")
    if version not in ("1", VERSION):
        raise _BadModelError(
            f"has model format {version[:40]!r}, this is dpnn {dpnn.__version__} which reads up to "
            f"'{VERSION}': load it with dpnn {metadata.get('dpnn_version', '(unknown)')[:40]!r}"
        )
    try:
        _check_classes(metadata)
        layer = nn.from_spec(json.loads(metadata["model"]))
        loss = nn.from_spec(json.loads(metadata["loss"]))
        shape = _shape(json.loads(metadata["input_shape"]))
        columns, source = json.loads(metadata["columns"]), json.loads(metadata["source"])
        columns = None if columns is None else _columns(columns)
        if not isinstance(layer, nn.Layer) or not isinstance(loss, nn.Loss):
            raise TypeError("its model or loss is something else")
        if not isinstance(source, dict):
            raise TypeError("its source is no table")
        network = nn.Network(layer, shape)
    except _BROKEN as error:
        raise _BadModelError(f"has a broken description: {_line(error)}") from None
    if version == "1":
        found = _tensors(tensors, normalization.shapes_of_variance(network))
        flat = b"".join(array.tobytes() for array in found.values())
        sound = metadata.get("crc32") == f"{zlib.crc32(flat):08x}"
        _fill(network, normalization.of_variance(network, found))
    else:
        found = _tensors(tensors, {entry.name: entry.shape for entry in network.layout.entries})
        _fill(network, found)
        sound = metadata.pop("checksum", None) == _checksum(metadata, network.weights)
    if not sound:
        raise _BadModelError("does not match its checksum: it was altered")
    return Content(network, loss, columns, source)


def _described(columns: Columns | None) -> dict[str, Any] | None:
    """Raw columns by their encoders, which the file carries."""
    if columns is None:
        return None
    if not isinstance(columns.inputs, Encoders):
        return asdict(columns)
    inputs = {"encoders": columns.inputs.as_json()}
    return {"inputs": inputs, "label": columns.label, "weight": columns.weight}


def _columns(described: dict[str, Any]) -> Columns:
    inputs = described["inputs"]
    if isinstance(inputs, dict) and "encoders" in inputs and isinstance(inputs["encoders"], dict):
        described = {**described, "inputs": Encoders.from_json(inputs["encoders"])}
    return Columns(**described)


def _tensors(tensors: Any, expected: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Those of a file, in the order of `expected`, which must be what it has."""
    found = {}
    for name in tensors.keys():  # noqa: SIM118  (it is no dict)
        part = tensors.get_slice(name)
        if part.get_dtype() != "F32":
            raise _BadModelError(f"has {name} as {part.get_dtype()}, a model has F32")
        found[name] = tuple(part.get_shape())
    if found != expected:
        name = next(n for n in [*expected, *found] if found.get(n) != expected.get(n))
        raise _BadModelError(
            f"has {name} of shape {found.get(name)}, its model has {expected.get(name)}"
        )
    return {name: tensors.get_tensor(name) for name in expected}


def _fill(network: nn.Network, found: dict[str, np.ndarray]) -> None:
    for name, view in network.parameters.items():
        view[...] = found[name]


def _check_classes(metadata: dict[str, str]) -> None:
    """A file that names a class which nobody has imported is not broken."""
    homes = json.loads(metadata.get("classes", "{}"))
    for name in _types([json.loads(metadata["model"]), json.loads(metadata["loss"])]):
        if name in REGISTRY:
            continue
        home = homes.get(name, "__main__")
        module = "the module that defines it" if home == "__main__" else home
        option = "MODULE" if home == "__main__" else home
        raise _BadModelError(
            f"needs the class {_short(name)}, which is not imported: import {_short(module)} first "
            f"(jobs: --import {_short(option)})"
        )


def _types(spec: Any) -> Iterator[str]:
    """All types that a spec names."""
    waiting = [spec]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield from [str(part["type"])] if "type" in part else []
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _checksum(metadata: dict[str, str], weights: np.ndarray) -> str:
    """Of all that a file says."""
    described = json.dumps(metadata, sort_keys=True).encode()
    return f"{zlib.crc32(weights.data, zlib.crc32(described)):08x}"


def _short(name: object) -> str:
    """A name out of a file that anybody may have written, for a line."""
    text = str(name)
    return text if text.isprintable() and len(text) <= 80 else repr(text)[:80]


def _shape(shape: Any) -> Any:
    if isinstance(shape, dict):
        return {name: _shape(rows) for name, rows in shape.items()}
    return tuple(int(n) for n in shape)


def _json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:500]
