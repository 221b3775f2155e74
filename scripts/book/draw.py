"""Runs the book: writes what its blocks print, and draws its pictures from what they computed.

`draw.py [--check] [--data FOLDER] [NAME ...]`: chapters by number, benchmarks that pages quote by
name, pages on tables by name, and "readme" for README's blocks and pictures; all of them unless
some are named. FOLDER has mnist/, adult/ and california/ for what reads them. --check writes and
draws nothing, runs no benchmark, and fails where a page says other than what its blocks print.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

import benches
import front
import notebook
import pages


def draw(number: str, text: str, names: dict[str, object]) -> None:
    pages.page(number).write_text(text, "utf-8")
    pictures(number, names)
    if number in notebook.NOTEBOOKS:
        notebook.path(number).write_text(notebook.of(text), "utf-8")


def pictures(name: str, source: Any) -> None:
    for path in importlib.import_module(f"pictures_{name}").draw(source, pages.PICTURES):
        print(f"  {path.relative_to(pages.ROOT)}", flush=True)


def check(numbers: list[str]) -> None:
    wrong = []
    for path in map(pages.page, numbers):
        print(path.name, flush=True)
        text, _ = pages.run(path)
        wrong += [f"{path.name}, {one}" for one in pages.differences(path.read_text(), text)]
    if wrong:
        sys.exit("\n".join(wrong))


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    every = [*pages.CHAPTERS, *benches.NAMES, *front.TABLES, "readme"]
    if unknown := set(given.names).difference(every):
        parser.error(f"no {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    names = given.names or every
    chapters = [name for name in names if name in pages.CHAPTERS]
    if given.check:
        check(chapters)
        return
    for number in chapters:
        print(pages.page(number).name, flush=True)
        draw(number, *pages.run(pages.page(number)))
    data = given.data and given.data.resolve()
    for path in benches.quoting():
        benches.renew(path, names, data)
    for name in names:
        if name in (*front.TABLES, "readme"):
            front.renew(name, data)
    if "readme" in names:
        pictures("readme", (pages.ROOT / "README.md").read_text("utf-8"))


if __name__ == "__main__":
    main()
