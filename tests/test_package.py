"""What is shipped: the wheel, the zip for executors, the data set inside, the scripts."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import dpnn
from dpnn.datasets import digits

ROOT = Path(__file__).resolve().parents[1]
CHECK = """
import dpnn, pyarrow.parquet as pq
from dpnn import Trainer, load, nn
from dpnn.datasets import digits
print(dpnn.__file__, sum(pq.read_table(path).num_rows for path in digits()))
"""


def run(*command, **environment):
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | environment
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env, cwd="/")


def test_digits_are_what_they_say():
    rows = {}
    for part, path in digits()._asdict().items():
        table = pq.read_table(path)
        pixels = np.stack(table["pixels"].to_numpy())
        assert pixels.shape[1] == 64
        assert (pixels.dtype, pixels.min(), pixels.max()) == (np.int16, 0, 16)
        counts = np.bincount(table["label"].to_numpy(), minlength=10)
        assert counts.max() - counts.min() <= 0.1 * counts.max() + 2, "not stratified"
        rows[part] = {row.tobytes() for row in pixels}
        assert len(rows[part]) == table.num_rows == {"train": 1437, "test": 360}[part]
    assert not rows["train"] & rows["test"]


def test_the_data_set_can_be_made_again(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("make_digits", ROOT / "scripts" / "make_digits.py")
    make_digits = module_from_spec(spec)
    spec.loader.exec_module(make_digits)
    monkeypatch.setattr(make_digits, "OUT", tmp_path)
    make_digits.main()
    for part, path in digits()._asdict().items():
        assert pq.read_table(path).equals(pq.read_table(tmp_path / part))


def test_versions_agree():
    assert f'version = "{dpnn.__version__}"' in (ROOT / "pyproject.toml").read_text()
    assert f"## [{dpnn.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_zip_is_all_that_a_bare_python_needs(tmp_path):
    zipped = tmp_path / "dpnn.zip"
    run(sys.executable, ROOT / "scripts" / "package.py", zipped, PYTHONPATH=str(ROOT))
    with zipfile.ZipFile(zipped) as archive:
        names = archive.namelist()
    assert "threadpoolctl.py" in names
    assert all(name.startswith("dpnn/") for name in names if name != "threadpoolctl.py")
    done = run(sys.executable, "-S", "-c", "import sys; print(sys.path)")  # no site: no .pth
    assert str(ROOT) not in done.stdout
    done = run(sys.executable, "-c", CHECK, PYTHONPATH=str(zipped))
    assert done.stdout.startswith(f"{zipped}/dpnn/")
    assert done.stdout.split()[-1] == "1797"


def test_the_zip_has_the_same_bytes_each_time(tmp_path):
    for name in ("a.zip", "b.zip"):
        run(sys.executable, ROOT / "scripts" / "package.py", tmp_path / name, PYTHONPATH=str(ROOT))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.slow
def test_the_wheel_installs_and_works(tmp_path):
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("dpnn-*.whl")
    target = tmp_path / "site"
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel)
    done = run(sys.executable, "-c", CHECK, PYTHONPATH=str(target))
    assert done.stdout.startswith(str(target))
    assert done.stdout.split()[-1] == "1797"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {"dpnn/datasets/ATTRIBUTION.md", "dpnn/py.typed"} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "scripts/", "jobs/"))]


@pytest.mark.parametrize("path", sorted(ROOT.glob("scripts/*.sh")), ids=lambda path: path.name)
def test_scripts_are_whole_and_strict(path):
    run("bash", "-n", path)
    text = path.read_text()
    assert "set -euo pipefail" in text or path.name == "setup.sh"
    assert path.name == "setup.sh" or os.access(path, os.X_OK)
