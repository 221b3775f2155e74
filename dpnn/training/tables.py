"""A history as a short table, for a terminal and for a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

FIRST, LAST = 3, 9  # of a long fit, so many epochs at its beginning and its end
KEPT = "*"  # marks the epoch whose weights the model has

Rows = list[list[str]]


def number(value: Any, places: int = 4) -> str:
    """So many places where a figure is of ordinary size, else in powers of ten."""
    if not isinstance(value, float):
        return "" if value is None else str(value)
    if value != value:  # NaN: unknown
        return "-"
    if value == 0 or 10 ** (1 - places) <= abs(value) < 1e4:
        return f"{value:.{places}f}"
    return f"{value:.{places - 2}e}"


def cells(history: Mapping[str, list[Any]], kept: int | None = None) -> tuple[list[str], Rows]:
    """(names, rows of text): figures that are numbers; … stands for the epochs left out."""
    names = [name for name, values in history.items() if _shown(values)]
    rows, before = [], -1
    epochs = history.get("epoch", [])
    for i, epoch in enumerate(epochs):
        if FIRST <= i < len(epochs) - LAST and epoch != kept:
            continue
        if i > before + 1:
            rows.append(["…"] * len(names))
        row = [number(history[name][i]) for name in names]
        if epoch == kept:
            row[0] = f"{KEPT}{row[0]}"
        rows.append(row)
        before = i
    return names, rows


def text(history: Mapping[str, list[Any]], kept: int | None = None) -> str:
    names, rows = cells(history, kept)
    if not rows:
        return "no epochs yet"
    table = [names, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(names))]
    lines = ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in table]
    if kept is not None:
        lines.append(f"{KEPT} the kept epoch")
    return "\n".join(lines)


def html(history: Mapping[str, list[Any]], kept: int | None = None) -> str:
    names, rows = cells(history, kept)
    if not rows:
        return "<i>no epochs yet</i>"
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = ""
    for row in rows:
        bold = ' style="font-weight:bold"' if row[0].startswith(KEPT) else ""
        body += f"<tr{bold}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _shown(values: list[Any]) -> bool:
    return any(isinstance(value, int | float) for value in values)
