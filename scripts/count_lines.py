"""Count dpnn/nn/core, the book that is read in one evening: lines, tokens, heavy lines.

A code line bears a token that is neither a comment nor part of a docstring; its tokens are those
that `tokenize` gives (a text counts once, whatever it formats). A heavy line has more than HEAVY of
them. `count_lines.py [DIR]` prints the counts of every file and the total.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LINES = 1000  # the library has fewer
DENSITY = 10.5  # tokens a line, on average at most
HEAVY = 27  # tokens that no line goes beyond
LIBRARY = Path(__file__).resolve().parents[1] / "dpnn" / "nn" / "core"

_SILENT = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


class Count(NamedTuple):
    """What a file, or a sum of files, amounts to."""

    lines: int
    tokens: int
    heavy: tuple[int, ...]  # the numbers of the lines that are

    @property
    def density(self) -> float:
        return self.tokens / max(self.lines, 1)


def measure(source: str) -> Count:
    """The counts of Python source."""
    silent = _docstring_lines(ast.parse(source))
    lines: set[int] = set()
    tokens: Counter[int] = Counter()
    for token in _tokens(source):
        if token.start[0] not in silent:
            lines.update(range(token.start[0], token.end[0] + 1))
            tokens[token.start[0]] += 1
    heavy = tuple(line for line, count in sorted(tokens.items()) if count > HEAVY)
    return Count(len(lines), sum(tokens.values()), heavy)


def _tokens(source: str) -> Iterator[tokenize.TokenInfo]:
    """Those that count. From Python 3.12 on a formatted text comes in parts: it counts once."""
    depth = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        name = tokenize.tok_name[token.type]
        if name == "FSTRING_END":
            depth -= 1
        if depth == 0 and token.type not in _SILENT and name != "FSTRING_START":
            yield token
        if name == "FSTRING_START":
            depth += 1


def _docstring_lines(tree: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                lines.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return lines


def count(directory: Path = LIBRARY) -> dict[str, Count]:
    """The counts by file, in the order of their names."""
    return {
        str(path.relative_to(directory)): measure(path.read_text("utf-8"))
        for path in sorted(directory.rglob("*.py"))
    }


def total(counts: dict[str, Count]) -> Count:
    """The sum; heavy lines are numbered within their files."""
    found = counts.values()
    heavy = tuple(line for one in found for line in one.heavy)
    return Count(sum(one.lines for one in found), sum(one.tokens for one in found), heavy)


def main(directory: Path) -> None:
    counts = count(directory)
    print(f"{'lines':>6}{'tokens':>8}{'a line':>8}{'heavy':>7}")
    for name, one in [*counts.items(), ("total", total(counts))]:
        print(f"{one.lines:6d}{one.tokens:8d}{one.density:8.1f}{len(one.heavy):7d}  {name}")
    print(f"the book has fewer than {LINES} lines, {DENSITY} tokens a line, none above {HEAVY}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else LIBRARY)
