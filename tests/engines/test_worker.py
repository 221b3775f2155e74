"""What one shard does for a plan, and the local engine over several."""

from dataclasses import replace

import numpy as np
import pytest

from dpnn import nn
from dpnn.data.arrays import from_arrays
from dpnn.engines.local import LocalEngine
from dpnn.engines.protocol import Kind, Plan, ShardError
from dpnn.engines.worker import Program, Worker
from dpnn.nn.more.metrics import Measures
from dpnn.nn.more.tail import Tail

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 90).astype(np.int32)
MODEL = nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dropout(0.5), nn.Dense(3))


def shards(x, y, num_shards=1, split="train", w=None):
    return [{split: part} for part in from_arrays(x, y, w, num_shards)]


def program(model=MODEL, loss=None, shape=(4,), **more):
    return Program(model, shape, loss or nn.SoftmaxCrossEntropy(), **more)


def worker(made):
    one = Worker(made)
    weights = made.model.build(made.input_shape, seed=1).weights
    gradient = np.full(one.size, np.nan, np.float32)
    weights.flags.writeable = False
    one.bind(weights, gradient)
    return one, gradient


def test_the_gradient_is_born_in_the_callers_memory():
    one, gradient = worker(program())
    sums = one.run(Plan(Kind.TRAIN, 1, 0, 1), 0, shards(X, Y)[0])
    assert sums.flat is gradient
    assert np.isfinite(gradient).all()


def test_randomness_hangs_on_epoch_step_and_shard_alone():
    (shard,) = shards(X, Y)
    one, gradient = worker(program())

    def run(w, epoch, step, index):
        w.run(Plan(Kind.TRAIN, epoch, step, 3), index, shard)
        return (gradient if w is one else other_gradient).copy()

    first = run(one, 1, 0, 0)
    run(one, 2, 2, 0)  # something else in between
    other, other_gradient = worker(program())
    assert np.array_equal(first, run(one, 1, 0, 0))
    assert np.array_equal(first, run(other, 1, 0, 0))  # as after a retry
    for place in ((2, 0, 0), (1, 1, 0), (1, 0, 1)):
        assert not np.array_equal(first, run(one, *place))
    reseeded, other_gradient = worker(program(seed=5))
    assert not np.array_equal(first, run(reseeded, 1, 0, 0))


def test_an_epoch_takes_every_row_once():
    """Rows are one-hot: the gradient of W counts how often each was seen."""
    rows = 37
    cut = shards(np.eye(rows, dtype=np.float32), np.zeros(rows, np.float32), num_shards=3)
    made = program(nn.Dense(1, bias=False), nn.MeanSquaredError(), (rows,))
    engine = LocalEngine(made, cut)
    weights, seen = np.full(rows, 0.5, np.float32), np.zeros(rows)
    try:
        for step in range(4):
            seen += engine.step(weights, Plan(Kind.TRAIN, 7, step, 4)).flat  # 2 (0.5 - 0) each
    finally:
        engine.close()
    assert np.array_equal(seen, np.ones(rows))


def test_an_empty_shard_gives_zeros():
    empty = shards(X[:1], Y[:1], num_shards=4)
    one, _ = worker(program())
    for index, shard in enumerate(empty):
        sums = one.run(Plan(Kind.TRAIN, 1, 0, 1), index, shard)
        assert Tail(sums.tail).rows == shard["train"].rows
        if shard["train"].rows == 0:
            assert not sums.flat.any()
            assert not sums.tail.any()


def test_weights_cannot_be_written():
    """A layer that changes its weights must fail, not train differently on a reused worker."""

    class Vandal(nn.Dense):
        def forward(self, p, x, ctx):
            p["W"] *= 2
            return super().forward(p, x, ctx)

    engine = LocalEngine(program(nn.Sequential(Vandal(3))), shards(X, Y, num_shards=2))
    try:
        with pytest.raises(ValueError, match="read-only"):
            engine.step(engine.allocate(15), Plan(Kind.TRAIN, 1, 0, 1))
    finally:
        engine.close()


def test_moments_of_the_inputs():
    model = nn.Sequential(nn.Normalization(), nn.Dense(3))
    one, _ = worker(program(model))
    tail = Tail(one.run(Plan(Kind.MOMENTS), 0, shards(X, Y)[0]).tail)
    wide = X.astype(np.float64)
    mean = wide.mean(0)
    expected = [*wide.sum(0), *(len(X) * wide.var(0)), *(len(X) * mean**2)]
    np.testing.assert_allclose(tail.sums, expected, atol=1e-9)
    assert tail.rows == 90


