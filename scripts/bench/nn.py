"""Step time of dpnn.nn against torch eager: forward, backward, Adam; same threads, same process.

scripts/bench.sh nn [WORD …] [--threads 1 2] [--seconds 4] [--parts] [--cpu]

WORDs choose rows by name. Within a row the sides take turns, some steps each, until its seconds
are spent; medians are printed, and dpnn's time as a multiple of torch's. float32, one batch in
memory. The MLPs have a third side: the step written out by hand in NumPy. With several threads
there are two lines a row: the matrix products of one network in threads, and dpnn's own way: the
batch in as many shards, a task of the resident engine each, one thread a task.
--parts adds dpnn's own split into forward with loss, backward, and update. --cpu, with one thread,
counts the process's own CPU time: steady on a machine that has other work.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from dpnn import nn
from dpnn.data.shards import Shard, Split
from dpnn.engines.protocol import Kind, Plan
from dpnn.engines.resident.member import Member, Ticket
from dpnn.engines.resident.root import Root
from dpnn.engines.resident.roster import Roster
from dpnn.engines.resident.secret import new_secret
from dpnn.engines.worker import Program, Worker
from dpnn.training.update import Update

COLUMNS, WORDS, WIDTH = 20, 100_000, 8
Clock = Callable[[], float]


@dataclass(frozen=True)
class Row:
    """One line of the table; `torch` names a function of _torch_models and its arguments."""

    name: str
    batch: int
    shape: tuple[int, ...]
    model: Callable[[], nn.Layer]
    torch: tuple[Any, ...]
    columnwise: bool = False  # word numbers, one named input a column


def mlp(*sizes: int, batch: int) -> Row:
    def model() -> nn.Layer:
        hidden = [layer for units in sizes[1:-1] for layer in (nn.Dense(units), nn.ReLU())]
        return nn.Sequential(*hidden, nn.Dense(sizes[-1]))

    name = f"MLP {'-'.join(map(str, sizes))}"
    return Row(name, batch, (sizes[0],), model, ("mlp", sizes))


def lenet() -> nn.Layer:
    return nn.Sequential(
        nn.Conv2D(6, 5, padding="same"),
        nn.ReLU(),
        nn.MaxPool2D(2),
        nn.Conv2D(16, 5),
        nn.ReLU(),
        nn.MaxPool2D(2),
        nn.Flatten(),
        nn.Dense(120),
        nn.ReLU(),
        nn.Dense(84),
        nn.ReLU(),
        nn.Dense(10),
    )


def resnet() -> nn.Layer:
    def widen(filters: int, strides: int) -> nn.Layer:
        conv = nn.Conv2D(filters, 3, strides=strides, padding="same", bias=False)
        return nn.Sequential(conv, nn.BatchNorm(), nn.ReLU())

    def block(filters: int) -> nn.Layer:
        conv = nn.Conv2D(filters, 3, padding="same", bias=False)
        inner = nn.Sequential(conv, nn.BatchNorm(), nn.ReLU(), conv, nn.BatchNorm())
        return nn.Sequential(nn.Residual(inner), nn.ReLU())

    stages = [part for f, s in ((16, 1), (32, 2), (64, 2)) for part in (widen(f, s), block(f))]
    return nn.Sequential(*stages, nn.GlobalAveragePool(), nn.Dense(10))


def lstm() -> nn.Layer:
    return nn.Sequential(nn.LSTM(128), nn.Dense(10))


def transformer() -> nn.Layer:
    attention = nn.Sequential(nn.LayerNorm(), nn.MultiHeadAttention(8))
    wide = nn.Sequential(nn.LayerNorm(), nn.Dense(1024), nn.GELU(), nn.Dense(256))
    block = (nn.Residual(attention), nn.Residual(wide))
    return nn.Sequential(*block, nn.GlobalAveragePool(), nn.Dense(10))


def embeddings() -> nn.Layer:
    names = [f"c{i}" for i in range(COLUMNS)]
    tables = [nn.Sequential(nn.Input(name), nn.Embedding(WORDS, WIDTH)) for name in names]
    return nn.Sequential(nn.Concatenate(*tables), nn.Dense(64), nn.ReLU(), nn.Dense(10))


ROWS = [
    mlp(64, 32, 10, batch=128),
    mlp(784, 256, 10, batch=256),
    mlp(784, 512, 256, 10, batch=512),
    mlp(784, 1024, 1024, 10, batch=1024),
    Row("LeNet 28x28", 128, (28, 28, 1), lenet, ("lenet",)),
    Row("ResNet 28x28", 64, (28, 28, 1), resnet, ("resnet", 1)),
    Row("ResNet 32x32", 64, (32, 32, 3), resnet, ("resnet", 3)),
    Row("LSTM 128, T 64", 64, (64, 128), lstm, ("LSTM", 128, 128)),
    Row(
        "Transformer block 256, 8 heads, T 128",
        32,
        (128, 256),
        transformer,
        ("Transformer", 256, 8),
    ),
    Row(
        f"Embeddings {COLUMNS} x {WORDS:,} x {WIDTH}",
        1024,
        (COLUMNS,),
        embeddings,
        ("Embeddings", COLUMNS, WORDS, WIDTH),
        columnwise=True,
    ),
]


class Step:
    """One training step of dpnn, as the local engine and the loop do it."""

    def __init__(self, row: Row, x: Any, y: np.ndarray, clock: Clock) -> None:
        self.x, self.clock = x, clock
        shape: Any = row.shape
        if row.columnwise:
            self.x = {f"c{i}": np.ascontiguousarray(x[:, i]) for i in range(COLUMNS)}
            shape = dict.fromkeys(self.x, ())
        self.y, self.loss, self.adam = y, nn.SoftmaxCrossEntropy(), nn.Adam()
        self.net = row.model().build(shape)
        self.state = self.adam.init(self.net.layout)
        self.parts: list[tuple[float, float, float]] = []

    def __call__(self) -> None:
        net, trained, start = self.net, self.net.layout.trained, self.clock()
        dz = net.loss(net.forward(self.x, True), self.y, self.loss)[1]
        forward = self.clock()
        net.backward(dz)
        backward = self.clock()
        gradient = net.gradient[:trained]
        gradient *= 1 / len(self.y)
        self.adam.update(self.state, net.weights[:trained], gradient)
        end = self.clock()
        self.parts.append((forward - start, backward - forward, end - backward))


class SharedStep:
    """The same step by tasks of the resident engine, as plain processes: rows gathered, checked for
    what is not finite, metrics, exchange.
    """

    def __init__(self, step: Step, row: Row, tasks: int) -> None:
        net = step.net
        self.roster = Roster("127.0.0.1", new_secret())
        self.root = Root(self.roster, tasks, patience=60)
        self.roster.begin(1, tasks)
        program = Program(net.layer, net.input_shape, step.loss)
        ticket = Ticket(self.roster.address, self.roster.secret, 1, tasks)
        spawn = multiprocessing.get_context("spawn")  # no fork: torch has threads
        self.processes = [
            spawn.Process(target=serve, args=(ticket, i, program, shard(step, row, i, tasks)))
            for i in range(tasks)
        ]
        for process in self.processes:
            process.start()
        self.update = Update(net.layout, step.adam)
        self.weights = self.root.allocate(net.weights.size)
        self.weights[...] = net.weights
        self.state = self.update.start(self.weights)

    def __call__(self) -> None:
        plan = Plan(Kind.TRAIN)
        self.update(self.state, lambda _: self.root.step(self.weights, plan, self.assemble))

    def assemble(self) -> None:
        while not self.roster.complete:
            for _ in self.roster.frames(0.1):
                pass
            if not all(process.is_alive() for process in self.processes):
                sys.exit("a task has died")

    def close(self) -> None:
        self.root.close()
        for process in self.processes:
            process.join()


def shard(step: Step, row: Row, index: int, count: int) -> Shard:
    """One of `count` equal parts of the step's batch."""
    some = slice(row.batch * index // count, row.batch * (index + 1) // count)
    y = step.y[some]
    x = {n: a[some] for n, a in step.x.items()} if isinstance(step.x, dict) else step.x[some]
    return {"train": Split(x, y, None, np.arange(len(y)))}


def serve(ticket: Ticket, place: int, program: Program, held: Shard) -> None:
    """A task's process."""
    with threadpool_limits(1, user_api="blas"):
        Member(ticket, place, 0, Worker(program), {place: held}).serve()


def in_turns(sides: list[Callable[[], None]], seconds: float, clock: Clock) -> list[float]:
    """The median seconds of one call of each side. Idle threads of the other get time to sleep."""
    took: list[list[float]] = [[] for _ in sides]
    for side in sides:
        side()
        side()
    calls = max(2, min(50, int(0.1 / max(_time(side, clock) for side in sides))))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(took[-1]) < 3 * calls:
        for side, times in zip(sides, took, strict=True):
            time.sleep(0.01)
            side()
            times.extend(_time(side, clock) for _ in range(calls))
    return [statistics.median(times) for times in took]


def _time(call: Callable[[], Any], clock: Clock) -> float:
    start = clock()
    call()
    return clock() - start


def peak(n: int = 1024) -> float:
    """GFLOP/s of NumPy's own matrix product."""
    a, b = (np.ones((n, n), np.float32) for _ in range(2))
    return 2 * n**3 / min(_time(lambda: np.dot(a, b), time.perf_counter) for _ in range(10)) / 1e9


def compare(rows: list[Row], threads: int, seconds: float, parts: bool, clock: Clock) -> None:
    """The table for one number of threads; this process is its own."""
    import _hand_mlp
    import _torch_models
    import torch

    torch.set_num_threads(threads)
    with threadpool_limits(threads, user_api="blas"):
        print(
            f"\n{threads} thread(s), matrix product {peak():.0f} GFLOP/s, torch {torch.__version__}"
        )
        print(f"{'':<44}{'dpnn ms':>10}{'torch ms':>10}{'dpnn/torch':>12}{'by hand/torch':>15}")
        for row in rows:
            rng = np.random.default_rng(0)
            x: Any = rng.standard_normal((row.batch, *row.shape)).astype(np.float32)
            if row.columnwise:
                x = rng.integers(0, WORDS, x.shape)
            y = rng.integers(0, 10, row.batch)
            ours, name, arguments = Step(row, x, y, clock), row.torch[0], row.torch[1:]
            across = x if x.ndim < 4 else np.ascontiguousarray(x.transpose(0, 3, 1, 2))
            theirs = _torch_models.Step(getattr(_torch_models, name)(*arguments), across, y)
            hand = [_hand_mlp.Step(arguments[0], x, y)] if name == "mlp" else []
            _line(
                f"{row.name}, batch {row.batch:,}",
                *in_turns([ours, theirs, *hand], seconds, clock),
            )
            if parts:
                split = (1e3 * statistics.median(part) for part in zip(*ours.parts, strict=True))
                print("    forward {:.3f}, backward {:.3f}, update {:.3f}".format(*split))
            if threads > 1:
                shared = SharedStep(ours, row, threads)
                _line(f"    in {threads} tasks", *in_turns([shared, theirs], seconds, clock))
                shared.close()


def _line(label: str, mine: float, other: float, *hand: float) -> None:
    line = f"{label:<44}{mine * 1e3:>10.3f}{other * 1e3:>10.3f}{mine / other:>12.2f}"
    print(line, *(f"{seconds / other:>14.2f}" for seconds in hand), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--parts", action="store_true")
    parser.add_argument("--cpu", action="store_true")
    given = parser.parse_args()
    rows = [
        r for r in ROWS if not given.words or any(w.lower() in r.name.lower() for w in given.words)
    ]
    if not rows:
        sys.exit(f"no such row; there are: {'; '.join(row.name for row in ROWS)}")
    if len(given.threads) == 1:
        clock = time.process_time if given.cpu and given.threads == [1] else time.perf_counter
        compare(rows, given.threads[0], given.seconds, given.parts, clock)
        return
    for threads in given.threads:
        options = ["--threads", str(threads), "--seconds", str(given.seconds)]
        options += ["--parts"] * given.parts + ["--cpu"] * given.cpu
        subprocess.run([sys.executable, __file__, *given.words, *options], check=True)


if __name__ == "__main__":
    main()
