"""An epoch in a line: what matters most is there however narrow the terminal."""

import numpy as np
import pytest

from dpnn.training.events import FitStarted
from dpnn.training.state import State
from dpnn.training.watchers import words
from dpnn.training.watchers.words import clock, count, epoch_line

FIGURES = {
    "epoch": 3,
    "loss": 0.12345,
    "mae": 0.5,
    "rmse": 0.25,
    "val_loss": 0.2,
    "val_mae": 0.6,
    "val_rmse": 0.3,
    "seconds": 1.0,
    "costs": {},
    "engine": "job",
}


def test_four_figures_where_there_is_room():
    line = epoch_line(FIGURES, 10, 12_345, "0:42 left")
    assert line == (
        "epoch  3/10  loss 0.1235  mae 0.5000  val_loss 0.2000  val_mae 0.6000  "
        "12.3k rows/s  0:42 left"
    )


@pytest.mark.parametrize("width", [60, 79, 100, 120])
def test_the_losses_the_rate_and_the_time_where_there_is_little(width):
    line = epoch_line(FIGURES, 10, 12_345, "0:42 left", width)
    assert len(line) <= width
    for part in ("epoch  3/10", "loss 0.12", "val_loss 0.2", "12.3k rows/s", "0:42 left"):
        assert part in line


def test_validation_comes_before_training():
    line = epoch_line(FIGURES, 10, 12_345, "0:42 left", 79)
    assert "val_mae" in line
    assert " mae" not in line


def test_counts_and_clocks():
    found = [count(n) for n in (7, 850, 1234, 12_345, 99_960, 999_499, 999_600, 4.56e6, 2e10)]
    assert found == ["7", "850", "1.23k", "12.3k", "100k", "999k", "1.00M", "4.56M", "20G"]
    assert [clock(s) for s in (7, 754, 11_045)] == ["0:07", "12:34", "3:04:05"]


def test_the_time_left_is_judged_by_the_last_epochs(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(words, "perf_counter", lambda: now[0])
    pace = words.Pace(FitStarted(State(np.zeros(1), {}), 10, 0, 0, 4, {}, 1))
    now[0] = 5.0
    assert pace.left(0, 1) == 5 * 39
    now[0] = 20.0  # the first epoch takes 20 seconds: the engine begins
    pace.mark(1)
    assert pace.left(1) == 20 / 4 * 36
    for epoch in range(2, 7):  # the others take 4
        now[0] += 4
        pace.mark(epoch)
        assert pace.left(epoch) == 4 * (10 - epoch)
    now[0] += 1
    assert pace.left(6, 1) == 15
    assert pace.lasted() == 41