def test_evaluation_is_that_of_all_rows():
    held = shards(X, Y, num_shards=3, split="validation")
    engine = LocalEngine(program(micro_batch=7), held)
    net = MODEL.build(4, seed=1)
    try:
        tail = Tail(engine.step(net.weights, Plan(Kind.EVALUATE, 1)).tail)
    finally:
        engine.close()
    z, loss = net.predict(X), nn.SoftmaxCrossEntropy()
    found = Measures.of_rows(loss, (3,)).figures(tail)
    assert found["accuracy"] == pytest.approx((z.argmax(1) == Y).mean())
    assert found["loss"] == pytest.approx(net.loss(z, Y, loss)[0] / 90, rel=1e-5)


LINEAR = nn.Dense(1)


@pytest.mark.parametrize(
    ("x", "y", "w", "at", "weight", "words"),
    [
        (1.0, 1.0, None, (3, 1), np.inf, "loss at epoch 3 step 1 shard 2: the weights are not"),
        (1.0, 1.0, None, (3, 1), 1e30, "shard 2: lower the learning rate or clip gradients"),
        (1e30, 1.0, None, (3, 1), 1.0, "the inputs reach 1e.30: scale them, or begin"),
        (1.0, 1e30, None, (3, 1), 1.0, "the targets reach 1e.30: scale them"),
        (1.0, 1.0, 1e38, (3, 1), 1e3, "a row weighs 1e.38: scale the row weights"),
        (1e11, 1.0, None, (1, 0), 1e11, "first weights, the inputs reach 1e.11 and the targets 1:"),
    ],
)
def test_non_finite_has_an_address_and_a_cause(x, y, w, at, weight, words):
    one = Worker(program(LINEAR, nn.MeanSquaredError()))
    one.bind(np.full(one.size, weight, np.float32), np.empty(one.size, np.float32))
    rows = np.full((8, 4), x, np.float32), np.full(8, y, np.float32)
    weights = None if w is None else np.full(8, w, np.float32)
    with pytest.raises(ShardError, match=rf"(non-finite|gradient norm) .*{words}"):
        one.run(Plan(Kind.TRAIN, *at, 1 + at[1]), 2, shards(*rows, w=weights)[0])


@pytest.mark.parametrize("kind", Kind)
def test_rows_that_weigh_nothing_are_no_rows(kind):
    """Even where their numbers overflow; BatchNorm and Normalization do not see them either."""
    model = nn.Sequential(nn.Normalization(), nn.Dense(4), nn.BatchNorm(), nn.Dense(1))
    made = program(model, nn.MeanSquaredError(), optimizer=nn.SGD(0.01))
    w = (np.arange(90) % 3 > 0).astype(np.float32)
    x, y = X.copy(), Y.astype(np.float32)
    x[w == 0], y[w == 0] = 3e38, 3e38
    found = []
    for rows in (from_arrays(x, y, w), from_arrays(x[w > 0], y[w > 0])):
        (shard,) = rows
        one, _ = worker(made)
        plan = Plan(kind, 1, 0, 1)
        sums = one.run(plan, 0, {kind.split: replace(shard, order=np.arange(shard.rows))})
        found.append(np.concatenate([sums.tail, [] if sums.flat is None else sums.flat]))
    assert found[0][2] == 60
    np.testing.assert_allclose(found[0], found[1], rtol=2e-4, atol=1e-4)


def test_micro_batches_are_even():
    """None has one row, on which BatchNorm could not train."""
    one, _ = worker(program(nn.Sequential(nn.Dense(4), nn.BatchNorm(), nn.Dense(3)), micro_batch=8))
    sizes = []
    forward = one.net.forward
    one.net.forward = lambda x, *rest: sizes.append(len(x)) or forward(x, *rest)
    one.run(Plan(Kind.TRAIN, 1, 0, 10), 0, shards(X, Y)[0])
    one.run(Plan(Kind.EVALUATE), 0, shards(X, Y, split="validation")[0])
    assert sizes == [4, 5, *[7, 8] * 6]


def test_class_weights_show_in_the_loss_alone():
    loss = nn.SoftmaxCrossEntropy(class_weights=(1.0, 9.0, 90.0))
    one, _ = worker(program(loss=loss))
    tail = Tail(one.run(Plan(Kind.EVALUATE), 0, shards(X, Y, split="validation")[0]).tail)
    figures = Measures.of_rows(loss, (3,)).figures(tail)
    z = MODEL.build(4, seed=1).predict(X)
    assert figures["accuracy"] == (z.argmax(1) == Y).mean()
    own = np.array(loss.class_weights)[Y]
    each = np.log(np.exp(z).sum(1)) - z[np.arange(90), Y]
    assert figures["loss"] == pytest.approx((own * each).sum() / own.sum(), rel=1e-5)
    assert figures["log_loss"] == pytest.approx(each.mean(), rel=1e-5)
