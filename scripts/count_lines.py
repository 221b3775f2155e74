"""Count the code lines of dpnn/nn/core, the library that must stay readable in one evening.

A code line bears a token that is neither a comment nor part of a docstring. `count_lines.py [DIR]`
prints the count of every file and the total.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from pathlib import Path

BUDGET = 1000
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


def code_lines(source: str) -> int:
    """The number of lines of Python source that bear a token, docstrings and comments aside."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _SILENT:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - _docstring_lines(ast.parse(source)))


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


def count(directory: Path = LIBRARY) -> dict[str, int]:
    """Code lines by file, in the order of their names."""
    return {
        str(path.relative_to(directory)): code_lines(path.read_text("utf-8"))
        for path in sorted(directory.rglob("*.py"))
    }


def main(directory: Path) -> None:
    counts = count(directory)
    for name, lines in counts.items():
        print(f"{lines:6d}  {name}")
    print(f"{sum(counts.values()):6d}  code lines in {len(counts)} files, budget {BUDGET}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else LIBRARY)
