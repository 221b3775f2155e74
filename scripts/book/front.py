"""Pages outside of the book whose blocks run: README, and those on tables, with a Spark session."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from pathlib import Path

import pages

README = pages.ROOT / "README.md"
TABLES = ("a-table-in-ten-lines", "from-mllib")
_FIRST = re.compile(r"(?<=^```text\n)dpnn: epoch.*?(?=^```\n)", re.S | re.M)


def renew(name: str, data: Path | None) -> None:
    """Runs the blocks of README ("readme") or of a page on tables, and writes what they print."""
    path = README if name == "readme" else pages.DOCS / f"{name}.md"
    print(path.name, flush=True)
    if data is None and '"adult/' in path.read_text("utf-8"):
        print("  left as it is: it needs --data FOLDER", flush=True)
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        if data is not None:
            Path("adult").mkdir()
            for part in ("train", "test"):
                Path("adult", part).symlink_to(data / "adult" / part)
        text, _ = pages.run(path, {"__name__": "__main__", "spark": _session()})
    if path == README:
        text = _FIRST.sub(lambda _: first_run(), text)
    path.write_text(text, "utf-8")


def first_run() -> str:
    """What `scripts/train.sh` prints from its last epoch but one on."""
    command = [str(pages.ROOT / "scripts/train.sh")]
    run = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    lines = run.stdout.replace(f"{pages.ROOT}/", "…/").splitlines()
    (start,) = (i for i, line in enumerate(lines) if line.startswith("dpnn: epoch 14/15"))
    return "\n".join(line.rstrip() for line in lines[start:]) + "\n"


def _session() -> object:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    return builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
