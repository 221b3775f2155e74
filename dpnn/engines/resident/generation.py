"""Driver. One generation: an arrangement of the present tasks, its memory and its links.

Made when all places are taken, thrown away when anybody is lost. Its slots are memory of its own,
so a task that was given up but still runs can't write into what counts.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dpnn.engines.resident import links, tree
from dpnn.engines.resident.arena import Arena, host_key
from dpnn.engines.resident.member import ticket
from dpnn.engines.resident.roster import Lost, Roster, Seat
from dpnn.engines.resident.wire import BODY_LIMIT, Frame, Op, cores, limit

SPREAD = 1 << 16  # floats from which the tasks of a host add their slices of the slots in parallel
SPIN = 0.0003  # seconds that the driver looks out for answers that came as quickly last time
ANSWERS = (Op.READY, Op.WEIGHTS, Op.DONE, Op.FAILED)
JOINING = 30.0  # seconds that taking up the places may last


class Generation:
    """Driver. `number` marks every frame; answers to an older number are dropped."""

    def __init__(
        self,
        roster: Roster,
        number: int,
        weights: Arena,
        num_shards: int,
        fan_in: int,
        patience: float,
    ) -> None:
        self.roster = roster
        self.number = number
        self.lost = roster.lost
        self.seats = [roster.seats[place] for place in range(roster.places)]
        self.size = weights.rows.shape[1]
        self._weights = weights
        self._took: dict[Op, float] = {}  # how long the answers took last time
        self._check(num_shards)
        schedules = [tree.schedule(seat.shards, num_shards) for seat in self.seats]
        keys = [seat.key if seat.shares else seat.place for seat in self.seats]
        self.groups = tree.arrange(schedules, keys, host_key(), num_shards, fan_in)
        self.home = [self.seats[place] for place in self.groups[0].members]
        self.leaders = [self.seats[group.members[0]] for group in self.groups[1:]]
        self.spreads = [len(g.members) > 1 and self.size >= SPREAD for g in self.groups]
        self.tails = Tails(schedules, num_shards)
        for place, seat in enumerate(self.seats):  # a tail may be long: the moments of many columns
            seat.channel.body_limit = BODY_LIMIT + 8 * self.tails.counts[place] * max(seat.tails)
        self.slots = Arena.create(self.groups[0].rows, self.size)
        self._join(self._prepare(patience), min(JOINING, patience))
        self._link(patience)

    def close(self) -> None:
        self.roster.drop_links()
        self.slots.close()

    def send(self, seats: Iterable[Seat], op: Op, plan: Any = (0, 0, 0, 0, 0)) -> None:
        kind, *numbers = plan
        frame = Frame(op, self.number, tuple(numbers), kind=int(kind))
        for seat in seats:
            self.roster.send(seat, frame)

    def collect(
        self,
        waiting: Iterable[Seat],
        take: Callable[[Seat, Frame], bool],
        patience: float,
        op: Op = Op.JOIN,
    ) -> None:
        """Wait until `take` has said of every seat's frames that this was the last one.

        op  what they were asked to do

        Raises Lost when anybody is gone, a link broke, or someone stays silent too long.
        """
        missing = set(waiting)
        began = time.monotonic()
        end = began + patience
        spin = SPIN if cores() and self._took.get(op, patience) < SPIN else 0.0
        while missing:
            wait = max(0.0, min(1.0, end - time.monotonic()))
            for seat, frame in self.roster.frames(wait, spin):
                if frame.generation != self.number or seat not in self.seats:
                    continue
                if frame.op == Op.BROKEN:
                    said = frame.body.decode(errors="replace")
                    raise Lost(f"a link of task {seat.place} broke: {said}")
                if frame.op == Op.UNSHARED:
                    for other in self.seats:
                        other.shares = other.shares and other.key != seat.key
                    said = frame.body.decode(errors="replace")
                    raise Lost(f"task {seat.place} shares no memory: {said}")
                try:
                    if frame.op in ANSWERS and take(seat, frame):
                        missing.discard(seat)
                except (ValueError, LookupError, TypeError, RecursionError) as error:
                    self.roster.lose(seat)
                    raise Lost(f"task {seat.place} gave a garbled answer: {error}") from error
            if self.roster.lost != self.lost:
                raise Lost("a task is gone")
            if missing and time.monotonic() > end:
                for seat in missing:
                    self.roster.lose(seat)
                names = ", ".join(f"{s.place} on {s.host}" for s in missing)
                raise Lost(f"no answer from task {names} in {patience:.0f} s")
        self._took[op] = time.monotonic() - began

    def children(self) -> list[socket.socket]:
        """The links of the driver, in the order of the tree."""
        places = [self.groups[child].members[0] for child in self.groups[0].children]
        return [self.roster.links[self.number, place] for place in places]

    def _check(self, num_shards: int) -> None:
        for seat in self.seats:
            if seat.shards and max(seat.shards) >= num_shards:
                self.roster.lose(seat)
                raise Lost(f"task {seat.place} speaks of a shard {max(seat.shards)}")
            if seat.size != self.size:
                raise ValueError(
                    f"task {seat.place} on {seat.host} has a flat vector of {seat.size}, the "
                    f"driver of {self.size}: do both run the same dpnn and the same model?"
                )

    def _prepare(self, patience: float) -> dict[int, dict[str, Any]]:
        """Everybody leaves the last generation; leaders make their host's memory and doors.

        Somebody may still compute a step that nobody waits for any more: hence the patience.
        Returns what the leaders say, by group.
        """
        said: dict[int, dict[str, Any]] = {}
        index = {self.seats[group.members[0]]: i for i, group in enumerate(self.groups) if i}
        for seat in self.seats:
            group = self.groups[index.get(seat, 0)]
            wanted = {"leads": seat in index, "rows": group.rows, "door": bool(group.children)}
            body = json.dumps(wanted).encode()
            self.roster.send(seat, Frame(Op.PREPARE, self.number, body=body))

        def take(seat: Seat, frame: Frame) -> bool:
            if seat in index:
                made = json.loads(frame.body)
                said[index[seat]] = {key: made[key] for key in ("weights", "slots", "door")}
            return True

        self.collect(self.seats, take, patience)
        return said

    def _join(self, said: dict[int, dict[str, Any]], patience: float) -> None:
        for i, group in enumerate(self.groups):
            for order, place in enumerate(group.members):
                body = self._seat(i, group, order, said)
                frame = Frame(Op.JOIN, self.number, body=json.dumps(body).encode())
                self.roster.send(self.seats[place], frame)
        self.collect(self.seats, lambda seat, frame: True, patience)

    def _seat(
        self, i: int, group: tree.Group, order: int, said: dict[int, dict[str, Any]]
    ) -> dict[str, Any]:
        home = {"weights": ticket(self._weights), "slots": ticket(self.slots)}
        count = len(group.members)
        cuts = [self.size * k // count // 16 * 16 for k in range(count)] + [self.size]
        seat: dict[str, Any] = {
            **{key: (said[i] if i else home)[key] for key in ("weights", "slots")},
            "tasks": count,
            "rows": group.rows,
            "first": group.slots[order],
            "adds": group.adds,
            "slice": (cuts[order], cuts[order + 1]),
            "leads": bool(i) and order == 0,
        }
        if seat["leads"]:
            seat |= {
                "parent": said[group.parent]["door"] if group.parent else self.roster.address,
                "children": [
                    (self.groups[c].members[0], len(self.groups[c].up)) for c in group.children
                ],
                "own": group.own,
                "gather": group.gather,
                "up": [row for _, row in group.up],
                "others": count > 1,
                "spread": self.spreads[i],
            }
        return seat

    def _link(self, patience: float) -> None:
        """The driver's end of the tree: its links, and where the root's sum comes to lie."""
        group = self.groups[0]
        wanted = {(self.number, self.groups[c].members[0]) for c in group.children}
        end = time.monotonic() + JOINING
        while not wanted <= self.roster.links.keys():
            for _ in self.roster.frames(0.1):
                pass
            if self.roster.lost != self.lost or time.monotonic() > end:
                raise Lost("a host has not linked up with the driver")
        own = [self.slots.rows[row] for row in group.own]
        counts = [len(self.groups[child].up) for child in group.children]
        [(_, row)] = group.up
        self.total = own[row] if row < len(own) else np.empty(self.size, np.float32)
        target = None if row < len(own) else (row, self.total)
        sockets = self.children()
        for sock in sockets:
            limit(sock, patience)
        self.adder = links.Gather(
            self.size, own, list(zip(sockets, counts, strict=True)), group.gather, target
        )


class Tails:
    """The small sums of all tasks: float64, added on the driver in canonical order."""

    def __init__(self, schedules: list[tree.Schedule], num_shards: int) -> None:
        nodes: dict[tree.Node, int] = {}
        self.counts = []  # how many nodes each task sends
        for plan in schedules:
            self.counts.append(len(plan.nodes))
            nodes |= {node: len(nodes) + i for i, node in enumerate(plan.nodes)}
        self.rows = len(nodes)
        self._starts = np.cumsum([0, *self.counts])
        self._adds, left = tree.additions(nodes, num_shards)
        self._root = min(left.values(), default=0)
        self._sums = np.empty((0, 0))

    def put(self, place: int, rows: np.ndarray) -> None:
        """rows (nodes, k) of one task."""
        if self._sums.shape != (self.rows, rows.shape[1]):
            self._sums = np.zeros((self.rows, rows.shape[1]))
        self._sums[self._starts[place] : self._starts[place + 1]] = rows

    def total(self) -> np.ndarray:
        for dst, src in self._adds:
            self._sums[dst] += self._sums[src]
        return self._sums[self._root].copy()
