"""Chapters 1 to 3 as notebooks, from the same Markdown: `notebook.py` writes docs/*.ipynb.

What the page says was printed is left out: a notebook prints it itself.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pages

NOTEBOOKS = ("1", "2", "3")
_CODE = re.compile(r"^```python\n(.*?)^```\n(?:\n?^```text[^\n]*\n.*?^```\n)?", re.S | re.M)


def of(text: str) -> str:
    """The notebook of a page, as JSON."""
    cells = []
    for i, piece in enumerate(_CODE.split(text)):
        source = piece.strip("\n")
        if source:
            cells.append(_cell(f"cell-{i}", source, code=i % 2 == 1))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def path(number: str) -> Path:
    return pages.page(number).with_suffix(".ipynb")


def _cell(name: str, source: str, code: bool) -> dict[str, Any]:
    cell: dict[str, Any] = {"id": name, "metadata": {}, "source": source.splitlines(keepends=True)}
    if code:
        return {"cell_type": "code", "execution_count": None, "outputs": [], **cell}
    return {"cell_type": "markdown", **cell}


def main() -> None:
    for number in NOTEBOOKS:
        path(number).write_text(of(pages.page(number).read_text("utf-8")), "utf-8")
        print(path(number).relative_to(pages.ROOT))


if __name__ == "__main__":
    main()
