"""A fit in a notebook: one table that grows, with a bar for the epoch at work. Driver."""

from __future__ import annotations

from html import escape
from time import perf_counter
from typing import Any

from dpnn.training import tables
from dpnn.training.events import EpochDone, FitEnded, FitStarted, StepDone
from dpnn.training.watchers import words
from dpnn.training.watchers.progress import LOGGED, Lines

EVERY = 0.3  # seconds between two pictures of the table


class Notebook(Lines):
    """One output of the cell, replaced as the fit goes on; a saved notebook keeps the last one."""

    def __init__(self) -> None:
        self._notes: list[str] = []
        self._now = ""
        self._share, self._shown = 0.0, 0.0

    def on_fit_start(self, event: FitStarted) -> None:
        from IPython.display import display

        self._history: Any = event.state.history
        self._handle = display(self, display_id=True)
        super().on_fit_start(event)

    def on_step(self, event: StepDone) -> None:
        if perf_counter() - self._shown < EVERY:
            return
        left = words.clock(self.pace.left(event.epoch - 1, event.step))
        title = f"epoch {event.epoch}/{self.pace.epochs}"
        self._share = event.step / event.steps
        self._now = f"{title}  loss {event.loss:.4f}  {left} left"
        self._show()

    def on_epoch(self, event: EpochDone) -> None:
        self._share, self._now = 1.0, self.line(event, LOGGED)
        if perf_counter() - self._shown >= EVERY:
            self._show()

    def on_fit_end(self, event: FitEnded) -> None:
        super().on_fit_end(event)
        self._show()

    def write(self, text: str) -> None:
        self._notes.append(text)
        self._show()

    def note(self, text: str) -> None:
        self.write(text)

    def _show(self) -> None:
        self._shown = perf_counter()
        self._handle.update(self)

    def _repr_html_(self) -> str:
        bar = f'<progress value="{self._share:.3f}" max="1"></progress> {escape(self._now)}'
        notes = "".join(f"<div>{escape(note)}</div>" for note in self._notes)
        return f"<div>{bar}</div>{tables.html(self._history, self._history.kept_epoch)}{notes}"

    def __repr__(self) -> str:
        table = tables.text(self._history, self._history.kept_epoch)
        return "\n".join([table, self._now, *self._notes])
