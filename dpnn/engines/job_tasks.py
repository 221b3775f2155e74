"""What the tasks of the job engine do: `compute` a shard, `combine` nodes of the sum tree.

A Python worker serves many tasks, one after the other. It keeps a `Seat` for the fit: the network,
its buffers and the mapped shards, so that a step allocates nothing. It also puts what is imported
out of the garbage collector's sight, since Spark has every worker collect garbage after every task:
20 ms of two cores' time, more than all else that a small step costs in Python.

Executor; needs NumPy and threadpoolctl. Both tasks work on plain iterators.
"""

from __future__ import annotations

import gc
import pickle
import socket
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from dpnn.data.files import Handle, MissingShard, open_shard
from dpnn.data.shards import Shard
from dpnn.engines import blas, sums
from dpnn.engines.job_frames import Part
from dpnn.engines.protocol import Plan, ShardError
from dpnn.engines.worker import Worker

_SEATS = 2  # fits that a Python worker serves in turn without starting over
_BYTEARRAY = b"\x80\x05\x96"  # how a large bytearray's pickle begins; 8 bytes of length follow

_seats: dict[str, Seat] = {}


class Seat:
    """What a Python worker keeps for one fit."""

    def __init__(self, program: Any, threads: int) -> None:
        blas.limit(threads)  # whatever it inherited
        self.worker = Worker(program)
        self.weights = np.empty(self.worker.size, np.float32)
        self.gradient = np.empty(self.worker.size, np.float32)
        self.version = -1
        self._shards: dict[int, tuple[str, Shard]] = {}  # by number, with where each was opened
        frozen = self.weights.view()
        frozen.flags.writeable = False
        self.worker.bind(frozen, self.gradient)

    def shard(self, handle: Handle) -> Shard:
        path, shard = self._shards.get(handle.shard, ("", {}))
        if path != handle.path:
            shard = open_shard(handle)
            self._shards[handle.shard] = handle.path, shard
        return shard

    def take(self, weights: Any, version: int) -> None:
        """Bring the weights in, unless a task before this one did."""
        if version != self.version:
            self.version = -1
            receive(weights, self.weights)
            self.version = version


def compute(
    handles: Iterable[Handle],
    fit: str,
    program: Any,
    weights: Any,
    version: int,
    plan: Plan,
    threads: int,
) -> Iterator[Part]:
    """Executor. The leaf of each shard; its arrays are valid until the next one is asked for.

    fit             names the program
    program         broadcast: the pickled Program
    weights         broadcast: the flat vector's bytes
    version         counts the weights' broadcasts
    """
    for handle in handles:
        part, ready = Part((0, handle.shard)), 0.0
        try:
            start = perf_counter()
            seat = _seat(fit, program, threads)
            data = seat.shard(handle)
            seat.take(weights, version)
            ready = perf_counter()
            part.sums = seat.worker.run(plan, handle.shard, data)
            part.packs = seat.worker.program.packs
            took = (ready - start, perf_counter() - ready)
            part.reports = [(handle.shard, socket.gethostname(), *took)]
        except Exception as error:  # goes to the driver as a value, not four times as a failed task
            if not ready and isinstance(error, OSError | EOFError | MemoryError):
                raise  # a retry may mend it, perhaps elsewhere
            part.error = _describe(error, handle.shard)
        yield part


def combine(parts: Iterable[Part], num_shards: int) -> Iterator[Part]:
    """Executor. The nodes that these make up; the first error alone if there is one."""
    parts = list(parts)
    if failed := sorted((p for p in parts if p.error), key=lambda p: p.node):
        yield failed[0]
        return
    nodes = sums.merge({p.node: p.sums for p in parts if p.sums is not None}, num_shards)
    reports = [report for part in parts for report in part.reports]
    packs = any(part.packs for part in parts)
    for node, total in nodes.items():
        yield Part(node, total, reports, packs=packs)
        reports = []


def receive(broadcast: Any, out: np.ndarray) -> None:
    """Fill `out` with the bytes of a broadcast bytearray.

    Where the broadcast lies in a file (no encryption) it is read straight into `out`: its `value`
    would be a fresh copy a step, whose page faults cost more than reading it.
    """
    view = out.view(np.uint8).data
    path = getattr(broadcast, "_path", None)
    if path is not None:
        with Path(path).open("rb") as file:
            if file.read(3) == _BYTEARRAY and int.from_bytes(file.read(8), "little") == len(view):
                if file.readinto(view) != len(view):
                    raise OSError(f"{path} ends before its {len(view)} bytes of weights")
                return
    view[:] = broadcast.value


def _seat(fit: str, program: Any, threads: int) -> Seat:
    if fit not in _seats:
        if not _seats:  # before the first network: what is frozen may be kept for ever
            gc.collect()
            gc.freeze()
        while len(_seats) >= _SEATS:
            del _seats[next(iter(_seats))]
        _seats[fit] = Seat(pickle.loads(program.value), threads)  # noqa: S301
    return _seats[fit]


def _describe(error: BaseException, shard: int) -> tuple[str, str, str]:
    kind, line = type(error).__name__, str(error)
    if not isinstance(error, ShardError | MissingShard):
        line = f"shard {shard}: {kind}: {' '.join(line.split())}"
    if isinstance(error, ModuleNotFoundError):
        line += ": send it to the executors, with --py-files or sc.addPyFile or spark.addArtifacts"
    return kind, line, "".join(traceback.format_exception(error))
