"""Gradients and moves in fewer bits: what a shard's sums are rounded to before they travel.

Blocks of 256 numbers share a power of two, and their numbers become whole multiples of it, with as
many bits as the wire has to spare. Rounding is by chance, up as often as the rest says: the mean
over many steps is the number itself. Chance is keyed by seed, epoch, step and shard, so that the
rounded sums depend on the plan, the shard and nothing else; they are float32 as before, and add up
as before. Only where they cross a network do they become short (`packing`).

What has one axis (biases, gains) and state that is not trained are few numbers, on which much
depends: they stay as they are, as do blocks that lie across the edges of parameters.
"""

from __future__ import annotations

import numpy as np

from dpnn import nn
from dpnn.engines.packing import BLOCK, LEAST
from dpnn.nn.kernels import keyed

BITS = {"int8": 8, "bfloat16": 12}  # of a shard's number; 4 more are kept free for the sums of many
AT_ONCE = 256  # blocks, so that all passes over them find them in the cache


class Rounding:
    """That of a network's sums, for one wire.

    runs   stretches of the flat vector that are rounded
    """

    def __init__(self, layout: nn.Layout, wire: str) -> None:
        self._bits = BITS[wire]
        matrices = [e for e in layout.entries if e.momentum is None and len(e.shape) > 1]
        edges = [(-(-e.start // BLOCK) * BLOCK, e.stop // BLOCK * BLOCK) for e in matrices]
        self.runs = [slice(start, stop) for start, stop in edges if start < stop]

    def __call__(self, flat: np.ndarray, key: tuple[int, ...]) -> None:
        """Round flat (size,) float32 in place."""
        rng = keyed(key, "wire")
        for run in self.runs:
            blocks = flat[run].reshape(-1, BLOCK)
            for at in range(0, len(blocks), AT_ONCE):
                _round(blocks[at : at + AT_ONCE], self._bits, rng)


def _round(x: np.ndarray, bits: int, rng: np.random.Generator) -> None:
    """x (blocks, BLOCK), in place; the largest of a block has `bits` bits, its sign among them.

    Blocks of numbers that are all below 2^LEAST become 0.
    """
    most = np.abs(x).max(axis=1)
    power = np.maximum(np.frexp(most)[1] - (bits - 1), LEAST)
    power += most > np.ldexp(np.float32(2 ** (bits - 1) - 1), power)  # so that there is room above
    scale = np.ldexp(np.float32(1), -power)
    scale[most < 2.0**LEAST] = 0
    words = rng.bit_generator.random_raw(x.size // 4)
    chance = words.view(np.uint16).reshape(x.shape) + np.float32(0.5)
    chance *= np.float32(2**-16)
    x *= scale[:, None]
    low = np.floor(x)
    np.subtract(x, low, out=x)
    np.add(low, x > chance, out=x)
    x *= np.ldexp(np.float32(1), power)[:, None]
