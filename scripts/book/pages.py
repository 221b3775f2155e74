"""The book's pages: their Python blocks are run in order, and what they print stands below them.

A ```python block is run. A ```text block right after it is what it printed: word for word, but
for the numbers where it says ```text measured. A ```python block that begins with `# not run` is
left alone. `run(page)` gives the page with what was printed this time, and all that its blocks
defined: the pictures are drawn from that.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
CHAPTERS = sorted(path.name[0] for path in DOCS.glob("[1-9]-*.md"))
PICTURES = DOCS / "pictures"

_BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n?^```text(?P<measured> measured)?\n(?P<out>.*?)^```\n)?",
    re.S | re.M,
)
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Block:
    """Code of a page, what should be printed (None: nothing), and where both stand."""

    code: str
    printed: str | None
    measured: bool
    line: int  # of the code's first line
    span: tuple[int, int]  # of the printed text in the page


def page(number: str) -> Path:
    """The chapter of that number."""
    (path,) = DOCS.glob(f"{number}-*.md")
    return path


def blocks(text: str) -> Iterator[Block]:
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code")) + 1
        measured = found["measured"] is not None
        if not found["code"].startswith("# not run"):
            yield Block(found["code"], found["out"], measured, line, found.span("out"))


def run(page: Path, names: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
    """The page with what its blocks print now, and their names."""
    names = {"__name__": "__main__"} if names is None else names
    text = page.read_text("utf-8")
    pieces, end = [], 0
    for block in blocks(text):
        printed = _run(block, page, names)
        if block.printed is None:
            if printed:
                raise ValueError(f"{page.name}:{block.line} prints, but no text block says what")
            continue
        pieces += [text[end : block.span[0]], printed]
        end = block.span[1]
    return "".join([*pieces, text[end:]]), names


def differences(text: str, now: str) -> list[str]:
    """What a page says was printed and is printed otherwise now; measured numbers may differ."""
    found = []
    for old, new in zip(blocks(text), blocks(now), strict=True):
        said, says = old.printed or "", new.printed or ""
        if old.measured:
            said, says = _shape(said), _shape(says)
        if said != says:
            found.append(f"line {old.line}: the page says\n{old.printed}\nbut it is\n{new.printed}")
    return found


def _run(block: Block, page: Path, names: dict[str, Any]) -> str:
    code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, names)
    return out.getvalue()


def _shape(printed: str) -> str:
    """What was printed without its numbers, and without the spaces that align them."""
    return re.sub(r"[ ]+", " ", _NUMBER.sub("0", printed))
