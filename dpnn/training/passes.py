"""Passes that a layer could not train on, and weights too small: refused. Driver."""

from __future__ import annotations

from math import ceil

import numpy as np

from dpnn import nn
from dpnn.nn.more.tail import Tail

SMALLEST = 1e-30  # of a mean row weight: float32 has 8 digits for gradients of 1e-8 beside it


def check_passes(
    network: nn.Network, shards: list[int], steps: int, batch_size: int, micro_batch: int
) -> None:
    """ValueError where a layer would see fewer rows in a pass than it can train on.

    shards: the rows of each. Step t of a shard has its rows ⌊t·n/T⌋ to ⌊(t+1)·n/T⌋, in even passes
    of at most `micro_batch`.
    """
    least = network.least_rows
    if least == 1:
        return
    name = next(c.name for c in network.places if c.layer.least_rows(c.x) == least)
    needs = f"{name} needs {least} rows of a shard in each pass"
    for shard, rows in enumerate(shards):
        fewest = rows // steps
        if rows and fewest < least:
            raise ValueError(
                f"{needs}, but with batch_size={batch_size} the {rows:,} rows of shard {shard} "
                f"(of {len(shards)}) make {steps:,} steps of {fewest} to {-(-rows // steps)}: "
                f"{_cure(shards, least, batch_size)}"
            )
        for step in {fewest, -(-rows // steps)}:
            smallest = step // max(ceil(step / micro_batch), 1)
            if 0 < smallest < least:
                raise ValueError(
                    f"{needs}, but micro_batch={micro_batch} cuts the {step:,} rows of a step of "
                    f"shard {shard} into passes of {smallest}: give micro_batch={2 * least}"
                )


def check_weights(tail: np.ndarray, epoch: int, step: int) -> None:
    """ValueError where float32 does not hold what rows of such weights add to a gradient."""
    found = Tail(tail)
    weight, rows = found.weight, found.rows
    if 0 < weight < SMALLEST * rows:
        raise ValueError(
            f"the rows' weights at epoch {epoch} step {step} are {weight / rows:.1e} on average, "
            f"too small for float32: multiply all weights by {rows / weight:.0e}"
        )


def _cure(shards: list[int], least: int, batch_size: int) -> str:
    """The batch that is large enough for these shards, or the shards that suit this batch."""
    cures = []
    if most_steps := min(rows // least for rows in shards if rows):
        cures.append(f"batch_size={-(-sum(shards) // most_steps)}")
    if len(shards) > 1:
        cures.append(f"num_shards={max(batch_size // (2 * least), 1)}")
    return f"give {' or '.join(cures)}" if cures else "give more rows"
