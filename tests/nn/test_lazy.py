"""Sparse tables: an optimizer's step leaves rows without a gradient as they are."""

import numpy as np
import pytest

from dpnn import nn
from dpnn.nn.more.lazy import Lazy, lazily, sparse_tables

WORDS, UNITS = 40, 4
RNG = np.random.default_rng(0)
OPTIMIZERS = [
    nn.SGD(0.1),
    nn.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    nn.Adam(nn.StepDecay(0.1, every=2)),
    nn.AdamW(0.1, weight_decay=0.1),
    nn.RMSProp(0.1, momentum=0.5),
    nn.Adagrad(0.1),
    nn.Lion(0.1),
]


def network(sparse=True):
    table = nn.Embedding(WORDS, UNITS, sparse=sparse)
    return nn.Sequential(table, nn.Flatten(), nn.Dense(3)).build((2,), seed=1)


def stepped(optimizer, gradients):
    net = network()
    weights = net.weights.copy()
    state = optimizer.init(net.layout)
    for gradient in gradients:
        optimizer.update(state, weights, gradient.copy())
    return weights, state


def gradients(rows, steps=4):
    """Of a table's few rows, other ones each step, and of all else."""
    layout = network().layout
    made = []
    for step in range(steps):
        one = RNG.standard_normal(layout.size).astype(np.float32)
        table = one[: WORDS * UNITS].reshape(WORDS, UNITS)
        table[[row for row in range(WORDS) if row not in rows(step)]] = 0
        made.append(one)
    return made


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: type(o).__name__)
def test_rows_that_are_all_met_move_as_ever(optimizer):
    made = gradients(lambda step: range(WORDS))
    weights, _ = stepped(optimizer, made)
    lazy, state = stepped(lazily(optimizer, network()), made)
    assert np.array_equal(lazy, weights)
    assert state["step"] == 4


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: type(o).__name__)
def test_rows_that_are_not_met_stay_as_they_are(optimizer):
    def table(state, name):
        return state[name][: WORDS * UNITS].reshape(WORDS, UNITS)

    met = gradients(lambda step: (5, 7), 1)
    after = gradients(lambda step: (7,), 3)
    lazy = lazily(optimizer, network())
    first, state = stepped(lazy, met)
    last, end = stepped(lazy, met + after)
    start = network().weights
    for row in range(WORDS):
        here = slice(row * UNITS, (row + 1) * UNITS)
        assert np.array_equal(first[here], start[here]) == (row not in (5, 7))
        assert np.array_equal(last[here], first[here]) == (row != 7)
        for name in optimizer.slots:
            assert np.array_equal(table(end, name)[row], table(state, name)[row]) or row == 7
    assert (last[WORDS * UNITS :] != first[WORDS * UNITS :]).all()


def test_adam_is_torchs_sparse_adam():
    torch = pytest.importorskip("torch")
    table = network().parameters["Embedding[0].W"].copy()
    theirs = torch.nn.Embedding.from_pretrained(torch.tensor(table), freeze=False, sparse=True)
    optimizer = torch.optim.SparseAdam(theirs.parameters(), lr=0.05)
    made = gradients(lambda step: (step, 2 * step + 1, 9), 6)
    for one in made:
        rows = one[: WORDS * UNITS].reshape(WORDS, UNITS)
        ids = torch.tensor(np.flatnonzero(rows.any(1)))
        optimizer.zero_grad()
        (theirs(ids) * torch.tensor(rows[ids])).sum().backward()
        optimizer.step()
    ours, _ = stepped(lazily(nn.Adam(0.05), network()), made)
    found = ours[: WORDS * UNITS].reshape(WORDS, UNITS)
    np.testing.assert_allclose(found, theirs.weight.detach().numpy(), atol=1e-6)


def test_only_tables_that_say_so_are_sparse():
    assert sparse_tables(network()) == ["Embedding[0].W"]
    assert sparse_tables(network(sparse=False)) == []
    adam = nn.Adam()
    assert lazily(adam, network(sparse=False)) is adam
    assert isinstance(lazily(adam, network()), Lazy)


@pytest.mark.parametrize("optimizer", [nn.LBFGS(), nn.LAMB()])
def test_optimizers_of_all_weights_are_refused(optimizer):
    with pytest.raises(ValueError, match=r"Embedding\[0\].W is sparse, and (LBFGS|LAMB) works on"):
        lazily(optimizer, network())
