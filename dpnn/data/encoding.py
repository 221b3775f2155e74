"""Raw shards to encoded ones: what is learned of the training rows, and every row written anew.

The source is read once, into raw shards. A pass over their files finds what the encoders must know,
a second one encodes. The encoded shards stand on the raw ones: what is lost is made again of them.

Driver; needs pyspark.
"""

from __future__ import annotations

import uuid
from functools import partial, reduce
from typing import Any

import numpy as np

from dpnn.data.encoders.encoders import Encoders
from dpnn.data.encoders.findings import Findings
from dpnn.data.encoders.learning import learn
from dpnn.data.encoders.wishes import Wishes
from dpnn.data.encoding_tasks import encode, look
from dpnn.data.shards import Layout
from dpnn.data.spark_shards import SparkShards


def encoded(raw: SparkShards, wishes: Wishes, text_label: bool) -> SparkShards:
    """Learn the encoders of raw shards and encode them; the raw shards go with the new ones."""
    run = uuid.uuid4().hex[:12]
    verified = raw.verified
    with raw.session.described("dpnn encoders of raw columns"):
        found: list[Findings] = raw.map(partial(look, wishes=wishes, text_label=text_label))
        encoders = learn(wishes, reduce(Findings.add, found))
        write = partial(encode, encoders=encoders, run=run, text_label=text_label)
        kept = raw.kept.made_of(lambda facts: write(verified(facts)))
        try:
            facts = raw.guarded(kept.facts)
        except BaseException:
            kept.release()
            raise
    layouts = {split: _layout(encoders, facts, split) for split in raw.facts}
    return SparkShards(kept, run, facts, layouts, raw.source, raw, encoders)


def _layout(encoders: Encoders, facts: list[dict], split: str) -> Layout:
    made: list[Any] = []
    if encoders.numbers:
        made.append(("x.numbers", "<f4", (len(encoders.number_names),)))
        made.append(("x.places", "<f4", (len(encoders.numbers),)))
    if encoders.categories:
        made.append(("x.categories", "<i4", (len(encoders.categories),)))
    for name, shape in facts[0]["shapes"][split].items():
        found = {
            fact["handle"]["pieces"][split]["files"][name][0]
            for fact in facts
            if name in fact["handle"]["pieces"].get(split, {"files": {}})["files"]
        }
        made.append((name, np.result_type(*map(np.dtype, found)).str, tuple(shape)))
    return tuple(made)
