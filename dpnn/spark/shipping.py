"""Executors need dpnn: the driver ships the package that it runs itself, once per application.

Driver.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dpnn
from dpnn.spark.errors import is_refused

if TYPE_CHECKING:
    from pyspark import SparkContext

NO_ARTIFACTS = (
    "this platform takes no modules from a session (addArtifacts): dpnn, of this version, must be "
    "installed where its tasks run"
)

_shipped: set[str] = set()  # ids of the applications and Connect sessions that have it


def ship(sc: SparkContext) -> None:
    """Make `import dpnn` work on every executor, now and on those that come later."""
    if made := _zip(sc.applicationId, sc._temp_dir):
        before = list(sys.path)
        sc.addPyFile(str(made))
        sys.path[:] = before  # the driver has its own dpnn, and the zip goes with the context
        _shipped.add(sc.applicationId)


def upload(spark: Any) -> None:
    """The same over Spark Connect, whose sessions have their own modules.

    Where a platform takes none, its own dpnn has to do: said once.
    """
    from pyspark.errors import PySparkException

    with tempfile.TemporaryDirectory(prefix="dpnn-") as folder:
        if made := _zip(spark.session_id, folder):
            try:
                spark.addArtifacts(str(made), pyfile=True)
            except PySparkException as error:
                if not is_refused(error):
                    raise
                sys.stderr.write(f"dpnn: {NO_ARTIFACTS}\n")
            _shipped.add(spark.session_id)


def _zip(owner: str, folder: str | None) -> Path | None:
    """A zip of the package for someone who has none yet."""
    root = Path(dpnn.__file__).parent
    if owner in _shipped or not root.is_dir():  # not a directory: it came by --py-files
        return None
    data = archive(root)
    name = f"dpnn-{hashlib.sha256(data).hexdigest()[:12]}.zip"
    path = Path(folder or tempfile.mkdtemp(prefix="dpnn-")) / name
    path.write_bytes(data)
    return path


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
