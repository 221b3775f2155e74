"""Runs the book: writes what its blocks print, and draws its pictures from what they computed.

`draw.py [--check] [CHAPTER ...]`: chapters by number, and "readme" for README's pictures; all of
them unless some are named. --check writes and draws nothing, and fails where a page says other than
what its blocks print.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

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


def main(arguments: list[str]) -> None:
    check = "--check" in arguments
    numbers = [one for one in arguments if one != "--check"]
    wrong = []
    for number in numbers or [*pages.CHAPTERS, "readme"]:
        if number == "readme":
            pictures(number, (pages.ROOT / "README.md").read_text("utf-8"))
            continue
        path = pages.page(number)
        print(path.name, flush=True)
        text, names = pages.run(path)
        if check:
            wrong += [f"{path.name}, {one}" for one in pages.differences(path.read_text(), text)]
        else:
            draw(number, text, names)
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main(sys.argv[1:])
