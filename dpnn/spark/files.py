"""Whole files on this machine or on any Hadoop file system that Spark reaches.

A path with no scheme, or with file:, lies on this machine and needs no Spark. Any other (hdfs:,
s3a:, …) goes through the running Spark session. Files are published whole: a reader sees the old
content or the new, never a part. Driver.
"""

from __future__ import annotations

import glob
import os
import re
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dpnn.spark.hadoop import STALE
from dpnn.spark.remote import reach

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # two letters or more: C:\ is a drive


def local(path: str | os.PathLike[str]) -> Path | None:
    """The path on this machine, or None where it lies on another file system."""
    text = os.fspath(path)
    if not text:
        raise ValueError("a path is empty: name a file")
    if not _SCHEME.match(text):
        return Path(text).expanduser()
    scheme, _, rest = text.partition(":")
    if scheme.lower() != "file":
        return None
    if rest.startswith("//"):
        host, _, below = rest[2:].partition("/")
        if host not in ("", "localhost"):
            raise ValueError(f"{text} names a host, {host!r}: write file:///{host}/{below}")
        rest = f"/{below}"
    return Path(rest)  # as Hadoop reads it: % and # stand for themselves


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether there is a file or directory."""
    here = local(path)
    return here.exists() if here else reach(os.fspath(path)).exists()


def names(folder: str | os.PathLike[str]) -> list[str]:
    """The names of what lies in a folder, sorted; none where there is no folder."""
    here = local(folder)
    if here is None:
        return reach(os.fspath(folder)).names()
    return sorted(p.name for p in here.iterdir()) if here.is_dir() else []


def delete(path: str | os.PathLike[str]) -> None:
    """Remove a file, where there is one."""
    here = local(path)
    if here is None:
        reach(os.fspath(path)).delete()
    else:
        here.unlink(missing_ok=True)


def read(path: str | os.PathLike[str]) -> bytes:
    """The content of a file; errors as `opened`."""
    with opened(path) as here:
        return here.read_bytes()


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Make or replace the file at `path`, atomically; missing directories are made.

    A link is followed; what is no file (a pipe, a device) is written to. OSError names the path.
    """
    _check_names_file(path)
    here = local(path)
    if here is None:
        reach(os.fspath(path)).write(data)
        return
    if here.is_dir():
        raise IsADirectoryError(f"{path} is a directory: name a file in it")
    try:
        if here.exists() and not here.is_file():
            here.write_bytes(data)
        else:
            _replace(Path(os.path.realpath(here)), data)
    except OSError as error:
        raise type(error)(
            f"cannot write {path}, {len(data):,} bytes: {error.strerror or error}"
        ) from error


def _replace(here: Path, data: bytes) -> None:
    here.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=_prefix(here.name), dir=here.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(part).chmod(0o666 & ~_umask())
        Path(part).replace(here)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def sweep(path: str | os.PathLike[str]) -> None:
    """Remove the parts of a file that writers left who were killed; a young one may be at work."""
    here = local(path)
    if here is None:
        reach(os.fspath(path)).sweep()
        return
    here = Path(os.path.realpath(here))
    for part in here.parent.glob(f"{glob.escape(_prefix(here.name))}*"):
        if part.is_file() and time.time() - part.stat().st_mtime > STALE:
            part.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str]) -> None:
    """OSError where `write` could not: to be told before hours of work, not after."""
    _check_names_file(path)
    here = local(path)
    if here is None:
        reach(os.fspath(path)).exists()
        return
    if here.is_dir():
        raise IsADirectoryError(f"{path} is a directory: name a file in it")
    if here.exists() and not here.is_file():
        return  # a pipe: not even opening it would go unnoticed
    above = next(folder for folder in Path(os.path.realpath(here)).parents if folder.exists())
    try:
        handle, part = tempfile.mkstemp(prefix=".dpnn-", dir=above)
    except OSError:
        raise PermissionError(
            f"cannot write {path}: {above} is not a directory to write in"
        ) from None
    os.close(handle)
    Path(part).unlink()


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A local path with the content of `path`: the file itself, or a copy while in `with`.

    FileNotFoundError, IsADirectoryError name what is wrong with the path.
    """
    here = local(path)
    if here is None:
        with tempfile.TemporaryDirectory(prefix="dpnn-") as scratch:
            yield reach(os.fspath(path)).fetch(Path(scratch) / "file")
        return
    if not here.exists():
        raise FileNotFoundError(f"no such file: {path}")
    if here.is_dir():
        raise IsADirectoryError(f"{path} is a directory: name a file in it")
    yield here


def _check_names_file(path: str | os.PathLike[str]) -> None:
    """A path with a slash at its end would make a file of the folder's name."""
    text = os.fspath(path)
    if text.endswith(("/", os.sep)):
        raise IsADirectoryError(f"{text} names a folder: name a file in it, e.g. {text}model")


def _prefix(name: str) -> str:
    """How the names of a file's parts begin: a long one, of 255 bytes at most, by its checksum."""
    raw = os.fsencode(name)
    return f".{name}." if len(raw) <= 200 else f".{zlib.crc32(raw):08x}."


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
