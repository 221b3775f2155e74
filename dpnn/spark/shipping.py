"""Executors need dpnn: the driver ships the package that it runs itself, once per application.

Driver; needs pyspark's context alone.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import dpnn

if TYPE_CHECKING:
    from pyspark import SparkContext

_shipped: set[str] = set()  # ids of the applications that have it


def ship(sc: SparkContext) -> None:
    """Make `import dpnn` work on every executor, now and on those that come later."""
    root = Path(dpnn.__file__).parent
    if sc.applicationId in _shipped or not root.is_dir():  # not a directory: it came by --py-files
        return
    data = archive(root)
    name = f"dpnn-{hashlib.sha256(data).hexdigest()[:12]}.zip"
    path = Path(sc._temp_dir or tempfile.mkdtemp(prefix="dpnn-")) / name
    path.write_bytes(data)
    before = list(sys.path)
    sc.addPyFile(str(path))
    sys.path[:] = before  # the driver has its own dpnn, and the zip goes when the context stops
    _shipped.add(sc.applicationId)


def archive(root: Path, data: bool = False) -> bytes:
    """A zip of a package's modules and threadpoolctl: the same bytes for the same content.

    data: with all its other files, for a driver that imports it from there.
    """
    found = sorted(root.rglob("*" if data else "*.py"))
    files = {
        f"{root.name}/{path.relative_to(root).as_posix()}": path
        for path in found
        if path.is_file() and "__pycache__" not in path.parts
    }
    more = importlib.util.find_spec("threadpoolctl")
    if more and more.origin and Path(more.origin).is_file():
        files["threadpoolctl.py"] = Path(more.origin)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, path in files.items():
            info = zipfile.ZipInfo(name)  # of one fixed date
            info.compress_type = zipfile.ZIP_DEFLATED
            made.writestr(info, path.read_bytes())
    return buffer.getvalue()
