"""Members as plain processes, without Spark: one nursery process forks them, clean and quick."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dpnn.engines.protocol import Kind, Plan, ShardError, Sums
from dpnn.engines.resident import member
from dpnn.engines.resident.root import Root
from dpnn.engines.resident.roster import Roster
from dpnn.engines.resident.secret import new_secret
from dpnn.engines.sums import total

TAIL = 5


class FakeWorker:
    """Sums that hang on everything that they may hang on, and round in every addition."""

    def __init__(self, size: int, delay: float = 0.0, idle: bool = False, tail: int = TAIL) -> None:
        self.size, self.delay, self.idle, self.tail = size, delay, idle, tail

    def tail_size(self, kind: Kind) -> int:
        return self.tail if self.idle else self.tail + kind

    def bind(self, weights: np.ndarray, gradient: np.ndarray) -> None:
        assert not weights.flags.writeable
        self.weights, self.gradient = weights, gradient

    def run(self, plan: Plan, shard: int, data: Any) -> Sums:
        if self.delay:
            time.sleep(self.delay)
        if self.idle:
            return Sums(self.gradient if plan.kind == Kind.TRAIN else None, np.zeros(self.tail))
        if plan.step == 13 and shard == 1:
            raise ShardError("non-finite loss at step 13 shard 1")
        if plan.step == 14 and shard == 0:
            raise ZeroDivisionError("a bug")
        rng = np.random.default_rng((plan.kind, plan.epoch, plan.step, shard))
        tail = rng.standard_normal(TAIL + plan.kind) + float(self.weights[0])
        if plan.kind != Kind.TRAIN:
            return Sums(None, tail)
        self.gradient[:] = rng.standard_normal(self.size, np.float32)
        self.gradient *= 1 + self.weights
        if plan.trial:  # such numbers as pack well
            np.floor(100 * self.gradient, out=self.gradient)
        return Sums(self.gradient, tail)


def expected(weights: np.ndarray, plan: Plan, shards: int) -> Sums:
    leaves = []
    for shard in range(shards):
        worker = FakeWorker(weights.size)
        frozen = weights.copy()
        frozen.flags.writeable = False
        worker.bind(frozen, np.empty_like(weights))
        leaves.append(worker.run(plan, shard, None))
    return total(leaves)


class Crew:
    """A driver's root and its members; `with` ends everything that it started.

    share   whether a place shares memory with the driver's host: all alike, or each by itself
    hosts   the loopback address of each place
    inside  the command that enters each place's own network, with the driver bound to `bind`
    """

    def __init__(
        self,
        size: int,
        shards: Sequence[Sequence[int]],
        *,
        share: bool | Sequence[bool] = True,
        hosts: Sequence[str] | None = None,
        delay: float = 0.0,
        idle: bool = False,
        tail: int = TAIL,
        revive: bool = True,
        patience: float = 20.0,
        bind: str = "127.0.0.1",
        inside: Sequence[Sequence[str]] | None = None,
        **options: Any,
    ) -> None:
        self.size, self.shards = size, [list(part) for part in shards]
        self.count = sum(map(len, self.shards))
        self.secret = new_secret()
        self.roster = Roster(bind, self.secret)
        self.root = Root(self.roster, self.count, patience=patience, **options)
        self.hosts, self.delay, self.idle, self.tail = hosts, delay, idle, tail
        self.share = [share] * len(shards) if isinstance(share, bool) else list(share)
        self.revive, self.patience = revive, patience
        self.pids: dict[int, int] = {}
        self.attempts = dict.fromkeys(range(len(shards)), 0)
        commands = [tuple(command) for command in inside or [()] * len(shards)]
        nurseries = {command: _Nursery(command) for command in set(commands)}
        self._nurseries = [nurseries[command] for command in commands]
        self.roster.begin(1, len(shards))
        self.weights = self.root.allocate(size)
        self.weights[:] = np.random.default_rng(0).standard_normal(size, np.float32)

    def __enter__(self) -> Crew:
        for place in range(len(self.shards)):
            self.start(place)
        return self

    def __exit__(self, *_: object) -> None:
        self.root.close()
        for nursery in self._nurseries:
            nursery.close()

    def start(self, place: int, **changes: Any) -> int:
        """Fork a member; its process id."""
        spec = {
            "address": self.roster.address,
            "secret": self.secret.hex(),
            "place": place,
            "attempt": self.attempts[place],
            "shards": self.shards[place],
            "count": self.count,
            "size": self.size,
            "share": self.share[place],
            "host": self.hosts[place] if self.hosts else None,
            "delay": self.delay,
            "idle": self.idle,
            "tail": self.tail,
            "patience": self.patience,
            **changes,
        }
        self.attempts[place] += 1
        self.pids[place] = self._nurseries[place].fork(spec)
        return self.pids[place]

    def assemble(self) -> None:
        """What the engine does with Spark: whoever died is started again."""
        end = time.monotonic() + 60.0
        started = set()
        while not self.roster.complete:
            for place in range(len(self.shards)):
                gone = place not in self.roster.seats and not alive(self.pids[place])
                if self.revive and gone and place not in started:
                    self.start(place)
                    started.add(place)
            for _ in self.roster.frames(0.05):
                pass
            if time.monotonic() > end:
                raise TimeoutError("the crew isn't complete")

    def step(self, plan: Plan) -> Sums:
        return self.root.step(self.weights, plan, self.assemble)

    def kill(self, place: int, number: int = signal.SIGKILL) -> None:
        os.kill(self.pids[place], number)


class _Nursery:
    """A process that forks members."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [*command, sys.executable, "-m", "tests.engines.crew"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def fork(self, spec: dict[str, Any]) -> int:
        self._process.stdin.write(json.dumps(spec) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]
    except (ProcessLookupError, FileNotFoundError):
        return False


def nursery() -> None:
    """Forks a member for each line on stdin. They end with their driver."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        spec = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.close(0)
            os.close(1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            serve(spec)
            os._exit(0)
        print(pid, flush=True)


def serve(spec: dict[str, Any]) -> None:
    host, port = spec["address"]
    ticket = member.Ticket(
        (host, port),
        bytes.fromhex(spec["secret"]),
        1,
        spec["count"],
        share=spec["share"],
        patience=spec["patience"],
        local=spec["host"],
    )
    worker = FakeWorker(spec["size"], spec["delay"], spec["idle"], spec["tail"])
    shards = dict.fromkeys(spec["shards"])
    try:
        member.Member(ticket, spec["place"], spec["attempt"], worker, shards).serve()
    except ConnectionError:
        os._exit(1)


if __name__ == "__main__":
    nursery()
