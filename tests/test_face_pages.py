"""Pages on tables and pipelines: their code runs, and says the words that stand there."""

import importlib.util
import sys
from pathlib import Path

import pytest

from tests import adult

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def pages():
    path = ROOT / "scripts" / "book" / "pages.py"
    spec = importlib.util.spec_from_file_location("pages", path)
    sys.modules["pages"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(pages, spark_session, tmp_path):
    """Runs a page's blocks on files in `tmp_path`: (what it says, what is said now, its names)."""

    def run(name):
        said = (ROOT / "docs" / name).read_text().replace('"adult/', f'"{tmp_path}/adult/')
        (tmp_path / name).write_text(said)
        now, names = pages.run(tmp_path / name, {"__name__": "__main__", "spark": spark_session})
        return said, now, names

    return run


def test_a_table_in_ten_lines(run, pages, tmp_path, capsys):
    adult.write(tmp_path / "adult", 500)
    said, now, names = run("a-table-in-ten-lines.md")
    exact = [(a, b) for a, b in zip(pages.blocks(said), pages.blocks(now), strict=True)]
    assert all(a.printed == b.printed for a, b in exact if not a.measured)
    assert names["figures"]["auc"] > 0.8
    assert names["scored"].columns[-3:] == ["rawPrediction", "probability", "prediction"]
    assert names["scored"].count() == 500
    assert len(names["importance"]) == 13
    assert names["probabilities"].shape == (5, 2)
    told = "dpnn: by type, 6 numeric: 'age', 'fnlwgt', "
    assert told in capsys.readouterr().err
    first = next(pages.blocks(said)).code
    assert first.count("\n") <= 14


def test_from_mllib(run, pages):
    said, now, names = run("from-mllib.md")
    assert not pages.differences(said, now)
    assert names["accuracy"].evaluate(names["model"].transform(names["test"])) > 0.9
    assert names["prices"].evaluate(names["houses"])["rmse"] < 20
