"""Executor. A task's side of the fit: join, then answer the driver's frames until it says stop.

The task keeps its shards and computes on memory that it shares with the tasks of its host. The
first task of a host whose memory the driver doesn't share leads: it takes the weights from above,
hands them on, adds up what comes from below and sends it up.
"""

from __future__ import annotations

import json
import os
import socket
import time
import traceback
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from dpnn.data.shards import Shard
from dpnn.engines.protocol import Kind, Plan, ShardError, Sums
from dpnn.engines.resident import links
from dpnn.engines.resident.arena import Arena, host_key
from dpnn.engines.resident.door import Door, dial
from dpnn.engines.resident.secret import CONTROL, LINK, Hello
from dpnn.engines.resident.tree import schedule
from dpnn.engines.resident.wire import Channel, Frame, Op, cores, limit

SPIN = 0.002  # seconds that a task looks out for the next frame


class Ticket(NamedTuple):
    """What a task must know to find its driver. Shipped in the task's closure; holds the secret.

    share   may use memory shared with other processes of the host
    local   connect from this address (several "hosts" on one machine, in tests)
    """

    address: tuple[str, int]
    secret: bytes
    run: int
    shards: int  # of all tasks
    share: bool = True
    patience: float = 300.0
    local: str | None = None


class Computes(Protocol):
    """What a member needs of a `Worker`."""

    size: int

    def tail_size(self, kind: Kind) -> int: ...

    def bind(self, weights: np.ndarray, gradient: np.ndarray) -> None: ...

    def run(self, plan: Plan, shard: int, data: Shard) -> Sums: ...


class Member:
    """One task in one job: `shards` are those that it holds, by number."""

    def __init__(
        self,
        ticket: Ticket,
        place: int,
        attempt: int,
        worker: Computes,
        shards: Mapping[int, Shard],
    ) -> None:
        self._ticket = ticket
        self._place = place
        self._worker = worker
        self._schedule = schedule(list(shards), ticket.shards)
        self._shards = shards
        introduction = {
            "key": host_key() if ticket.share else "",
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "shards": sorted(shards),
            "size": worker.size,
            "tails": [worker.tail_size(kind) for kind in Kind],
        }
        self._links = _Links(ticket)
        self._prepared: list[Arena] = []  # as a leader: lives as long as the generation
        self._door: Door | None = None
        self._bound = -1
        self._spin = 0.0
        sock, key = dial(
            ticket.address,
            ticket.secret,
            Hello(CONTROL, ticket.run, 0, place, attempt),
            json.dumps(introduction).encode(),
            source=ticket.local,
        )
        self._channel = Channel(sock, key, side=1)

    def serve(self) -> None:
        """Until the driver says stop. ConnectionError when it goes without a word."""
        answers = {
            Op.PREPARE: self._prepare,
            Op.JOIN: self._join,
            Op.STEP: self._step,
            Op.REDUCE: self._reduce,
            Op.GATHER: self._gather,
        }
        try:
            while True:
                frame = self._channel.receive(self._spin)
                if frame.op == Op.STOP:
                    return
                try:
                    reply = answers[Op(frame.op)](frame)
                except OSError as error:
                    self._links.close()
                    body = str(error).encode()
                    reply = Frame(Op.BROKEN, frame.generation, body=body)
                self._channel.send(reply)
        finally:
            self._links.close()
            if self._door is not None:
                self._door.close()
            self._channel.close()

    def _prepare(self, frame: Frame) -> Frame:
        """Leave the last generation. As a leader: make this host's memory, and a listener if there
        are hosts below.
        """
        self._links.close()
        wanted = json.loads(frame.body)
        if not wanted["leads"]:
            return Frame(Op.READY, frame.generation)
        size = self._worker.size
        weights, slots = Arena.create(1, size), Arena.create(wanted["rows"], size)
        self._prepared = [weights, slots]
        port = 0
        if wanted["door"]:
            if self._door is None:
                self._door = Door(self._channel.sock.getsockname()[0], self._ticket.secret)
            port = self._door.address[1]
        host = self._channel.sock.getsockname()[0]
        body = {"weights": ticket(weights), "slots": ticket(slots), "door": [host, port]}
        return Frame(Op.READY, frame.generation, body=json.dumps(body).encode())

    def _join(self, frame: Frame) -> Frame:
        self._links.close()
        seat = self._seat = json.loads(frame.body)
        self._spin = SPIN if seat["tasks"] <= cores() else 0.0
        size = self._worker.size
        try:
            path, mark = seat["weights"]
            arena = Arena.attach(path, bytes.fromhex(mark), 1, size, seat["leads"])
            self._weights = arena.rows[0]
            path, mark = seat["slots"]
            arena = Arena.attach(path, bytes.fromhex(mark), seat["rows"], size, True)
            self._slots = arena.rows
        except OSError as error:
            return Frame(Op.UNSHARED, frame.generation, body=str(error).encode())
        self._frozen = self._weights.view()
        self._frozen.flags.writeable = False
        if not len(self._slots):
            self._slots = np.empty((1, size), np.float32)  # no shards here
        self._bound = -1
        if seat["leads"]:
            travel = links.Travel(*seat["travel"])
            self._news = travel.news
            self._links.open(seat, self._place, frame.generation, self._door)
            own = [self._slots[row] for row in seat["own"]]
            children = [
                (sock, count)
                for sock, (_, count) in zip(self._links.children, seat["children"], strict=True)
            ]
            self._adder = links.Gather(size, own, children, seat["gather"], packs=travel.packs)
        return Frame(Op.READY, frame.generation)

    def _step(self, frame: Frame) -> Frame:
        if self._seat["leads"]:
            links.relay(self._links.up(), self._weights, self._links.children, self._news)
            if self._seat["others"]:
                self._channel.send(Frame(Op.WEIGHTS, frame.generation))
        plan = Plan(Kind(frame.kind), *frame.numbers)
        shard = -1
        try:
            runs = self._schedule
            tails = np.zeros((runs.rows, self._worker.tail_size(plan.kind)))
            seconds = []
            for shard, row, adds in runs.runs:
                start = time.perf_counter()
                sums = self._run(plan, shard, row, self._shards[shard])
                tails[row] = sums.tail
                if sums.flat is not None:
                    links.add(self._slots[self._seat["first"] :], adds, 0, self._worker.size)
                for dst, src in adds:
                    tails[dst] += tails[src]
                seconds.append(time.perf_counter() - start)
        except Exception as error:  # whatever it is, the driver must hear of it and others go on
            line, trace = str(error), ""
            if not isinstance(error, ShardError):
                line = f"shard {shard}: {type(error).__name__}: {' '.join(line.split())}"
                trace = traceback.format_exc()
            said = json.dumps([shard, line[:20_000], trace[-20_000:]]).encode()
            return Frame(Op.FAILED, frame.generation, body=said)
        body = tails[list(runs.nodes.values())].tobytes() + np.array(seconds).tobytes()
        return Frame(Op.DONE, frame.generation, body=body)

    def _run(self, plan: Plan, shard: int, row: int, data: Shard) -> Sums:
        slot = self._seat["first"] + row if plan.kind.gradient else max(self._bound, 0)
        if slot != self._bound:
            self._worker.bind(self._frozen, self._slots[slot])
            self._bound = slot
        return self._worker.run(plan, shard, data)

    def _reduce(self, frame: Frame) -> Frame:
        low, high = self._seat["slice"]
        links.add(self._slots, self._seat["adds"], low, high)
        return Frame(Op.DONE, frame.generation)

    def _gather(self, frame: Frame) -> Frame:
        if not self._seat["spread"]:
            links.add(self._slots, self._seat["adds"], 0, self._worker.size)
        sent = self._adder.run(self._links.up(), self._seat["up"])
        return Frame(Op.DONE, frame.generation, (sent, 0, 0, 0, 0, 0.0))


