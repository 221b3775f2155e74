"""README: its own script, pasted word for word, works in local mode without any setting."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def section(heading: str) -> str:
    return README.split(f"\n## {heading}\n")[1].split("\n## ")[0]


@pytest.mark.slow
def test_the_readers_own_script_runs_as_it_stands(tmp_path):
    own = section("Your own script")
    blocks = re.findall(r"```python\n(.*?)```", own, re.S)
    more = "print(small.num_shards == large.num_shards)\n"
    (tmp_path / "own.py").write_text("".join([*blocks, more]))
    settings = ("PYSPARK_", "SPARK_", "DPNN_", "PYTHONPATH")
    plain = {k: v for k, v in os.environ.items() if not k.startswith(settings)}
    command = [sys.executable, "own.py"]
    done = subprocess.run(command, cwd=tmp_path, env=plain, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (share,) = re.findall(r"^([\d.]+)% of 360 new digits read$", done.stdout, re.M)
    assert float(share) > 95
    for shown in re.findall(r"```text\n(.*?)```", own, re.S):
        said, printed = (re.sub(r"\d+\.\d%", "…", one) for one in (shown, done.stdout))
        assert said in printed
    assert done.stdout.strip().endswith("True")
    assert (tmp_path / "digits.safetensors").exists()


def test_the_script_is_ten_lines():
    code = re.findall(r"```python\n(.*?)```", section("Your own script"), re.S)[0]
    assert len(code.strip().splitlines()) <= 12


def test_commands_name_files_that_are_there():
    made = ("runs/", "dist/")
    written = re.sub(r"^```text.*?^```", "", README, flags=re.S | re.M)  # not what was printed
    for name in re.findall(r"(?:^|[\s=])((?:scripts|jobs|conf|dpnn|runs)/[\w./-]+)", written):
        assert name.startswith(made) or (ROOT / name).exists(), name
