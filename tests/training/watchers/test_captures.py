"""What people see of a fit, taken anew and compared in shape with what was looked at.

DPNN_CAPTURE=1 writes tests/training/captures anew: look at them before they are committed.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training import screen

ROOT = Path(__file__).resolve().parents[3]
CAPTURES = ROOT / "tests" / "training" / "captures"
FIT = str(CAPTURES / "fit.py")
SETTINGS = {"cwd": ROOT, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}


def shape(text):
    """Without what is another at each run: numbers, and an advice that hangs on the machine."""
    lines = [line.rstrip() for line in text.strip().splitlines()]
    lines = [re.sub(r"[\d.]+[kMG]? rows/s", "N rows/s", line) for line in lines]
    return [
        re.sub(r" +", " ", re.sub(r"\d", "0", line))
        for line in lines
        if not re.match(r"dpnn: (exchange|waiting)|(exchange|waiting)", line)
    ]


def compare(name, text):
    text = "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"
    file = CAPTURES / name
    if os.environ.get("DPNN_CAPTURE"):
        file.write_text(text)
    assert shape(text) == shape(file.read_text())


def test_a_terminal_of_80_columns():
    written = screen.run([FIT], columns=80, **SETTINGS)
    seen = screen.pictures(written)
    live = [line for line in seen if "━" in line]
    assert live
    assert max(map(len, seen)) < 80
    assert all(re.search(r"epoch +\d+/12 .* %  loss \d.* left$", line) for line in live)
    finished = [line for line in seen if "val_loss" in line and line.startswith("epoch")]
    assert len(finished) == 5
    for line in finished:
        assert re.search(
            r"epoch .* loss .* val_loss .* val_accuracy .* rows/s +(\S+ left|in \S+)$", line
        )
    compare("terminal.txt", screen.screen(written))


def test_a_terminal_of_40_columns():
    written = screen.run([FIT], columns=40, **SETTINGS)
    lines = [line for line in screen.pictures(written) if line.startswith("epoch ")]
    assert max(map(len, lines)) < 40


def test_a_log():
    done = subprocess.run([sys.executable, FIT], capture_output=True, text=True, **SETTINGS)
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("dpnn: epoch")]) == 5
    compare("log.txt", done.stderr + done.stdout)


def test_a_notebook_that_runs_headless():
    pytest.importorskip("ipykernel")
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    cells = [f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(CAPTURES)!r}]; from fit import fit"]
    cells += ["result = fit()", "result", "result.history", "result.history.plot()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [cell.outputs for cell in notebook.cells]
    (live,) = outputs[1]  # one output that was updated, no stream of lines
    assert "<table>" in live.data["text/html"]
    assert "val_loss" in live.data["text/html"]
    assert outputs[4][0].data["image/png"].startswith("iVBOR")
    texts = [out.data["text/plain"] for cell in outputs[1:4] for out in cell]
    compare("notebook.txt", "\n\n".join(texts))
