"""How a fit shows itself: a live line in a terminal, a table in a notebook, else a line an epoch.

Everything goes to standard error, where Spark's own log goes. Driver.
"""

from __future__ import annotations

import os
import sys
from time import perf_counter
from typing import TextIO

from dpnn.training.events import EngineChosen, EpochDone, FitEnded, FitStarted, StepDone
from dpnn.training.watchers import words

EVERY = 0.1  # seconds between two pictures of the same line
LOGGED = 120  # columns of a line in a log
FULL, HALF = "━", "╸"


def progress() -> Lines:
    """What fits to where the fit runs."""
    if _in_notebook():
        from dpnn.training.watchers.notebook import Notebook

        return Notebook()
    return Terminal(sys.stderr) if sys.stderr.isatty() else Lines(sys.stderr)


class Lines:
    """One sober line for each epoch and each thing that happens beside."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def on_fit_start(self, event: FitStarted) -> None:
        self.pace = words.Pace(event)
        for line in words.opening(event):
            self.note(line)

    def on_engine(self, event: EngineChosen) -> None:
        if event.reason:
            self.note(words.engine_line(event))

    def on_epoch(self, event: EpochDone) -> None:
        self.write(f"dpnn: {self.line(event, LOGGED)}")

    def on_fit_end(self, event: FitEnded) -> None:
        if event.error is None:
            for line in words.closing(event):
                self.note(line)

    def note(self, text: str) -> None:
        self.write(f"dpnn: {text}")

    def write(self, text: str) -> None:
        self._out.write(f"{text}\n")
        self._out.flush()

    def line(self, event: EpochDone, width: int | None = None) -> str:
        """The epoch's line, with the time that is left or, at the end, that it took."""
        self.pace.mark(event.epoch)
        pace, rate = self.pace, event.rows / max(event.seconds, 1e-9)
        if event.epoch < pace.epochs and event.state.stopped is None:
            time = f"{words.clock(pace.left(event.epoch))} left"
        else:
            time = f"in {words.clock(pace.lasted())}"
        return words.epoch_line(event.figures, pace.epochs, rate, time, width)


class Terminal(Lines):
    """The epoch at work in a line that moves; a finished one stays above it."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._shown = 0.0
        self._live = False

    def on_step(self, event: StepDone) -> None:
        now = perf_counter()
        if now - self._shown < EVERY:
            return
        self._shown, self._live = now, True
        pace = self.pace
        title = f"epoch {event.epoch:>{len(str(pace.epochs))}}/{pace.epochs}"
        left = words.clock(pace.left(event.epoch - 1, event.step))
        rest = f"{100 * event.step // event.steps:>3} %  loss {event.loss:.4f}  {left} left"
        width = self.width()
        room = max(min(width - len(title) - len(rest) - 4, 40), 0)
        line = f"{title}  {bar(event.step / event.steps, room)}  {rest}"
        self._out.write(f"\r{line[:width]}\x1b[K")
        self._out.flush()

    def on_epoch(self, event: EpochDone) -> None:
        self.write(self.line(event, self.width()))

    def on_fit_end(self, event: FitEnded) -> None:
        if event.error is not None and self._live:
            self._out.write("\n")
        super().on_fit_end(event)

    def write(self, text: str) -> None:
        self._out.write(f"\r{text}\x1b[K\n" if self._live else f"{text}\n")
        self._out.flush()
        self._live = False

    def width(self) -> int:
        """Of the terminal, less the last column, in which some begin a new line."""
        try:
            columns = os.get_terminal_size(self._out.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        return (columns or 80) - 1


def bar(share: float, width: int) -> str:
    """A line of `width` columns, drawn as far as `share`."""
    halves = int(2 * width * share)
    return (FULL * (halves // 2) + HALF * (halves % 2)).ljust(width)


def _in_notebook() -> bool:
    """Whether this process is a notebook's kernel, and not a terminal of IPython's."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")
