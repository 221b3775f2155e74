"""The peak memory of this process, of Spark's JVM beneath it and of the JVM's Python workers."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

EVERY = 0.1  # seconds
KINDS = ("RssAnon", "RssShmem")


class Peaks:
    """Within `with`: MB of memory that is a process's own, looked at all the time.

    What it has mapped of files is the page cache's, and is not counted.

    mb  "driver": this Python; "JVM"; "worker": the largest of Spark's Python workers
    """

    def __init__(self) -> None:
        self.mb = {"driver": 0.0, "JVM": 0.0, "worker": 0.0}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        me = os.getpid()
        while not self._done.wait(EVERY):
            jvms = _beneath(me)
            daemons = [pid for jvm in jvms for pid in _beneath(jvm)]
            workers = [pid for daemon in daemons for pid in _beneath(daemon)]
            for name, pids in (("driver", [me]), ("JVM", jvms), ("worker", workers)):
                self.mb[name] = max(self.mb[name], *map(_own, pids), 0.0)


def _beneath(pid: int) -> list[int]:
    """The processes that one has started."""
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread may have ended, or all
            found += map(int, children.read_text().split())
    return found


def _own(pid: int) -> float:
    """MB."""
    with suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        return sum(int(fields.get(key, "0").split()[0]) for key in KINDS) / 1024
    return 0.0
