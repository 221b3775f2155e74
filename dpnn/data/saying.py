"""What users hear of their data: lines on standard error, and the right name for a wrong one."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator, Sequence

from dpnn.data.encoders.wishes import Wish, Wishes

SHOWN = 8  # names in a line


def say(text: str) -> None:
    """A line on standard error, where Spark's own log goes."""
    sys.stderr.write(f"dpnn: {text}\n")
    sys.stderr.flush()


def some(names: Sequence[str]) -> str:
    """Quoted names; of many the first."""
    shown = ", ".join(repr(name) for name in names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def told_by_type(wishes: Wishes, others: Sequence[str]) -> Iterator[str]:
    """Columns that were chosen by their types, a line a kind; `others` could be none of them."""
    kinds: dict[str, Sequence[Wish]] = {
        "numeric": wishes.numbers,
        "categorical": wishes.categories,
        "date": wishes.dates,
    }
    for kind, chosen in kinds.items():
        if chosen:
            yield f"by type, {len(chosen)} {kind}: {some([wish.name for wish in chosen])}"
    if others:
        yield f"by type, left out: {some(others)}"


def hint(name: str, known: Iterable[str]) -> str:
    """ ": did you mean 'Age'?" or ": there are …", to end an error with; case does not matter."""
    names = {str(one).lower(): str(one) for one in known}
    near = difflib.get_close_matches(str(name).lower(), list(names), 1, 0.5)
    return (
        f": did you mean {names[near[0]]!r}?" if near else f": there are {some([*names.values()])}"
    )
