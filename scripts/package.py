"""Write the zip of dpnn and threadpoolctl that executors import: `package.py OUT.zip`.

The same files give the same bytes: sorted names, one fixed date.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import threadpoolctl

import dpnn

EPOCH = (1980, 1, 1, 0, 0, 0)


def members() -> Iterator[tuple[str, Path]]:
    """(name in the zip, file) of everything that executors and drivers import or read."""
    package = Path(dpnn.__file__).parent
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield str(path.relative_to(package.parent)), path
    yield "threadpoolctl.py", Path(threadpoolctl.__file__)


def write(out: Path) -> int:
    """Write the zip and return the number of files in it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    count = 0
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in members():
            info = zipfile.ZipInfo(name, EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())
            count += 1
    part.replace(out)
    return count


if __name__ == "__main__":
    out = Path(sys.argv[1])
    count = write(out)
    print(f"{out}: {count} files, {out.stat().st_size / 1000:.0f} kB")
