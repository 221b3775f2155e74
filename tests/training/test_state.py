"""What the last update has done is looked at: nobody else would."""

import numpy as np
import pytest

from dpnn import Trainer, nn
from dpnn.engines.protocol import ShardError
from dpnn.training.state import Best, State

RNG = np.random.default_rng(0)
X = RNG.standard_normal((400, 6)).astype(np.float32)
Y = (X.sum(axis=1) > 0).astype(np.int32)


def fit(model=None, data=None, **changes):
    model = model or nn.Dense(2)
    settings = {"batch_size": 400, "epochs": 1, "progress": False, **changes}
    trainer = Trainer(model, nn.SoftmaxCrossEntropy(), **settings)
    return trainer.fit(data or (X, Y), num_shards=1)


@pytest.mark.parametrize("rate", [1e20, 1e38])
def test_a_last_update_that_overflows(rate):
    with pytest.raises(ShardError, match=r"non-finite weights after epoch 1 step 0: .*lower the l"):
        fit(optimizer=nn.SGD(rate))


def test_an_average_that_overflows():
    layout = nn.Dense(2).build(6).layout
    state = State(np.zeros(14, np.float32), {}, np.full(14, np.inf, np.float32), epoch=2)
    with pytest.raises(ShardError, match="non-finite averaged weights after epoch 2: W: the upd"):
        state.check_finite(layout)


def test_running_statistics_that_overflow_name_the_inputs():
    network = nn.Sequential(nn.BatchNorm(), nn.Dense(2)).build(6)
    state = State(network.weights, {}, step=4)
    state.check_finite(network.layout)
    network.parameters["BatchNorm[0].variance"][1] = np.inf
    with pytest.raises(ShardError, match=r"epoch 1 step 3: BatchNorm\[0\].variance: .*scale"):
        state.check_finite(network.layout)


def test_nothing_is_saved_of_what_is_not_finite(tmp_path):
    with pytest.raises(ShardError, match="non-finite weights"):
        fit(optimizer=nn.SGD(1e38), checkpoints=str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_what_is_kept():
    weights, average, best = (np.full(3, i, np.float32) for i in range(3))
    state = State(weights, {}, epoch=5)
    assert (state.kept[0], state.kept_epoch) == (0, 5)
    state.average = average
    assert (state.candidate[0], state.kept[0]) == (1, 1)
    state.best = Best(best, 3, 0.5, "loss")
    assert (state.candidate[0], state.kept[0], state.kept_epoch) == (1, 2, 3)
