"""Driver. The root of the exchange: weights go out, tasks compute, sums come in. Knows no Spark.

A step is three short phases, each begun by a frame to every task and ended by its answer: STEP
(weights, forward, backward), REDUCE (tasks of a host add slices of its slots; large vectors only),
GATHER (hosts add up along the tree; only where there are other hosts). Weights are untouched until
all is in, and a shard's sums hang on nothing but the plan: a broken step is simply done again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np

from dpnn.engines.protocol import Costs, EngineUnavailable, Plan, ShardError, Sums
from dpnn.engines.resident import links
from dpnn.engines.resident.arena import Arena
from dpnn.engines.resident.generation import Generation
from dpnn.engines.resident.roster import Lost, Roster, Seat
from dpnn.engines.resident.wire import Frame, Op

ATTEMPTS = 20  # of one step: tasks may die faster than they come back


class Root:
    """One fit's exchange. `num_shards` of all tasks together.

    patience  seconds that a task may stay silent; twenty times the longest answer so far if
              that is more, and ten times as long for whole passes
    fan_in    hosts that send to the driver, and to each leader
    """

    def __init__(
        self, roster: Roster, num_shards: int, patience: float = 300.0, fan_in: int = 4
    ) -> None:
        self.roster = roster
        self.costs = Costs()
        self._num_shards = num_shards
        self._patience = patience
        self._fan_in = fan_in
        self._slowest = 0.0
        self._number = 0
        self._weights: Arena | None = None
        self._generation: Generation | None = None

    def allocate(self, size: int) -> np.ndarray:
        """(size,) float32 that every task of this host sees: weights kept here need no copy."""
        if self._weights is None or self._weights.rows.shape[1] != size:
            self._disband()
            self._weights = Arena.create(1, size)
        return self._weights.rows[0]

    def step(self, weights: np.ndarray, plan: Plan, assemble: Callable[[], None]) -> Sums:
        """The canonical sum; `assemble` fills the places whenever some are vacant, or raises."""
        shared = self.allocate(weights.size)
        if not np.may_share_memory(weights, shared):
            shared[...] = weights
        for _ in range(ATTEMPTS):
            try:
                if self._generation is None:
                    assemble()
                    self._form(self._limit(plan))
                return self._exchange(plan)
            except Lost as error:
                self._disband()
                reason = error.with_traceback(None)  # it would keep the memory of the generation
            except ShardError:
                raise  # every task has answered: the generation goes on
            except BaseException:
                self._disband()
                raise
        raise EngineUnavailable(
            f"step {plan.step} of epoch {plan.epoch} broke {ATTEMPTS} times, at last: {reason}"
        ) from reason

    def close(self) -> None:
        self._disband()
        self.roster.close()
        if self._weights is not None:
            self._weights.close()
            self._weights = None  # the memory goes when the caller's view of it goes

    def _limit(self, plan: Plan) -> float:
        """Seconds within which a task must answer."""
        patience = max(self._patience, 20 * self._slowest)
        return patience if plan.kind.gradient else 10 * patience

    def _form(self, patience: float) -> None:
        assert self._weights is not None
        self._number += 1
        self._generation = Generation(
            self.roster, self._number, self._weights, self._num_shards, self._fan_in, patience
        )

    def _disband(self) -> None:
        self.roster.drop_links()
        if self._generation is not None:
            self._generation.close()
        self._generation = None

    def _exchange(self, plan: Plan) -> Sums:
        now = self._generation
        assert now is not None
        if now.lost != self.roster.lost:
            raise Lost("a task is gone")
        try:
            start = time.perf_counter()
            tail, slowest, mean = self._compute(now, plan)
            computed = time.perf_counter()
            if plan.kind.gradient:
                self._add(now)
        except Lost:
            raise
        except OSError as error:
            raise Lost(f"a link of the driver broke: {error}") from error
        if not plan.kind.gradient:
            return Sums(None, tail)
        costs = self.costs
        costs.steps += 1
        costs.compute += mean
        costs.wait += slowest - mean
        costs.send += max(0.0, computed - start - slowest)
        costs.sum += time.perf_counter() - computed
        costs.bytes += self._traffic(now)
        return Sums(now.total, tail)

    def _compute(self, now: Generation, plan: Plan) -> tuple[np.ndarray, float, float]:
        """STEP. The summed tail, and the seconds of the slowest task and of the mean."""
        failures: dict[int, tuple[str, str]] = {}
        seconds = [0.0] * len(now.seats)
        tails = now.tails
        followers = {
            now.seats[group.members[0]]: [now.seats[place] for place in group.members[1:]]
            for group in now.groups[1:]
        }

        def take(seat: Seat, frame: Frame) -> bool:
            if frame.op == Op.WEIGHTS:
                now.send(followers[seat], Op.STEP, plan)
                return False
            if frame.op == Op.FAILED:
                line, trace = json.loads(frame.body)
                failures[frame.numbers[0]] = str(line), str(trace)
                return True
            rows, k = tails.counts[seat.place], seat.tails[plan.kind]
            numbers = np.frombuffer(frame.body)
            tails.put(seat.place, numbers[: rows * k].reshape(rows, k))
            seconds[seat.place] = self._note(seat, plan, numbers[rows * k :].tolist())
            return True

        began = time.monotonic()
        now.send(now.home, Op.STEP, plan)
        if now.leaders:
            now.send(now.leaders, Op.STEP, plan)
            links.spread(self._shared(), now.children())
        now.collect(now.seats, take, self._limit(plan), Op.STEP)
        self._slowest = max(self._slowest, time.monotonic() - began)
        if failures:
            line, trace = failures[min(failures)]
            error = ShardError(line)
            if trace:
                error.add_note(f"\nIn the task:\n{trace}")
            raise error
        return tails.total(), max(seconds), sum(seconds) / len(seconds)

    def _add(self, now: Generation) -> None:
        """REDUCE and GATHER: the sum of all slots comes to lie in `now.total`."""
        done: Callable[[Seat, Frame], bool] = lambda seat, frame: True  # noqa: E731
        spread = [
            now.seats[place]
            for group, spreads in zip(now.groups, now.spreads, strict=True)
            if spreads
            for place in group.members
        ]
        now.send(spread, Op.REDUCE)
        now.collect(spread, done, self._patience, Op.REDUCE)
        if now.leaders:
            now.send(now.leaders, Op.GATHER)
        if not now.spreads[0]:
            links.add(now.slots.rows, now.groups[0].adds, 0, now.size)
        if now.leaders:
            now.adder.run()
            now.collect(now.leaders, done, self._patience, Op.GATHER)

    def _note(self, seat: Seat, plan: Plan, seconds: list[float]) -> float:
        if plan.kind.gradient:
            for shard, elapsed in zip(seat.shards, seconds, strict=True):
                self.costs.seconds[shard] = self.costs.seconds.get(shard, 0.0) + elapsed
                self.costs.hosts[shard] = seat.host
        return sum(seconds)

    def _shared(self) -> np.ndarray:
        assert self._weights is not None
        return self._weights.rows[0]

    def _traffic(self, now: Generation) -> int:
        """Bytes that crossed sockets in a step: vectors over links, frames and small sums."""
        vectors = sum(1 + len(group.up) for group in now.groups[1:])
        frames = sum(seat.channel.bytes for seat in now.seats)
        for seat in now.seats:
            seat.channel.bytes = 0
        return 4 * now.size * vectors + frames
