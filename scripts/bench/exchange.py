"""The exchange of the resident engine alone, against torch gloo's all_reduce.

scripts/bench.sh exchange [--turns 3] [--tasks 1 2 4 8 16 64] [--no-torch]

Two tasks on this machine, vectors of 10 to 10 million float32. The first three columns are a step
of the resident engine without arithmetic: the weights reach every task, every task's vector is in
the sum that the driver holds. `shared`: all on one host. `two hosts`: one task shares memory with
the driver, the other is reached over TCP, so that as many bytes cross it as for gloo. `three`: both
tasks and the driver are hosts of their own. `gloo` is `all_reduce` of a tensor of the same size
between two processes. All take turns; medians in milliseconds, and gloo's time over each. Then: a
step of tiny work (10 float32) as the number of tasks grows, tasks being plain processes. An idle
task costs nothing, so more tasks than cores show the signals alone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from dpnn.engines.protocol import Kind, Plan  # noqa: E402
from tests.engines.crew import Crew  # noqa: E402  members as plain processes

REPEATS = {10: 200, 10_000: 200, 250_000: 100, 1_000_000: 40, 10_000_000: 10}
PLAN = Plan(Kind.TRAIN, 0, 0, 1)
SHARING = {"shared": (True, True), "two hosts": (True, False), "three": (False, False)}


class Gloo:
    """Two torch processes that all_reduce on demand."""

    def __init__(self) -> None:
        script = ROOT / "scripts/bench/_torch_allreduce.py"
        self._processes: list[tuple[subprocess.Popen[str], IO[str], IO[str]]] = []
        port = "0"
        for rank in range(2):
            process = subprocess.Popen(
                [sys.executable, str(script), str(rank), port],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            assert process.stdin is not None
            assert process.stdout is not None
            self._processes.append((process, process.stdin, process.stdout))
            if rank == 0:
                port = process.stdout.readline().strip()

    def __call__(self, size: int, repeats: int) -> list[float]:
        for _, orders, _ in self._processes:
            orders.write(f"{size} {repeats}\n")
            orders.flush()
        answers = [told.readline() for _, _, told in self._processes]
        return [float(number) for number in answers[0].split()]

    def close(self) -> None:
        for process, orders, _ in self._processes:
            orders.close()
            process.wait(20)


def steps(crew: Crew, repeats: int) -> list[float]:
    """Milliseconds of each step."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        crew.step(PLAN)
        times.append(1e3 * (time.perf_counter() - start))
    return times


def compare(turns: int, torch: bool) -> None:
    gloo = Gloo() if torch else None
    print("two tasks, milliseconds" + "gloo over each".rjust(60))
    print("   float32" + "".join(f"{name:>10}" for name in (*SHARING, "gloo", *SHARING)))
    for size, repeats in REPEATS.items():
        times: dict[str, list[float]] = {name: [] for name in (*SHARING, "gloo")}
        with ExitStack() as open_crews:
            crews = {
                name: open_crews.enter_context(Crew(size, [[0], [1]], idle=True, share=share))
                for name, share in SHARING.items()
            }
            for crew in crews.values():
                steps(crew, 3)
            for _ in range(turns):
                for name, crew in crews.items():
                    times[name] += steps(crew, repeats)
                if gloo is not None:
                    times["gloo"] += gloo(size, repeats)
        middle = {name: statistics.median(t) for name, t in times.items() if t}
        row = "".join(f"{milliseconds:10.3f}" for milliseconds in middle.values())
        if gloo is not None:
            row += "".join(f"{middle['gloo'] / middle[name]:10.1f}" for name in SHARING)
        print(f"{size:10d}{row}", flush=True)
    if gloo is not None:
        gloo.close()


def grow(tasks: list[int]) -> None:
    print("\ntiny work, milliseconds a step\n     tasks    shared       tcp (fan-in 4)")
    for count in tasks:
        parts = [[shard] for shard in range(count)]
        row = ""
        for share in (True, False):
            with Crew(10, parts, idle=True, share=share, fan_in=4, patience=60.0) as crew:
                steps(crew, 5)
                row += f"{statistics.median(steps(crew, 100)):10.3f}"
        print(f"{count:10d}{row}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--tasks", type=int, nargs="*", default=[1, 2, 4, 8, 16, 64])
    parser.add_argument("--no-torch", action="store_true", help="leave gloo out")
    options = parser.parse_args()
    compare(options.turns, not options.no_torch)
    grow(options.tasks)


if __name__ == "__main__":
    main()