class _Links:
    """A leader's connections for vectors: one up, some down. They live for one generation."""

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket
        self._parent: socket.socket | None = None
        self.children: list[socket.socket] = []

    def up(self) -> socket.socket:
        if self._parent is None:
            raise ConnectionError("the link to the parent is gone")
        return self._parent

    def open(self, seat: dict[str, Any], place: int, generation: int, door: Door | None) -> None:
        """Dial the parent first, then let the children in: no circle of waiting."""
        hello = Hello(LINK, self._ticket.run, generation, place)
        host, port = seat["parent"]
        self._parent, _ = dial((host, port), self._ticket.secret, hello, source=self._ticket.local)
        limit(self._parent, self._ticket.patience)
        expected = [child for child, _ in seat["children"]]
        found: dict[int, socket.socket] = {}
        end = time.monotonic() + 20.0
        while door is not None and len(found) < len(expected) and time.monotonic() < end:
            for arrival in door.poll(0.5):
                theirs = arrival.hello
                fits = theirs.role == LINK and theirs.generation == generation
                if fits and theirs.place in expected and theirs.place not in found:
                    found[theirs.place] = arrival.sock
                    limit(arrival.sock, self._ticket.patience)
                else:
                    arrival.sock.close()
        self.children = list(found.values())
        if len(found) < len(expected):
            raise ConnectionError(f"only {len(found)} of {len(expected)} hosts below have come")
        self.children = [found[child] for child in expected]

    def close(self) -> None:
        """Both ends see it, so a fault anywhere soon frees the whole tree."""
        for sock in [self._parent, *self.children]:
            if sock is not None:
                sock.close()
        self._parent, self.children = None, []


def ticket(arena: Arena) -> tuple[str, str]:
    """What another process needs to attach the arena, as JSON can carry it."""
    return arena.path, arena.mark.hex()
