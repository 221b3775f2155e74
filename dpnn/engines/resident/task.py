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
    partition: Iterable[tuple[list[Handle], list[Handle]]],
    ticket: Ticket,
    program: Program,
    threads: int,
    holdings: list[tuple[list[int], list[int]]],
) -> Iterator[Any]:
    """Serve the fit with the shards of one partition: (training, validation) handles.

    The whole input is read first; a task that left some of it would cost its Python worker. It
    must hold what the driver says: an input that broke off (an executor with shuffle files was
    lost) looks ended here, and only this task's failure lets Spark see to it.
    """
    context = TaskContext.get()
    assert context is not None
    place = context.partitionId()
    attempt = context.taskAttemptId()  # grows over retries of the task and of its stage
    pairs = list(partition)
    train = {h.shard: open_shard(h) for handles, _ in pairs for h in handles}
    validation = {h.shard: open_shard(h) for _, handles in pairs for h in handles}
    wanted = holdings[place]
    if (sorted(train), sorted(validation)) != (sorted(wanted[0]), sorted(wanted[1])):
        raise RuntimeError(
            f"task {place} read shards {sorted(train)} and {sorted(validation)} in place of "
            f"{wanted[0]} and {wanted[1]}: its input broke off"
        )
    before = blas.limit(threads)
    try:
        Member(ticket, place, attempt, Worker(program), train, validation).serve()
    finally:
        blas.restore(before)
    return iter(())
