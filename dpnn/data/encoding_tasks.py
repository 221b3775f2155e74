"""What tasks do to make encoded shards of raw ones: `look` at the rows, then `encode` them.

Executor, and the driver for tables of its own process; needs NumPy and pyarrow. Plain iterators.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from dpnn.data import checks
from dpnn.data.arrays import layout_of
from dpnn.data.arrow import Notes
from dpnn.data.encoders.encoders import Encoders
from dpnn.data.encoders.findings import Findings, find, moments
from dpnn.data.encoders.learning import learn
from dpnn.data.encoders.raw import Raw
from dpnn.data.encoders.wishes import Wishes
from dpnn.data.files import Handle, ShardWriter, notes_of, open_shard
from dpnn.data.ingest_tasks import plain
from dpnn.data.placement import row_hashes
from dpnn.data.shards import LocalShards, Shard, Split, as_split

CHUNK = 1 << 15  # rows that are looked at or encoded at once, …
NUMBERS = 1 << 22  # … and numbers: rows of more than 128 columns are fewer


def look(handles: Iterable[Handle], wishes: Wishes, text_label: bool) -> Iterator[Findings]:
    """Executor. What a raw shard's rows say, chunk by chunk in content order."""
    for handle in handles:
        yield findings(open_shard(handle), notes_of(handle) or {}, wishes, text_label)


def findings(
    shard: dict[str, Split], notes: dict[str, Any], wishes: Wishes, text_label: bool
) -> Findings:
    """Of the training rows of one raw shard; class names also of its validation rows."""
    texts = [
        {int(value): name for value, name in names.items()} for names in notes.get("texts", ())
    ]
    names = texts.pop() if text_label and texts else {}
    known = {
        "widths": tuple(notes.get("widths", ())),
        "stamps": tuple(notes.get("stamps", ())),
        "classes": set(names.values()),
    }
    texts = texts or [{} for _ in wishes.categories]
    train = shard["train"]
    if names and train.y is not None:
        known["taught"] = {names[label] for label in np.unique(train.y).tolist()}
    hashes = np.concatenate([np.empty(0, np.uint64), *map(row_hashes, _chunks(train.arrays))])
    total = None
    step = _step(train.arrays)
    for start in range(0, max(train.rows, 1), step):
        rows = train.order[start : start + step]
        arrays = {name: array[rows] for name, array in train.arrays.items()}
        some = raw_of(arrays, wishes)
        y = arrays.get("y")
        label = None
        if y is not None and y.ndim == 1 and not text_label:
            label = moments(y[:, None].astype(np.float64))
        part = find(hashes[rows], some.numbers, some.categories, texts, label=label, **known)
        total = part if total is None else total.add(part)
    assert total is not None
    return total


def encode(
    handles: Iterable[Handle], encoders: Encoders, run: str, text_label: bool
) -> Iterator[dict[str, Any]]:
    """Executor. The encoded files of each raw shard; yields its handle and findings."""
    for handle in handles:
        writer = ShardWriter(run, handle.shard)
        labels = {}
        try:
            for split, rows in open_shard(handle).items():
                spans = []
                for chunk in _chunks(rows.arrays):
                    made = encoded_arrays(chunk, encoders, text_label)
                    spans.append(checks.span(made["y"]) if "y" in made else None)
                    flat = {name: array.reshape(-1) for name, array in made.items()}
                    writer.append(split, row_hashes(chunk), flat)
                labels[split] = checks.span_of(spans)
            done = writer.close()
        except BaseException:
            writer.discard()
            raise
        yield {"handle": plain(done), "labels": labels, "shapes": _shapes(handle)}


def encoded_arrays(
    arrays: dict[str, np.ndarray], encoders: Encoders, text_label: bool
) -> dict[str, np.ndarray]:
    """Raw arrays of some rows by a shard's names, as a network takes them."""
    made = encoders.arrays(raw_of(arrays, encoders.wishes))
    if "y" in arrays:
        made["y"] = encoders.encode_label(arrays["y"]) if text_label else arrays["y"]
    return made | ({"w": arrays["w"]} if "w" in arrays else {})


def encoded_here(raw: LocalShards, wishes: Wishes, notes: Notes) -> LocalShards:
    """Driver. Learn the encoders of raw shards of this process, and encode them."""
    told = {
        "widths": notes.widths,
        "stamps": notes.stamps,
        "texts": [{str(value): name for value, name in names.items()} for names in notes.texts],
    }
    text = notes.text_label
    found = [findings(shard, told, wishes, text) for shard in raw.shards]
    encoders = learn(wishes, reduce(Findings.add, found))
    shards: list[Shard] = []
    for shard in raw.shards:
        made = {split: encoded_arrays(rows.arrays, encoders, text) for split, rows in shard.items()}
        shards.append({split: as_split(made[split], shard[split].order) for split in shard})
    facts = {}
    for split, fact in raw.facts.items():
        pieces = [shard[split].arrays for shard in shards]
        labels = checks.span(np.concatenate([piece["y"] for piece in pieces]))
        facts[split] = replace(fact, layout=layout_of(pieces[0]), labels=labels, ranges={})
    hashes = {
        split: [row_hashes(shard[split].arrays) for shard in raw.shards] for split in raw.facts
    }
    return LocalShards(shards, facts, raw.source, encoders, hashes)


def raw_of(arrays: dict[str, np.ndarray], wishes: Wishes) -> Raw:
    """Arrays of a raw shard as `Raw`; without names of categories."""
    rows = len(next(iter(arrays.values())))
    numbers = arrays.get("x.numbers", np.empty((rows, 0)))
    categories = arrays.get("x.categories", np.empty((rows, 0), np.int64))
    return Raw(numbers, categories, (), (), ())


def _chunks(arrays: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    rows = len(next(iter(arrays.values())))
    step = _step(arrays)
    for start in range(0, rows, step):
        yield {name: array[start : start + step] for name, array in arrays.items()}


def _step(arrays: dict[str, np.ndarray]) -> int:
    """Rows at once, so that those of wide vectors take no more memory than others."""
    width = sum(prod(array.shape[1:]) for array in arrays.values())
    return max(min(CHUNK, NUMBERS // max(width, 1)), 1)


def _shapes(handle: Handle) -> dict[str, dict[str, Any]]:
    """Of a row's label and weight, which stay as they are."""
    return {
        split: {name: shape for name, _, shape in layout if name in ("y", "w")}
        for split, layout in handle.layouts.items()
    }
