"""Vectors in fewer bytes: whatever goes in comes out, bit for bit."""

import numpy as np
import pytest

from dpnn.engines.packing import BLOCK, pack, unpack

RNG = np.random.default_rng(0)
TENS = 2.0 ** RNG.integers(-90, 90, 64)


def wholes(most, blocks=64):
    """Whole numbers up to `most`, the largest among them, times a power of two for each block."""
    x = RNG.integers(-most, most + 1, (blocks, BLOCK))
    x[:, 0] = most
    return (x * TENS[:blocks, None]).astype(np.float32).reshape(-1)


ODD = {
    "no numbers": np.empty(0),
    "one": np.ones(1),
    "any": RNG.standard_normal(1000),
    "minus zeros": np.full(300, -0.0),
    "zeros of both signs": np.where(RNG.random(600) > 0.5, 0.0, -0.0),
    "not finite": np.r_[wholes(100), np.inf, -np.inf, np.nan, wholes(100)],
    "largest": np.full(600, np.finfo(np.float32).max),
    "smallest": np.arange(1000) * 2.0**-149,
    "small beside large": np.r_[np.ones(300), 2.0**-140 * np.ones(300), 2.0**127 * np.ones(300)],
    "every kind": np.r_[wholes(127, 3), np.zeros(512), wholes(30_000, 2), RNG.random(700)],
    "some rows": np.repeat(RNG.random(500) < 0.03, 16) * RNG.standard_normal(8000),
    "bits of two vectors": RNG.integers(-(2**31), 2**31, 2000, np.int32).view(np.float32),
}


@pytest.mark.parametrize("name", ODD)
def test_nothing_is_lost(name):
    x = ODD[name].astype(np.float32)
    packed, out = pack(x), np.full(x.size, 7, np.float32)
    unpack(packed.tobytes(), out)
    unpack(packed, out)
    assert np.array_equal(out.view(np.int32), x.view(np.int32))
    assert packed.size <= x.nbytes


@pytest.mark.parametrize(("most", "width"), [(127, 1), (128, 2), (32_767, 2)])
def test_whole_numbers_are_as_short_as_they_can_be(most, width):
    x = wholes(most)
    if most == 128:
        x[1::BLOCK] = TENS  # an odd one beside it
    packed, out = pack(x), np.empty_like(x)
    unpack(packed, out)
    assert packed.size == x.size * width + 2 * 64
    assert np.array_equal(out, x)


def test_zeros_take_no_bytes():
    x = np.zeros(100 * BLOCK, np.float32)
    assert pack(x).size == 0
    x[5] = 3
    assert pack(x).size == 2 * 100 + BLOCK
    x[:16] = RNG.standard_normal(16)
    assert pack(x).size == 2 * 100 + 2 + 4 * 16


def test_numbers_that_are_no_shorter_go_as_they_are():
    x = RNG.standard_normal(10 * BLOCK).astype(np.float32)
    assert np.array_equal(pack(x), x.view(np.uint8))


@pytest.mark.parametrize("cut", [slice(1, None), slice(None, -1), slice(0, 1), slice(0, 99)])
def test_another_number_of_bytes_is_told(cut):
    x = wholes(127)
    with pytest.raises(ValueError, match=r"bytes are no 16384 packed numbers"):
        unpack(pack(x)[cut], np.empty_like(x))
