"""Executor. What a Spark task of the resident job does: open its shards, join, stay to the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pyspark import TaskContext

from dpnn.data.files import Handle, open_shard
from dpnn.engines import blas
from dpnn.engines.resident.member import Member, Ticket
from dpnn.engines.worker import Program, Worker


def stay(
    partition: Iterable[list[Handle]],
    ticket: Ticket,
    program: Program,
    threads: int,
    holdings: list[list[int]],
) -> Iterator[Any]:
    """Serve the fit with the shards of one partition.

    The whole input is read first; a task that left some of it would cost its Python worker. It
    must hold what the driver says: an input that broke off (an executor with shuffle files was
    lost) looks ended here, and only this task's failure lets Spark see to it.
    """
    context = TaskContext.get()
    assert context is not None
    place = context.partitionId()
    attempt = context.taskAttemptId()  # grows over retries of the task and of its stage
    shards = {handle.shard: open_shard(handle) for handles in partition for handle in handles}
    if sorted(shards) != sorted(holdings[place]):
        raise RuntimeError(
            f"task {place} read shards {sorted(shards)} in place of {holdings[place]}: its input "
            "broke off"
        )
    before = blas.limit(threads)
    try:
        Member(ticket, place, attempt, Worker(program), shards).serve()
    finally:
        blas.restore(before)
    return iter(())
