"""What `fit` returns."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from dpnn.models.model import TrainedModel
from dpnn.training.history import Choice, History
from dpnn.training.tables import number


@dataclass(frozen=True, repr=False)
class Result:
    """The model and how it came about.

    model       the trained model: predict, transform, evaluate, save
    history     the figures of each epoch
    engine      the engine that took the last step
    num_shards  give it to `fit` for the same weights on another machine
    best_epoch  the epoch whose weights the model has: with `patience` the best, else the last
    engines     which engine took over when, and why
    stopped     why the fit ended before its time, or None
    """

    model: TrainedModel
    history: History
    engine: str
    num_shards: int
    best_epoch: int
    engines: tuple[Choice, ...] = ()
    stopped: str | None = None

    @property
    def figures(self) -> dict[str, Any]:
        """The figures of the epoch whose weights the model has; {} where none is finished."""
        return self.history.figures(self.best_epoch)

    def __repr__(self) -> str:
        lines = [f"engine     {self.engine}, {self.num_shards} shards"]
        lines += [f"           {_told(choice)}" for choice in self.engines if choice.reason]
        ended = f", stopped: {self.stopped}" if self.stopped else ""
        lines.append(f"epochs     {self.history.epochs}{ended}")
        lines.append(f"kept epoch {self.best_epoch}")
        figures = {n: v for n, v in self.figures.items() if isinstance(v, float) and n != "seconds"}
        for name in figures:
            if name.startswith("val_"):
                continue
            held = figures.get(f"val_{name}")
            on_held = "" if held is None else f", {number(held)} on held-out rows"
            lines.append(f"{name:<10} {number(figures[name])} in training{on_held}")
        others = [name for name in figures if name.startswith("val_") and name[4:] not in figures]
        if others:
            said = [f"{n[4:].replace('_', ' ')} {number(figures[n])}" for n in others]
            lines += wrap(f"held-out   {', '.join(said)}", 80, subsequent_indent=" " * 11)
        return "\n".join(lines)


def _told(choice: Choice) -> str:
    if choice.epoch or choice.step:
        since = f"from epoch {choice.epoch + 1} step {choice.step + 1} on"
        return f"{choice.engine} {since}: {choice.reason}"
    return choice.reason
