"""The public face: an editor that asks `dir` sees every name, and every name is there."""

import subprocess
import sys
from pathlib import Path

import pytest

import dpnn
from dpnn import nn

ROOT = Path(__file__).resolve().parents[1]


def in_a_fresh_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_dir_lists_every_public_name_before_anything_is_loaded() -> None:
    code = "import dpnn; print(sorted(set(dpnn.__all__) - set(dir(dpnn))), len(dpnn.__all__))"
    assert in_a_fresh_process(code) == f"[] {len(dpnn.__all__)}"


def test_dir_loads_nothing() -> None:
    code = "import sys, dpnn; dir(dpnn); print({'numpy', 'pyspark', 'dpnn.nn'} & {*sys.modules})"
    assert in_a_fresh_process(code) == "set()"


@pytest.mark.parametrize("name", dpnn.__all__)
def test_every_public_name_is_there_under_its_name(name: str) -> None:
    value = getattr(dpnn, name)
    assert value.__name__.rpartition(".")[2] == name


def test_type_checkers_and_programs_see_the_same_names() -> None:
    assert sorted(dpnn.__all__) == dpnn.__all__ == sorted(dpnn._HOMES)


def test_the_library_lists_all_its_names() -> None:
    assert set(nn.__all__) <= set(dir(nn))
    assert [name for name in dir(nn) if name.startswith("L")] == [
        "LAMB",
        "LBFGS",
        "LSTM",
        "Layer",
        "LayerNorm",
        "Layout",
        "LeakyReLU",
        "Lion",
        "Loss",
    ]


def test_a_wrong_name_hears_the_right_one() -> None:
    with pytest.raises(AttributeError, match="dpnn: no 'Trainr': did you mean 'Trainer'\\?"):
        dpnn.Trainr  # noqa: B018
    assert not hasattr(dpnn, "__wrapped__")
