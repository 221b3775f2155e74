"""Pictures of chapter 5: the sum tree, equal loss curves, a step's time by engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.patches import Circle
from paper import (
    BLUE,
    FAINT,
    GREEN,
    HAIR,
    INK,
    ORANGE,
    PALE,
    PINK,
    arrow,
    board,
    charts,
    frame,
    loss_chart,
    named_rows,
    save,
    say,
)

Place = tuple[float, float]
RADIUS = 0.98
PARTS = {
    "send": (BLUE, "weights travel"),
    "compute": (GREEN, "forward and backward"),
    "wait": (PALE[GREEN], "waiting for the slowest"),
    "sum": (ORANGE, "sums travel"),
    "update": (PINK, "optimizer"),
    "rest": (FAINT, "all else"),
}


def draw(names: dict[str, Any], folder: Path) -> list[Path]:
    return [
        sum_tree(folder / "sum-tree.svg"),
        same_bits(names["results"], folder / "same-bits.svg"),
        timeline(names["ledger"], folder / "timeline.svg"),
    ]


def sum_tree(path: Path) -> Path:
    """Seven shards on two hosts: what is added is fixed, who adds it is whoever has both."""
    figure, axes = board(10, 4.9, (30, 14.7))
    xs = [3.2 + 3.6 * i + (1.4 if i > 3 else 0) for i in range(7)]
    for left, right, hue, host in ((0, 3, BLUE, "executor A"), (4, 6, ORANGE, "executor B")):
        size = (xs[right] - xs[left] + 3.0, 9.4)
        frame(axes, (xs[left] - 1.5, 0.5), size, hue, linestyle=(0, (4, 3)))
        side, x = ("left", xs[0] - 1.1) if left == 0 else ("right", xs[-1] + 1.1)
        say(axes, x, 9.3, host, hue, weight="bold", ha=side)

    def node(x: float, y: float, name: str, hue: str, full: bool = True) -> Place:
        face, edge = (hue, hue) if full else (PALE[hue], hue)
        axes.add_patch(
            Circle((x, y), RADIUS, facecolor=face, edgecolor=edge, linewidth=1.4, zorder=3)
        )
        ink = "#ffffff" if full else INK
        say(axes, x, y, name, ink, zorder=4)
        return x, y

    def joined(a: Place, b: Place, y: float, name: str, hue: str) -> Place:
        x = (a[0] + b[0]) / 2
        for start in (a, b):
            arrow(axes, (start[0], start[1] + RADIUS), (x, y - RADIUS), HAIR)
        return node(x, y, name, hue)

    leaves = [node(x, 2.5, str(i), BLUE if i < 4 else ORANGE, False) for i, x in enumerate(xs)]
    for i, x in enumerate(xs):
        say(axes, x, 1.0, f"shard {i}", FAINT, fontsize=10)
    a = joined(leaves[0], leaves[1], 5.2, "0–1", BLUE)
    b = joined(leaves[2], leaves[3], 5.2, "2–3", BLUE)
    c = joined(leaves[4], leaves[5], 5.2, "4–5", ORANGE)
    first = joined(a, b, 8.0, "0–3", BLUE)
    second = joined(c, leaves[6], 8.0, "4–6", ORANGE)
    joined(first, second, 12.6, "0–6", INK)
    middle = (first[0] + second[0]) / 2
    say(axes, middle + 1.4, 13.0, "driver", weight="bold", ha="left")
    say(axes, middle + 1.4, 12.2, "divides once", FAINT, ha="left")
    return save(figure, path, "The sum tree over seven shards, and who adds what")


def same_bits(results: dict[str, Any], path: Path) -> Path:
    figure, axes = loss_chart(results["local"].history["epoch"])
    looks = {"local": (PALE[BLUE], 11.0), "job": (ORANGE, 4.5), "resident": (INK, 1.4)}
    for engine, (hue, width) in looks.items():
        history = results[engine].history
        axes.plot(history["epoch"], history["loss"], color=hue, linewidth=width, label=engine)
    axes.legend(title="three curves, one on the other")
    return save(figure, path, "Loss curves of three engines, equal to the bit")


def timeline(ledger: dict[str, dict[str, float]], path: Path) -> Path:
    figure, panels = charts(8, 4.9, 1, 2, height_ratios=(3, 2))
    for axes, engines, title in (
        (panels[0], ("job", "resident", "local"), "all three"),
        (panels[1], ("resident", "local"), "the two short ones, enlarged"),
    ):
        for i, engine in enumerate(reversed(engines)):
            left = 0.0
            for part, (hue, what) in PARTS.items():
                label = what if i == 0 and axes is panels[0] else None
                width = ledger[engine][part]
                axes.barh(i, width, left=left, color=hue, height=0.55, label=label)
                left += width
            digits = 0 if left >= 10 else 1
            axes.text(left, i, f"  {left:.{digits}f} ms", va="center", color=INK)
        named_rows(axes, engines[::-1])
        axes.set(xlabel="milliseconds a step", title=title)
        axes.set_xlim(0, 1.25 * max(sum(ledger[e][p] for p in PARTS) for e in engines))
    figure.legend(loc="outside lower center", ncols=3, handlelength=1)
    return save(figure, path, "A step's time by engine")
