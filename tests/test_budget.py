"""The library stays small enough to read in one evening, and the tree in house style."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


count_lines = load_script("count_lines")


def test_the_library_is_under_its_budget():
    counts = count_lines.count()
    assert {"layer.py", "dense.py", "optim.py"} <= counts.keys()
    total = count_lines.total(counts)
    assert total.lines < count_lines.LINES == 1000, counts
    assert total.density <= count_lines.DENSITY == 10.5, counts


def test_no_line_of_the_library_is_heavy():
    assert count_lines.HEAVY == 27
    heavy = {name: one.heavy for name, one in count_lines.count().items() if one.heavy}
    assert not heavy


SOURCE = '''"""Docstring
of two lines."""

# a comment
import os  # with code


class A:
    """One line."""

    x = """a string
that is no docstring"""

    def f(self):
        "a plain docstring"
        return (
            1  # one
        )
'''


def test_code_lines_bear_a_token_that_is_no_comment_and_no_docstring():
    assert count_lines.measure(SOURCE).lines == 8  # import, class, x (2), def, return ( 1 )
    assert count_lines.measure("").lines == 0
    assert count_lines.measure("x = 1; y = 2\n").lines == 1


def test_tokens_are_tokenizes_and_a_text_is_one():
    assert count_lines.measure(SOURCE).tokens == 2 + 3 + 3 + 6 + 4  # the string's lines are one
    assert count_lines.measure('x = f"{a} {b + c}"\n').tokens == 3
    wide = "f(" + ", ".join("abcdefghijkl") + ")\n"
    assert count_lines.measure(wide + "\n" + wide.replace("l", "l, m")) == (2, 54, (3,))


@pytest.mark.parametrize("arguments", [("format", "--check"), ("check",)])
def test_the_tree_is_in_house_style(arguments):
    pytest.importorskip("ruff")
    command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_line_of_the_library_is_longer_than_100_columns():
    for path in (ROOT / "dpnn").rglob("*.py"):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            assert len(line) <= 100, f"{path}:{number}"


def test_jobs_are_short_and_use_the_public_face_alone():
    jobs = sorted((ROOT / "jobs").glob("*.py"))
    assert {job.stem for job in jobs} == {"train", "evaluate", "predict"}
    for job in jobs:
        lines = job.read_text("utf-8").splitlines()
        assert len(lines) < 80, job
        assert not [line for line in lines if "dpnn." in line and "import" in line], job
