"""Vectors in fewer bytes, without loss, for numbers that were rounded and vectors mostly of zeros.

    head     of each block of 256 float32 its kind (u8) and its power of two (i8)
    numbers  of the blocks of each kind in turn

Zeros take nothing; whole numbers times the power one byte each (i8) or two (i16). Of other blocks
those go whose 16 numbers are not all zeros, after a bit for each 16; or all, as they are. What
shards have rounded (see `rounding`) takes one byte or two, its sums mostly two. No flag travels: a
vector is packed if it is shorter than its numbers are, and no bytes at all are zeros.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BLOCK = 256  # numbers that share a power of two
LEAST = -100  # the smallest power: float32 holds its parts as well
ZEROS, BYTES, SHORTS, SPARSE, WHOLE = range(5)
_SPARE = 14  # bits of i16 between its highest, which is the power itself, and its lowest
_GROUP = 16
_GROUPS = BLOCK // _GROUP


def pack(numbers: np.ndarray) -> np.ndarray:
    """numbers (n,) float32 as bytes (k,) uint8; or a view of them where that is no shorter."""
    blocks = _blocks(numbers)
    there = np.bitwise_or.reduce(blocks.view(np.int32), axis=1) != 0
    if not there.any():
        return np.empty(0, np.uint8)
    kind, power = np.zeros(len(blocks), np.uint8), np.zeros(len(blocks), np.int8)
    if not there.all():
        blocks = blocks[there]
    kind[there], power[there], parts = _packed(blocks)
    flat = [part.reshape(-1).view(np.uint8) for part in (kind, power, *parts)]
    if sum(part.size for part in flat) >= numbers.nbytes:
        return numbers.view(np.uint8)
    return np.concatenate(flat)


def _packed(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Kinds, powers and numbers of blocks (n, BLOCK) that are not zeros."""
    with np.errstate(all="ignore"):  # what is not finite stays as it is
        power = np.clip(np.frexp(np.abs(blocks).max(axis=1))[1] - 1, LEAST, 127)
        wholes = (blocks * _power(_SPARE - power)).astype(np.int16)
        back = wholes * _power(power - _SPARE)
    fits = (back.view(np.int32) == blocks.view(np.int32)).all(axis=1)
    small = fits & ~(wholes & 255).any(axis=1)
    others = blocks[~fits]
    filled = others.view(np.int32).reshape(-1, _GROUPS, _GROUP).any(axis=2)
    sparse = filled.sum(axis=1) < _GROUPS - 1
    kind = np.where(small, BYTES, np.where(fits, SHORTS, WHOLE)).astype(np.uint8)
    kind[np.flatnonzero(~fits)[sparse]] = SPARSE
    marks = filled[sparse]
    parts = [
        (wholes[small] >> 8).astype(np.int8),
        wholes[fits & ~small],
        np.packbits(marks, axis=1),
        others[sparse].reshape(-1, _GROUPS, _GROUP)[marks],
        others[~sparse],
    ]
    return kind, power.astype(np.int8), parts


def unpack(data: Any, out: np.ndarray) -> None:
    """Fill out (n,) float32 with what `pack` has made; ValueError where that is not of its size."""
    raw = np.frombuffer(data, np.uint8) if len(data) else np.empty(0, np.uint8)
    if raw.size in (0, out.nbytes):
        out.view(np.uint8)[...] = raw if raw.size else 0
        return
    count, at = -(-out.size // BLOCK), 0

    def take(dtype: Any, *shape: int) -> np.ndarray:
        nonlocal at
        start, at = at, at + np.dtype(dtype).itemsize * int(np.prod(shape))
        if at > raw.size:
            raise ValueError(f"{raw.size} bytes are no {out.size} packed numbers")
        return np.frombuffer(raw[start:at].tobytes(), dtype).reshape(shape)

    kind, power = take(np.uint8, count), take(np.int8, count).astype(np.int32)
    blocks = np.zeros((count, BLOCK), np.float32)
    for which, dtype, spare in ((BYTES, np.int8, _SPARE - 8), (SHORTS, np.int16, _SPARE)):
        here = np.flatnonzero(kind == which)
        blocks[here] = take(dtype, len(here), BLOCK) * _power(power[here] - spare)
    here = np.flatnonzero(kind == SPARSE)
    marks = np.unpackbits(take(np.uint8, len(here), _GROUPS // 8), axis=1).astype(bool)
    some = np.zeros((len(here), _GROUPS, _GROUP), np.float32)
    some[marks] = take(np.float32, int(marks.sum()), _GROUP)
    blocks[here] = some.reshape(-1, BLOCK)
    here = np.flatnonzero(kind == WHOLE)
    blocks[here] = take(np.float32, len(here), BLOCK)
    if at != raw.size:
        raise ValueError(f"{raw.size} bytes are no {out.size} packed numbers, but {at} are")
    out[...] = blocks.reshape(-1)[: out.size]


def _power(exponents: np.ndarray) -> np.ndarray:
    """2^e of each block, (blocks, 1) float32."""
    return np.ldexp(np.float32(1), exponents)[:, None]


def _blocks(numbers: np.ndarray) -> np.ndarray:
    """(blocks, BLOCK), filled up with zeros."""
    count = -(-numbers.size // BLOCK)
    if numbers.size != count * BLOCK:
        numbers = np.concatenate([numbers, np.zeros(count * BLOCK - numbers.size, np.float32)])
    return numbers.reshape(count, BLOCK)
