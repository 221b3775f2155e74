"""Driver. From an engine's name to an engine."""

from __future__ import annotations

from typing import Any

from dpnn.data.dataset import Dataset
from dpnn.engines.protocol import Engine
from dpnn.engines.worker import Program

_UNIX_SOCKETS = "spark.python.unix.domain.socket.enabled"


def require(name: str, frame: Any) -> None:
    """ConnectUnsupported where the session of a DataFrame cannot run an engine."""
    from dpnn.spark.session import NO_RDDS, ConnectUnsupported, is_connect

    if name in ("job", "resident") and is_connect(frame):
        raise ConnectUnsupported(NO_RDDS)


def open_engine(name: str, program: Program, dataset: Dataset) -> tuple[Engine, str, str]:
    """(engine, its name, why in one line); "auto" picks by where the shards are."""
    reason, asked = "", name
    if name == "auto":
        if dataset.in_process:
            name = "local"
        else:
            from dpnn.engines.auto import choose

            name, reason = choose(dataset.spark())
    if name == "local":
        from dpnn.engines.local import LocalEngine

        return LocalEngine(program, dataset.local().shards), name, reason
    shards = dataset.spark()
    if name == "frames":
        from dpnn.engines.frames import FramesEngine

        return FramesEngine(program, shards), name, reason
    if name == "resident":
        from dpnn.engines.auto import encryption
        from dpnn.engines.resident.engine import ResidentEngine

        if key := encryption(shards):
            reason = f"{key} is on, but this engine's vectors travel between hosts in clear: "
            reason += "engine='job' leaves them to Spark"
        try:
            return ResidentEngine(program, shards), name, reason
        except OSError as error:
            if asked != "auto":
                raise
            reason = f"the driver can't listen on its own address: {error}"
    from dpnn.engines.job import JobEngine

    if not shards.session.is_on(_UNIX_SOCKETS):
        reason = f"{reason}; " if reason else ""
        reason += f"{_UNIX_SOCKETS} is off: true would save 30 to 40 ms a step"
    return JobEngine(program, shards), "job", reason
