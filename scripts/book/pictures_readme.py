"""Pictures of README: what dpnn is; its speed, from the benchmarks that README quotes."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import benches
from paper import (
    BLUE,
    FAINT,
    GREEN,
    HAIR,
    INK,
    ORANGE,
    PINK,
    arrow,
    board,
    charts,
    frame,
    matrix,
    named_rows,
    save,
    say,
)

FULL = [(row, column) for row in range(5) for column in range(7)]


def draw(text: str, folder: Path) -> list[Path]:
    return [overview(folder / "overview.svg"), speed(text, folder / "speed.svg")]


def overview(path: Path) -> Path:
    """Driver above, executors below; weights go down, sums come up."""
    figure, axes = board(9.5, 5.875, (30, 18.55))
    words = partial(say, axes, fontsize=12)
    frame(axes, (5.6, 12.6), (18.8, 5.4), INK)
    words(6.4, 17.0, "driver", weight="bold", ha="left")
    words(15, 15.6, "all weights, one vector")
    x = 6.5
    for count, hue in ((7, BLUE), (3, GREEN), (5, ORANGE), (2, PINK)):
        matrix(axes, (x, 14.4), (1, count), hue, lit=FULL)
        x += count
    for i, x in enumerate((0.5, 10.4, 20.3)):
        frame(axes, (x, 0.5), (9.2, 7.0), BLUE)
        words(x + 0.6, 6.5, f"executor {i + 1}", BLUE, weight="bold", ha="left")
        matrix(axes, (x + 0.8, 5.5), (5, 3), GREEN, 0.62, lit=FULL)
        words(x + 3.15, 3.95, "@")
        matrix(axes, (x + 3.7, 4.9), (3, 4), BLUE, 0.62, lit=FULL)
        words(x + 6.7, 3.95, "@")
        matrix(axes, (x + 7.25, 5.2), (4, 2), ORANGE, 0.62, lit=FULL)
        words(x + 1.73, 1.35, "Parquet", FAINT)
        words(x + 6.1, 1.35, "NumPy", FAINT)
        low, high = x + 4.6, 15 + 5.2 * (i - 1)
        arrow(axes, (high - 0.6, 12.4), (low - 0.6, 7.8), INK, width=1.8)
        arrow(axes, (low + 0.6, 7.8), (high + 0.6, 12.4), ORANGE, width=1.8)
    words(5.9, 10.6, "weights", ha="right")
    words(24.3, 10.6, "sums of\ngradients", ORANGE, ha="left")
    return save(figure, path, "Weights go to where the rows lie, sums of gradients come back")


def speed(text: str, path: Path) -> Path:
    """Of what two benchmarks print under "Speed" in README: an epoch, and a step beside torch's."""
    said = {command.split()[0]: printed for command, printed in benches.quoted(text)}
    figure, panels = charts(8, 6.4, 1, 2, height_ratios=(1, 2.6))
    epochs = seconds_an_epoch(said["mnist"])
    axes = panels[0]
    for y, (name, seconds) in enumerate(reversed(epochs.items())):
        axes.barh(y, seconds, 0.5, color=ORANGE if "orch" in name else BLUE)
    axes.set(xlabel="seconds an epoch of MNIST", ylim=(-0.6, len(epochs) - 0.4))
    names = [f"dpnn, {name}" if "orch" not in name else name for name in reversed(epochs)]
    named_rows(axes, names)

    shares = shares_of_torch(said["nn"])
    axes = panels[1]
    axes.axvline(1, color=ORANGE, linewidth=1.6)
    for y, pair in enumerate(reversed(shares.values())):
        for shift, share, hue in zip((0.2, -0.2), pair, (BLUE, GREEN), strict=True):
            axes.barh(y + shift, share, 0.3, color=hue)
    for hue, label in ((BLUE, "dpnn, one thread"), (GREEN, "dpnn, two tasks"), (ORANGE, "torch")):
        axes.plot([], [], color=hue, linewidth=5, label=label)
    axes.set(xlabel="time of a step, that of torch being 1", ylim=(-0.6, len(shares) - 0.4))
    axes.set_xlim(0, 2)
    names = [re.sub(r", (batch|8 heads|T) .*", "", name) for name in reversed(shares)]
    named_rows(axes, names)
    axes.legend(loc="upper right", handlelength=1.2)
    for axes in panels:
        axes.grid(axis="x", color=HAIR, alpha=0.5)
    return save(figure, path, "Time of an epoch of MNIST, and of a step beside torch's")


def seconds_an_epoch(printed: str) -> dict[str, float]:
    """Contestant -> seconds, of what `bench.sh mnist` prints."""
    rows = re.findall(r"^  (\S.*?) {2,}(\d+\.\d+) +\S+ x resident$", printed, re.M)
    return {name: float(seconds) for name, seconds in rows}


def shares_of_torch(printed: str) -> dict[str, tuple[float, float]]:
    """Network -> dpnn's time as a share of torch's, with one thread and with two tasks, of what
    `bench.sh nn` prints.
    """
    one, two = printed.split("2 thread(s)")
    number = r" +[\d.]+ +[\d.]+ +([\d.]+)"
    alone = dict(re.findall(rf"^(\S.*?, batch [\d,]+){number}", one, re.M))
    tasks = dict(re.findall(rf"^(\S.*?, batch [\d,]+) .*\n    in 2 tasks{number}", two, re.M))
    return {name: (float(alone[name]), float(tasks[name])) for name in alone}
