"""How much worse a model is once a column's values are dealt to other rows: permutation importance.

The frame is read once, into raw shards by the content of its rows; each shard deals out its own
rows' values. So the figures are the same however the frame is partitioned. Breiman 2001.

Functions say which side they run on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dpnn.data.encoders.encoders import Encoders
from dpnn.data.encoding_tasks import encoded_arrays
from dpnn.data.files import Handle, open_shard
from dpnn.data.shards import Shape
from dpnn.data.sparse import dense
from dpnn.models.evaluation import Tally
from dpnn.models.scorer import Scorer, Sent, bound
from dpnn.nn.more.exact import Packed
from dpnn.nn.more.metrics import better

if TYPE_CHECKING:
    import pandas as pd

SHARDS = 8  # fixed: figures depend on it


class Unit(NamedTuple):
    """A column, and which numbers of a row's arrays come of it: array name -> a slice of its last
    axis, or None for all of them.
    """

    name: str
    places: dict[str, slice | None]


def importance(
    df: Any, scorer: Scorer, sent: Sent, columns: tuple[Any, Any], metric: str, seed: int
) -> pd.DataFrame:
    """Driver. `column` and `importance`, the most important first; columns: (inputs, label).

    The importance is what the metric loses: how much lower it is where higher is better, and how
    much higher where lower is.
    """
    import pandas as pd

    from dpnn.data.columns import is_text
    from dpnn.data.ingest import ingest

    inputs, label = columns
    Tally(scorer, [metric])  # ValueError where there is no such metric
    encoders = inputs if isinstance(inputs, Encoders) else None
    with ingest(df, inputs, label, num_shards=SHARDS) as shards:
        layout = {name: shape for name, _, shape in shards.facts["train"].layout}
        units = list(of_encoders(encoders) if encoders else of_inputs(inputs, layout))
        task = partial(
            measure,
            units=units,
            scorer=scorer,
            sent=sent,
            encoders=encoders,
            text=encoders is not None and is_text(df, label),
            metric=metric,
            seed=seed,
        )
        found = shards.map(task)
    figures = []
    for k in range(1 + len(units)):
        tally = Tally(scorer, [metric])
        for packed in found:
            tally.sums.merge(packed[k])
        figures.append(tally.result()[metric])
    sign = 1 if better(metric) == "higher" else -1
    lost = [sign * (figures[0] - figure) for figure in figures[1:]]
    table = pd.DataFrame({"column": [unit.name for unit in units], "importance": lost})
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def of_encoders(encoders: Encoders) -> Iterator[Unit]:
    """Of raw columns: what encoders make of each."""
    start = 0
    for k, number in enumerate(encoders.numbers):
        stop = start + len(number.names)
        yield Unit(number.name, {"x.numbers": slice(start, stop), "x.places": slice(k, k + 1)})
        start = stop
    for k, category in enumerate(encoders.categories):
        yield Unit(category.name, {"x.categories": slice(k, k + 1)})


def of_inputs(inputs: Any, layout: dict[str, Shape]) -> Iterator[Unit]:
    """Of columns as they are: each, and each number of a vector; arrays of arrays as a whole."""
    groups = {f"x.{k}": v for k, v in inputs.items()} if isinstance(inputs, dict) else {"x": inputs}
    for array, group in groups.items():
        names, shape = [group] if isinstance(group, str) else list(group), layout[array]
        if len(shape) != 1:
            yield Unit(", ".join(names), {array: None})
            continue
        if len(names) != prod(shape):
            names = [f"{', '.join(names)}[{k}]" for k in range(shape[0])]
        for k, name in enumerate(names):
            yield Unit(name, {array: slice(k, k + 1)})


def measure(
    handles: Iterable[Handle],
    units: list[Unit],
    scorer: Scorer,
    sent: Sent,
    encoders: Encoders | None,
    text: bool,
    metric: str,
    seed: int,
) -> Iterator[list[Packed]]:
    """Executor. Of each shard the packed sums of its rows as they are, then with each unit dealt
    to other rows. text: the labels are hashes of their names.
    """
    network = bound(scorer, sent)
    for handle in handles:
        rows = open_shard(handle)["train"]
        tallies = [Tally(scorer, [metric]) for _ in range(1 + len(units))]
        donors = dealt(rows.order, seed, handle.shard)
        for start in range(0, len(donors), tallies[0].rows):
            span = slice(start, start + tallies[0].rows)
            own = _taken(rows.arrays, rows.order[span], encoders, text)
            other = _taken(rows.arrays, donors[span], encoders, text)
            y = own.pop("y")
            for tally, unit in zip(tallies, [None, *units], strict=True):
                changed = own if unit is None else _changed(own, other, unit)
                tally.add(network, _inputs(changed), y)
        yield [tally.sums.pack() for tally in tallies]


def dealt(order: np.ndarray, seed: int, shard: int) -> np.ndarray:
    """For each of some rows another one of them, each once; its own where it is alone."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, shard))))
    ring = rng.permutation(len(order))
    places = np.empty_like(ring)
    places[ring] = np.roll(ring, -1)
    return order[places]


def _taken(
    arrays: dict[str, np.ndarray], rows: np.ndarray, encoders: Encoders | None, text: bool
) -> dict[str, np.ndarray]:
    some = {name: dense(array[rows]) for name, array in arrays.items()}
    if encoders is None:
        return some
    return encoded_arrays(some, encoders, text)


def _changed(
    own: dict[str, np.ndarray], other: dict[str, np.ndarray], unit: Unit
) -> dict[str, np.ndarray]:
    made = dict(own)
    for name, place in unit.places.items():
        if place is None:
            made[name] = other[name]
        else:
            made[name] = own[name].copy()
            made[name][..., place] = other[name][..., place]
    return made


def _inputs(arrays: dict[str, np.ndarray]) -> Any:
    if "x" in arrays:
        return arrays["x"]
    return {name[2:]: array for name, array in arrays.items() if name.startswith("x.")}
