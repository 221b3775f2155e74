"""A round of one shard: steps of its own, a function of weights, plan and shard alone."""

import numpy as np
import pytest

from dpnn import nn
from dpnn.data.arrays import from_arrays
from dpnn.engines.local import LocalEngine
from dpnn.engines.protocol import Kind, Plan
from dpnn.engines.worker import Program, Worker
from dpnn.nn.more.tail import Tail

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 90).astype(np.int32)
W = RNG.integers(0, 3, 90).astype(np.float32)
MODEL = nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dropout(0.5), nn.Dense(3))
PLAN = Plan(Kind.ROUND, 2, 4, 9, local=3, scale=0.5)


def program(optimizer=None, model=MODEL, **more):
    return Program(model, (4,), nn.SoftmaxCrossEntropy(), optimizer=optimizer or nn.Adam(), **more)


def shards(num_shards=1, rows=90):
    made = from_arrays(X[:rows], Y[:rows], W[:rows], num_shards)
    return [{"train": part} for part in made]


def worker(made):
    one = Worker(made)
    weights = made.model.build((4,), seed=1).weights
    weights.flags.writeable = False
    one.bind(weights, np.full(one.size, np.nan, np.float32))
    return one


def test_a_round_may_be_computed_by_anyone_and_again():
    (shard,) = shards()
    one, other = worker(program()), worker(program())
    first = one.run(PLAN, 0, shard).flat.copy()
    assert first.any()
    one.run(PLAN._replace(epoch=7), 1, shard)
    step = one.run(Plan(Kind.TRAIN, 2, 4, 9), 0, shard).flat.copy()  # of the common weights again
    assert np.array_equal(first, one.run(PLAN, 0, shard).flat)
    assert np.array_equal(first, other.run(PLAN, 0, shard).flat)
    assert np.array_equal(step, worker(program()).run(Plan(Kind.TRAIN, 2, 4, 9), 0, shard).flat)


def test_the_schedule_counts_the_steps_of_the_fit_and_the_plateau_scales_it():
    """In epoch 2, at step 5 of 9, SGD is at the fit's step 14."""
    (shard,) = shards()
    by_schedule = worker(program(nn.SGD(nn.StepDecay(0.1, every=13, factor=0.5))))
    plain = worker(program(nn.SGD(0.025)))
    plan = PLAN._replace(local=1)
    expected = plain.run(plan._replace(scale=1.0), 0, shard).flat
    np.testing.assert_allclose(by_schedule.run(plan, 0, shard).flat, expected, rtol=1e-6)


def test_a_round_is_the_steps_one_after_the_other():
    (shard,) = shards()
    made = program(nn.SGD(0.1, momentum=0.9), clip_norm=0.3)
    net = MODEL.build((4,), seed=1)
    weights, gradient = net.weights.copy(), np.empty_like(net.weights)
    one, total = Worker(made), 0.0
    optimizer, weight = nn.SGD(0.1, momentum=0.9), 0.0
    state = optimizer.init(net.layout)
    for step in (4, 5, 6):
        one.bind(weights, gradient)
        tail = Tail(one.run(Plan(Kind.TRAIN, 2, step, 9), 0, shard).tail)
        mean = gradient / tail.weight
        nn.clip_by_global_norm(mean, 0.3)
        optimizer.update(state, weights, mean)
        weight, total = weight + tail.weight, total + tail.loss
    sums = worker(made).run(PLAN._replace(scale=1.0), 0, shard)
    tail = Tail(sums.tail)
    np.testing.assert_allclose(sums.flat, weight * (weights - net.weights), rtol=1e-4, atol=1e-5)
    assert tail.weight == weight
    assert tail.loss == pytest.approx(total)


def test_moves_are_summed_by_weight_and_empty_shards_have_none():
    parts = shards(num_shards=8, rows=6)
    made = program()
    engine = LocalEngine(made, parts)
    weights = made.model.build((4,), seed=1).weights
    plan = Plan(Kind.ROUND, 1, 0, 3, local=3)
    try:
        found = engine.step(weights, plan).flat.copy()
    finally:
        engine.close()
    alone = [worker(made).run(plan, index, part) for index, part in enumerate(parts)]
    assert np.allclose(found, sum(sums.flat for sums in alone), atol=1e-6)
    none = [sums for sums in alone if Tail(sums.tail).weight == 0]
    assert none
    assert not any(sums.flat.any() for sums in none)
