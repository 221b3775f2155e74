"""Driver. One generation: an arrangement of the present tasks, its memory, and its steps.

Made when all places are taken (`formation`), thrown away when anybody is lost. Its slots are
memory of its own, so a task that was given up but still runs can't write into what counts.

A step is three short phases, each begun by a frame to every task and ended by its answer: STEP
(weights, forward, backward), REDUCE (tasks of a host add slices of its slots; large vectors only),
GATHER (hosts add up along the tree; only where there are other hosts).
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterable

import numpy as np

from dpnn.engines.protocol import Costs, Plan, ShardError, Sums
from dpnn.engines.resident import links, tree
from dpnn.engines.resident.arena import Arena
from dpnn.engines.resident.roster import Lost, Roster, Seat
from dpnn.engines.resident.wire import Frame, Op, cores

SPREAD = 1 << 16  # floats from which the tasks of a host add their slices of the slots in parallel
SPIN = 0.0003  # seconds that the driver looks out for answers that came as quickly last time
ANSWERS = (Op.READY, Op.WEIGHTS, Op.DONE, Op.FAILED)


class Generation:
    """Driver. `number` marks every frame; answers to an older number are dropped.

    travel   how vectors travel between hosts
    """

    def __init__(
        self,
        roster: Roster,
        number: int,
        seats: list[Seat],
        groups: list[tree.Group],
        weights: Arena,
        tails: Tails,
        travel: links.Travel,
    ) -> None:
        self.roster = roster
        self.number = number
        self.lost = roster.lost
        self.seats = seats
        self.groups = groups
        self.travel = travel
        self.size = weights.rows.shape[1]
        self.slots = Arena.create(groups[0].rows, self.size)
        self._weights = weights.rows[0]
        self._tails = tails
        self._took: dict[Op, float] = {}  # how long the answers took last time
        self._home = [seats[place] for place in groups[0].members]
        self._leaders = [seats[group.members[0]] for group in groups[1:]]
        self._followers = {
            seats[group.members[0]]: [seats[place] for place in group.members[1:]]
            for group in groups[1:]
        }
        self._spread = [seats[p] for group in groups if self.spreads(group) for p in group.members]
        self._news = links.News(self.size) if travel.news and len(groups) > 1 else None
        self._down = 0  # bytes of weights over links in a step
        self._up = 0  # bytes of sums over links in a step, as the leaders count them

    def spreads(self, group: tree.Group) -> bool:
        """Do the group's tasks add up their slots in parallel?"""
        return len(group.members) > 1 and self.size >= SPREAD

    def link(self, sockets: list[socket.socket]) -> None:
        """Take the driver's own links, in the order of the tree."""
        group = self.groups[0]
        own = [self.slots.rows[row] for row in group.own]
        counts = [len(self.groups[child].up) for child in group.children]
        [(_, row)] = group.up
        self._total = own[row] if row < len(own) else np.empty(self.size, np.float32)
        target = None if row < len(own) else (row, self._total)
        below = list(zip(sockets, counts, strict=True))
        self._below = sockets
        self._adder = links.Gather(self.size, own, below, group.gather, target, self.travel.packs)

    def close(self) -> None:
        self.roster.drop_links()
        self.slots.close()

    def step(self, plan: Plan, patience: float, costs: Costs) -> Sums:
        """The canonical sum, in memory that the next step overwrites.

        patience  seconds that a task may stay silent

        Raises Lost when the step has to be done again by another generation, ShardError when a
        shard's data or weights don't allow it.
        """
        if self.lost != self.roster.lost:
            raise Lost("a task is gone")
        try:
            start = time.perf_counter()
            tail, seconds = self._compute(plan, patience)
            computed = time.perf_counter()
            if not plan.kind.gradient:
                return Sums(None, tail)
            self._add(patience)
        except Lost:
            raise
        except OSError as error:
            raise Lost(f"a link of the driver broke: {error}") from error
        self._note(costs, seconds, computed - start, time.perf_counter() - computed)
        return Sums(self._total, tail)

    def _compute(self, plan: Plan, patience: float) -> tuple[np.ndarray, list[list[float]]]:
        """STEP. The summed tail, and the seconds of each shard by seat."""
        failures: dict[int, tuple[str, str]] = {}
        seconds: list[list[float]] = [[] for _ in self.seats]

        def take(seat: Seat, frame: Frame) -> bool:
            if frame.op == Op.WEIGHTS:
                self._send(self._followers[seat], Op.STEP, plan)
                return False
            if frame.op == Op.FAILED:
                shard, line, trace = json.loads(frame.body)
                failures[int(shard)] = str(line), str(trace)
                return True
            rows, k = self._tails.counts[seat.place], seat.tails[plan.kind]
            numbers = np.frombuffer(frame.body)
            self._tails.put(seat.place, numbers[: rows * k].reshape(rows, k))
            seconds[seat.place] = numbers[rows * k :].tolist()
            if len(seconds[seat.place]) != len(seat.shards):
                raise ValueError(f"{len(seconds[seat.place])} times of {len(seat.shards)} shards")
            return True

        self._send(self._home, Op.STEP, plan)
        if self._leaders:
            self._send(self._leaders, Op.STEP, plan)
            sent = links.spread(self._weights, self._below, self._news)
            self._down = sent * len(self._leaders)
        self.collect(self.seats, take, patience, Op.STEP)
        if failures:
            line, trace = failures[min(failures)]
            error = ShardError(line)
            if trace:
                error.add_note(f"\nIn the task:\n{trace}")
            raise error
        return self._tails.total(), seconds

    def _add(self, patience: float) -> None:
        """REDUCE and GATHER: the sum of all slots comes to lie in `_total`."""

        def done(seat: Seat, frame: Frame) -> bool:
            return True

        def went_up(seat: Seat, frame: Frame) -> bool:
            self._up += frame.numbers[0]
            return True

        self._send(self._spread, Op.REDUCE)
        self.collect(self._spread, done, patience, Op.REDUCE)
        self._send(self._leaders, Op.GATHER)
        if not self.spreads(self.groups[0]):
            links.add(self.slots.rows, self.groups[0].adds, 0, self.size)
        if self._leaders:
            self._adder.run()
            self._up = 0
            self.collect(self._leaders, went_up, patience, Op.GATHER)

    def _note(
        self, costs: Costs, seconds: list[list[float]], computing: float, adding: float
    ) -> None:
        frames = 0
        for seat, times in zip(self.seats, seconds, strict=True):
            for shard, elapsed in zip(seat.shards, times, strict=True):
                costs.seconds[shard] = costs.seconds.get(shard, 0.0) + elapsed
                costs.hosts[shard] = seat.host
            frames += seat.channel.bytes
            seat.channel.bytes = 0
        totals = [sum(times) for times in seconds]
        slowest, mean = max(totals), sum(totals) / len(totals)
        costs.steps += 1
        costs.compute += mean
        costs.wait += slowest - mean
        costs.send += max(0.0, computing - slowest)
        costs.sum += adding
        costs.bytes += self._down + self._up + frames

    def _send(self, seats: Iterable[Seat], op: Op, plan: Plan | None = None) -> None:
        frame = Frame(op, self.number)
        if plan is not None:
            frame = Frame(op, self.number, plan[1:], kind=plan.kind)
        for seat in seats:
            self.roster.send(seat, frame)

    def collect(
        self,
        waiting: Iterable[Seat],
        take: Callable[[Seat, Frame], bool],
        patience: float,
        op: Op,
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
