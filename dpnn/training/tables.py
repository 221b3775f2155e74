"""A history as a short table, for a terminal and for a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

FIRST, LAST = 3, 9  # of a long fit, so many epochs at its beginning and its end
WIDTH = 80
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


def by_importance(names: list[str]) -> list[str]:
    """What to show first where not all has room: the losses, then a validation metric."""
    held = [name for name in names if name.startswith("val_") and name != "val_loss"]
    first = [name for name in ("epoch", "loss", "val_loss", *held[:1]) if name in names]
    training = [name for name in names if name not in (*first, *held)]
    return [*first, *training, *held[1:]]


def text(history: Mapping[str, list[Any]], kept: int | None = None, width: int = WIDTH) -> str:
    """In at most `width` columns; figures that have no room are left out."""
    names, rows = cells(history, kept)
    if not rows:
        return "no epochs yet"
    columns = list(zip(names, *rows, strict=True))
    widths = {column[0]: max(map(len, column)) for column in columns}
    shown: list[str] = []
    for name in by_importance(names):
        if sum(widths[n] + 2 for n in (*shown, name)) - 2 <= width:
            shown.append(name)
    padded = [[c.rjust(widths[col[0]]) for c in col] for col in columns if col[0] in shown]
    lines = ["  ".join(row) for row in zip(*padded, strict=True)]
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
