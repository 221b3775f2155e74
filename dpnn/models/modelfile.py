"""The model file: one safetensors file of named tensors, with all else as JSON in its metadata.

Tensors are the network's parameters by name (`Dense[1].W`), float32. Metadata, all strings:
format "dpnn-model", format_version, dpnn_version, crc32 of the weights, and as JSON: model, loss,
input_shape, columns (inputs, label, weight) and source (what it was trained on), whose own checksum
is description_crc32 (files of dpnn 0.1.0 have none). Specs name only registered classes, so reading
a file runs no code of its author's. Driver.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

import dpnn
from dpnn import nn
from dpnn.data.roles import Columns
from dpnn.spark import files

FORMAT, VERSION = "dpnn-model", 1
DESCRIPTION = ("model", "loss", "input_shape", "columns", "source")
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
    metadata = {
        "format": FORMAT,
        "format_version": str(VERSION),
        "dpnn_version": dpnn.__version__,
        "crc32": f"{zlib.crc32(network.weights.tobytes()):08x}",
        "model": json.dumps(nn.to_spec(network.layer)),
        "loss": json.dumps(nn.to_spec(content.loss)),
        "input_shape": json.dumps(network.input_shape),
        "columns": json.dumps(content.columns and asdict(content.columns)),
        "source": json.dumps(content.source),
    }
    metadata["description_crc32"] = _checksum(metadata)
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
    if version != str(VERSION):
        raise _BadModelError(
            f"has model format {version[:40]!r}, this is dpnn {dpnn.__version__} which reads "
            f"'{VERSION}': load it with dpnn {metadata.get('dpnn_version', '(unknown)')[:40]!r}"
        )
    try:
        layer = nn.from_spec(json.loads(metadata["model"]))
        loss = nn.from_spec(json.loads(metadata["loss"]))
        shape = _shape(json.loads(metadata["input_shape"]))
        columns, source = json.loads(metadata["columns"]), json.loads(metadata["source"])
        columns = None if columns is None else Columns(**columns)
        layout = nn.Network(layer, shape).layout
        if not isinstance(source, dict):
            raise TypeError("its source is no table")
    except _BROKEN as error:
        unknown = "unknown type" in str(error)
        cure = "; import the module that defines it first (--import MODULE)" if unknown else ""
        raise _BadModelError(f"has a broken description: {_line(error)}{cure}") from None
    if not isinstance(layer, nn.Layer) or not isinstance(loss, nn.Loss):
        raise _BadModelError("has a broken description: its model or loss is something else")
    names = list(tensors.keys())
    for name in names:
        if (kind := tensors.get_slice(name).get_dtype()) != "F32":
            raise _BadModelError(f"has {name} as {kind}, a model has F32")
    found = {name: tuple(tensors.get_slice(name).get_shape()) for name in names}
    expected = {entry.name: entry.shape for entry in layout.entries}
    if found != expected:
        name = next(n for n in [*expected, *found] if found.get(n) != expected.get(n))
        raise _BadModelError(
            f"has {name} of shape {found.get(name)}, its model has {expected.get(name)}"
        )
    weights = np.empty(layout.size, np.float32)
    for name, view in layout.named(weights).items():
        view[...] = tensors.get_tensor(name)
    if f"{zlib.crc32(weights.tobytes()):08x}" != metadata.get("crc32"):
        raise _BadModelError("has weights that do not match their checksum: it was altered")
    if metadata.get("description_crc32") not in (None, _checksum(metadata)):
        raise _BadModelError("has a description that does not match its checksum: it was altered")
    return Content(nn.Network(layer, shape, weights), loss, columns, source)


def _checksum(metadata: dict[str, str]) -> str:
    return f"{zlib.crc32(json.dumps([metadata[name] for name in DESCRIPTION]).encode()):08x}"


def _shape(shape: Any) -> Any:
    if isinstance(shape, dict):
        return {name: _shape(rows) for name, rows in shape.items()}
    return tuple(int(n) for n in shape)


def _json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:500]
