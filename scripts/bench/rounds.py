"""Local steps: the score on the test part against exchanges and bytes, beside synchronous steps.

scripts/bench.sh rounds FOLDER [--only mnist] [--epochs N] [--shards 4] [--steps 1,4,16,64,epoch]
                        [--wires float32,bfloat16,int8] [--picture docs/pictures/local-steps.svg]

FOLDER holds mnist/, adult/ and california/, each with train/ and test/ as Parquet. The engine is
`local`: the weights are the same bit for bit on every other. Bytes are those that cross a network
where each shard is on a host of its own: weights down and moves (or gradients) up, of which a
smaller wire takes less.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

import dpnn
from dpnn import Dataset, Trainer, nn, recipes
from dpnn.engines.packing import pack
from dpnn.engines.rounding import Rounding

BOOK = Path(__file__).resolve().parents[1] / "book"
DIGITS = nn.Sequential(nn.Rescale(1 / 255), nn.Dense(256), nn.ReLU(), nn.Dense(10))


class Task(NamedTuple):
    """A data set of the folder, the score that counts, and for how long to train."""

    name: str
    label: str
    score: str
    words: str
    epochs: int


class Fit(NamedTuple):
    """What came of a fit: of each epoch the exchanges and megabytes so far (those that went up,
    too), and the score.
    """

    steps: str
    wire: str
    exchanges: np.ndarray
    megabytes: np.ndarray
    up: np.ndarray
    scores: np.ndarray


TASKS = (
    Task("mnist", "label", "val_accuracy", "accuracy, share of rows", 10),
    Task("adult", "income", "val_accuracy", "accuracy, share of rows", 10),
    Task("california", "MedHouseVal", "val_rmse", "RMSE, 100,000 dollars", 20),
)


def rows(folder: Path, task: Task, part: str) -> Any:
    table = pq.read_table(folder / task.name / part)
    if task.name != "mnist":
        return table
    pixels = table["pixels"].combine_chunks().flatten().to_numpy()
    return pixels.reshape(len(table), -1).astype(np.uint8), table["label"].to_numpy()


def opened(folder: Path, task: Task, shards: int) -> Dataset:
    train, test = (rows(folder, task, part) for part in ("train", "test"))
    if task.name == "mnist":
        return Dataset(train, validation=test, num_shards=shards, progress=False)
    columns = dpnn.columns()
    return Dataset(train, columns, task.label, None, test, num_shards=shards, progress=False)


def settings(task: Task, data: Dataset) -> dict[str, Any]:
    """The same network, inner optimizer and batch for every number of local steps."""
    if task.name == "mnist":
        optimizer = nn.Adam(1e-3)
        return {"model": DIGITS, "loss": nn.SoftmaxCrossEntropy(), "optimizer": optimizer}
    made = recipes.mlp(recipes.Facts.of(data))
    return {name: made[name] for name in ("model", "loss", "optimizer")}


def sent(layout: nn.Layout, wire: str) -> int:
    """The bytes of a shard's sums, none of them zeros."""
    numbers = np.random.default_rng(0).standard_normal(layout.size).astype(np.float32)
    if wire == "float32":
        return numbers.nbytes
    Rounding(layout, wire)(numbers, (0,))
    return pack(numbers).size


def fit(task: Task, data: Dataset, steps: str, wire: Any, epochs: int) -> Fit:
    local = {"synchronous": None, "epoch": 10**9}.get(steps) if not steps.isdigit() else int(steps)
    batch = 512 if task.name == "mnist" else 256
    trainer = Trainer(
        **settings(task, data),
        batch_size=batch,
        epochs=epochs,
        local_steps=local,
        wire=wire,
        engine="local",
        progress=False,
    )
    result = trainer.fit(data)
    exchanges = np.cumsum([row["exchanges"] for row in result.history["costs"]])
    down = result.model.weights.nbytes * data.num_shards * exchanges / 1e6
    up = sent(result.model.network.layout, wire) * data.num_shards * exchanges / 1e6
    return Fit(steps, wire, exchanges, down + up, up, np.array(result.history[task.score]))


def show(task: Task, fits: Iterable[Fit]) -> None:
    print(f"\n{task.name}, test part: {task.words}")
    print(
        f"  {'local steps':<14}{'wire':<10}{'exchanges':>10}{'fewer':>8}{'MB':>10}{'up':>10}"
        f"{'last':>9}{'best':>9}"
    )
    most = None
    for one in fits:
        most = most or int(one.exchanges[-1])
        best = one.scores.min() if task.words.startswith("RMSE") else one.scores.max()
        fewer = f"{most / one.exchanges[-1]:.0f} x"
        print(
            f"  {one.steps:<14}{one.wire:<10}{one.exchanges[-1]:>10}{fewer:>8}"
            f"{one.megabytes[-1]:>10.1f}{one.up[-1]:>10.1f}{one.scores[-1]:>9.4f}{best:>9.4f}",
            flush=True,
        )


def draw(found: dict[Task, list[Fit]], path: Path) -> None:
    """Each fit as a line over its exchanges, an epoch a point."""
    sys.path.insert(0, str(BOOK))
    from paper import BLUE, FAINT, GREEN, HAIR, INK, ORANGE, PINK, charts, save

    hues = (INK, FAINT, PINK, ORANGE, GREEN, BLUE)
    figure, panels = charts(6.5, 8.4, 1, len(found))
    for axes, (task, fits) in zip(panels, found.items(), strict=True):
        for hue, one in zip(hues, fits, strict=False):
            name = one.steps if one.wire == "float32" else f"{one.steps}, {one.wire}"
            axes.plot(one.exchanges, one.scores, "o-", color=hue, markersize=3.5, label=name)
        axes.set(xscale="log", title=task.name, ylabel=task.words)
        axes.grid(color=HAIR, alpha=0.5)
    panels[-1].set_xlabel("exchanges, an epoch a point (log)")
    where = {"loc": "upper center", "bbox_to_anchor": (0.45, -0.28), "ncols": 3}
    panels[-1].legend(title="local steps", columnspacing=1.0, **where)
    save(figure, path, "Scores on the test part against the number of exchanges")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", help="one of the data sets")
    parser.add_argument("--epochs", type=int, help="of all, in place of 10 to 20")
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--steps", default="1,4,16,64,epoch")
    parser.add_argument("--wires", default="float32")
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    found = {}
    for task in TASKS:
        if options.only in (None, task.name):
            with opened(options.folder, task, options.shards) as data:
                each = ["synchronous", *options.steps.split(",")]
                epochs = options.epochs or task.epochs
                wires = options.wires.split(",")
                pairs = [(steps, wire) for steps in each for wire in wires]
                found[task] = [fit(task, data, *pair, epochs) for pair in pairs]
            show(task, found[task])
    if options.picture:
        draw(found, options.picture)


if __name__ == "__main__":
    main()
