"""What shards round their sums to: unbiased, keyed, and exact to add up."""

import numpy as np
import pytest

from dpnn import nn
from dpnn.data.arrays import from_arrays
from dpnn.engines.local import LocalEngine
from dpnn.engines.packing import BLOCK, pack
from dpnn.engines.protocol import Kind, Plan
from dpnn.engines.rounding import BITS, Rounding
from dpnn.engines.worker import Program, Worker

RNG = np.random.default_rng(1)
LAYOUT = nn.Sequential(nn.Dense(300), nn.BatchNorm(), nn.Dense(7)).build((40,), 0).layout
WIRES = list(BITS)
NUMBERS = RNG.standard_normal(LAYOUT.size).astype(np.float32)
NUMBERS *= RNG.gamma(0.5, size=LAYOUT.size).astype(np.float32)


def rounded(wire, numbers=NUMBERS, key=(0, 1, 2, 3)):
    flat = numbers.copy()
    Rounding(LAYOUT, wire)(flat, key)
    return flat


def blocks(flat, wire="int8"):
    """Those that are rounded: (blocks, BLOCK)."""
    runs = Rounding(LAYOUT, wire).runs
    return np.concatenate([flat[run] for run in runs]).reshape(-1, BLOCK).astype(np.float64)


@pytest.mark.parametrize("wire", WIRES)
def test_numbers_become_whole_multiples_of_a_power_of_two(wire):
    found, given = blocks(rounded(wire)), blocks(NUMBERS)
    most = 2 ** (BITS[wire] - 1) - 1
    unit = np.abs(given).max(1, keepdims=True) / most
    unit = 2 ** np.ceil(np.log2(unit))
    assert np.array_equal(found, np.rint(found / unit) * unit)
    assert (np.abs(found - given) < unit).all()
    assert (np.abs(found) <= most * unit).all()


@pytest.mark.parametrize("wire", WIRES)
def test_rounding_is_right_on_average(wire):
    """Of 4,000 roundings: within 5 deviations for each number, and no drift over all of them."""
    flat = NUMBERS[: 4 * BLOCK].copy()
    rounding, count = Rounding(LAYOUT, wire), 4000
    rounding.runs = [slice(0, flat.size)]
    total = np.zeros(flat.size)
    for step in range(count):
        one = flat.copy()
        rounding(one, (0, 0, step, 0))
        total += one
    unit = 2.0 ** (np.frexp(np.abs(flat.reshape(4, BLOCK)).max(1))[1] - BITS[wire] + 1)
    off = (total / count - flat).reshape(4, BLOCK) / unit[:, None]
    deviation = 0.5 / np.sqrt(count)
    assert np.abs(off).max() < 5 * 2 * deviation
    assert np.abs(off.mean()) < 5 * 2 * deviation / np.sqrt(off.size)


def test_chance_is_keyed():
    first = rounded("int8")
    assert np.array_equal(first, rounded("int8"))
    for key in ((1, 1, 2, 3), (0, 2, 2, 3), (0, 1, 3, 3), (0, 1, 2, 4)):
        assert not np.array_equal(first, rounded("int8", key=key))


def test_biases_gains_state_and_edges_stay_as_they_are():
    found = LAYOUT.named(rounded("int8"))
    given = LAYOUT.named(NUMBERS)
    same = [name for name in given if np.array_equal(given[name], found[name])]
    assert len(same) == 6
    assert all(name.endswith(".W") for name in given if name not in same)
    runs = Rounding(LAYOUT, "int8").runs
    assert all(run.start % BLOCK == run.stop % BLOCK == 0 for run in runs)
    outside = np.ones(LAYOUT.size, bool)
    for run in runs:
        outside[run] = False
    assert np.array_equal(rounded("int8")[outside], NUMBERS[outside])


def test_zeros_stay_and_what_is_nearly_zero_becomes_so():
    assert not rounded("int8", np.zeros_like(NUMBERS)).any()
    for tiny in (-1e-32, -1e-42):
        assert not blocks(rounded("int8", np.full_like(NUMBERS, tiny))).any()


@pytest.mark.parametrize("wire", WIRES)
def test_sums_of_shards_are_exact_and_short(wire):
    leaves = [rounded(wire, NUMBERS * (1 + 0.1 * s), (0, 0, 0, s)) for s in range(8)]
    total = leaves[0].copy()
    for leaf in leaves[1:]:
        total += leaf
    exact = sum(blocks(leaf) for leaf in leaves)
    assert np.array_equal(blocks(total), exact)
    (run, *_) = Rounding(LAYOUT, wire).runs
    count = (run.stop - run.start) // BLOCK
    assert pack(leaves[0][run]).size == count * (2 + BLOCK * (1 if wire == "int8" else 2))
    assert pack(total[run]).size <= count * (2 + BLOCK * 2)


MODEL = nn.Sequential(nn.Dense(200), nn.ReLU(), nn.Dense(3))
X = RNG.standard_normal((60, 9)).astype(np.float32)
Y = RNG.integers(0, 3, 60).astype(np.int32)


@pytest.mark.parametrize("plan", [Plan(Kind.TRAIN, 1, 1, 2), Plan(Kind.ROUND, 1, 0, 2, local=2)])
def test_a_shards_sums_are_rounded_once_whoever_computes_them(plan):
    parts = [{"train": part} for part in from_arrays(X, Y, None, 3)]
    weights = MODEL.build((9,), seed=1).weights

    def found(wire, shard):
        worker = Worker(Program(MODEL, (9,), nn.SoftmaxCrossEntropy(), wire=wire, optimizer=OWN))
        frozen = weights.copy()
        frozen.flags.writeable = False
        worker.bind(frozen, np.empty_like(weights))
        return worker.run(plan, shard, parts[shard])

    exact, once, again = found("float32", 1), found("int8", 1), found("int8", 1)
    assert np.array_equal(once.flat, again.flat)
    assert np.array_equal(once.tail, exact.tail)
    wanted = exact.flat.copy()
    Rounding(MODEL.build((9,)).layout, "int8")(wanted, (0, plan.epoch, plan.step, 1))
    assert not np.array_equal(wanted, exact.flat)
    assert np.array_equal(once.flat, wanted)
    program = Program(MODEL, (9,), nn.SoftmaxCrossEntropy(), wire="int8", optimizer=OWN)
    engine = LocalEngine(program, parts)
    try:
        total = engine.step(weights, plan).flat
    finally:
        engine.close()
    leaves = [found("int8", shard).flat for shard in range(3)]
    assert np.array_equal(total, (leaves[0] + leaves[1]) + leaves[2])


OWN = nn.SGD(0.1)
