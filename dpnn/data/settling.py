"""What the facts of all shards say together: bad rows, none at all, and the layout of each split.

Driver; needs NumPy alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dpnn.data import checks
from dpnn.data.arrow import Spec
from dpnn.data.checks import DataError, EmptySplit, Problem, raise_problems
from dpnn.data.dtypes import agreed, joint
from dpnn.data.shards import SPLITS, Layout
from dpnn.data.splits import Rule


def settled(facts: list[dict], rules: Sequence[Rule], spec: Spec) -> dict[str, Layout]:
    """The layout of each split, which empty shards don't know; raises for bad rows and none."""
    raise_problems(Problem(**p) for fact in facts for p in fact["problems"])
    found = {
        split: {json.dumps(x): x for fact in facts for x in fact["layouts"].get(split, ())}
        for split in SPLITS
    }
    due = SPLITS if len(rules) > 1 or rules[0].asked else SPLITS[:1]
    told = dict(zip(SPLITS, (rule.told for rule in rules), strict=False))
    layouts: dict[str, Layout] = {}
    for split in due:
        if not found[split]:
            raise _no_rows(split, rules, any(found.values()))
        some = [tuple((n, d, tuple(s)) for n, d, s in x) for x in found[split].values()]
        one = joint(some)
        if one is None:
            raise DataError(told.get(split, "") + _unlike(some, spec))
        layouts[split] = one
        if weights := [f["heaviest"][split] for f in facts if split in f["heaviest"]]:
            checks.check_heaviest(split, max(weights))
    return agreed(layouts)


def _no_rows(split: str, rules: Sequence[Rule], others: bool) -> DataError:
    if len(rules) == 1 and others:
        return EmptySplit({"train": "training"}.get(split, split), rules[0].asked)
    told = dict(zip(SPLITS, rules, strict=True))[split].told if len(rules) > 1 else ""
    return DataError(f"{told}the data has no rows: check its path and filter")


def _unlike(layouts: Sequence[Layout], spec: Spec) -> str:
    """What rows of unequal shape are told."""
    a, b = next((a, b) for a in layouts for b in layouts if _shapes(a) != _shapes(b))
    i = next(i for i in range(len(a)) if a[i][2] != b[i][2])
    told = " and ".join(w for column in spec.parts[i].columns for w in column.where)
    return (
        f"{told}: rows have shape {a[i][2]} and shape {b[i][2]}: "
        "all rows must be equally long; pad, cut or filter them"
    )


def _shapes(layout: Layout) -> list[Any]:
    return [shape for _, _, shape in layout]
