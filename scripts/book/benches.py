"""The benchmarks that pages quote: what a block of one `scripts/bench.sh …` prints stands below it.

The ```bash block has the command alone, and the ```text measured block after it the whole of what
it printed. FOLDER in a command stands for a folder with mnist/, adult/ and california/.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pages

_BLOCK = re.compile(
    r"^```bash\nscripts/bench\.sh (?P<command>[^\n]*)\n```\n\n```text measured\n(?P<out>.*?)^```\n",
    re.S | re.M,
)
NAMES = sorted(
    path.stem for path in (pages.ROOT / "scripts/bench").glob("*.py") if path.stem[0] != "_"
)


def quoting() -> list[Path]:
    """The pages that quote a benchmark."""
    every = [pages.ROOT / "README.md", *sorted(pages.DOCS.glob("*.md"))]
    return [path for path in every if _BLOCK.search(path.read_text("utf-8"))]


def quoted(text: str) -> Iterator[tuple[str, str]]:
    """Each benchmark's command in a page, and what it printed."""
    for found in _BLOCK.finditer(text):
        yield found["command"], found["out"]


def renew(path: Path, names: list[str], data: Path | None) -> None:
    """Runs the page's benchmarks of these names and writes what they print now below them."""
    text, end = path.read_text("utf-8"), 0
    pieces = []
    for found in _BLOCK.finditer(text):
        name, *arguments = shlex.split(found["command"])
        if name not in names:
            continue
        print(f"{path.name}: {found['command']}", flush=True)
        if data is None and "FOLDER" in found["command"]:
            print("  left as it is: it needs --data FOLDER", flush=True)
            continue
        pieces += [text[end : found.start("out")], _output(name, arguments, data)]
        end = found.end("out")
    path.write_text("".join([*pieces, text[end:]]), "utf-8")


def _output(name: str, arguments: list[str], data: Path | None) -> str:
    given = [one.replace("FOLDER", str(data)) for one in arguments]
    command = [sys.executable, str(pages.ROOT / f"scripts/bench/{name}.py"), *given]
    run = subprocess.run(command, cwd=pages.ROOT, stdout=subprocess.PIPE, text=True, check=True)
    printed = run.stdout.strip("\n")
    return "\n".join(line.rstrip() for line in printed.splitlines()) + "\n"
