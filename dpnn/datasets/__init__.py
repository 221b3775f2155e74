"""The small data sets that lie inside the package. Driver.

Digits: 8x8 images of handwritten digits, pixels 0 to 16, UCI, CC BY 4.0 (see ATTRIBUTION.md).
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple


class Paths(NamedTuple):
    """Parquet directories of columns `pixels` (array<smallint>, 64) and `label` (int)."""

    train: str
    test: str


def digits() -> Paths:
    """1,437 training rows and 360 test rows."""
    root = _on_disk("digits")
    return Paths(str(root / "train"), str(root / "test"))


@cache
def _on_disk(name: str) -> Path:
    """The data set's directory; unpacked for this process where the package is in a zip."""
    source = files(__name__) / name
    if isinstance(source, Path):
        return source
    scratch = Path(tempfile.mkdtemp(prefix="dpnn-data-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    _unpack(source, scratch)
    return scratch


def _unpack(source: Traversable, to: Path) -> None:
    to.mkdir(exist_ok=True)
    for item in source.iterdir():
        if item.is_dir():
            _unpack(item, to / item.name)
        else:
            (to / item.name).write_bytes(item.read_bytes())
