"""A network as its users meet it: threads, losses that don't fit, rows that are too few, depth."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dpnn import nn
from dpnn.nn.more.checks import check


@pytest.mark.parametrize("batch_size", [7, 1024])
def test_predictions_of_many_threads_are_right(batch_size: int) -> None:
    net = nn.Sequential(nn.Dense(32), nn.ReLU(), nn.Dense(16), nn.Tanh(), nn.Dense(3)).build(8)
    x = np.random.default_rng(0).standard_normal((64, 200, 8)).astype(np.float32)
    expected = [net.predict(part, batch_size) for part in x]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            found = list(pool.map(lambda part: net.predict(part, batch_size), x))
            assert all(map(np.array_equal, found, expected))


def test_threads_follow_the_weights() -> None:
    net, x = nn.Dense(2).build(3), np.ones((4, 3), np.float32)
    with ThreadPoolExecutor(1) as pool:
        before = pool.submit(net.predict, x).result()
        net.weights *= 2
        np.testing.assert_allclose(pool.submit(net.predict, x).result(), 2 * before)
        net.bind(3 * net.weights)
        np.testing.assert_allclose(pool.submit(net.predict, x).result(), 6 * before, rtol=1e-6)


BINARY, CLASSES = nn.BinaryCrossEntropy(), nn.SoftmaxCrossEntropy()


@pytest.mark.parametrize(
    ("loss", "layer", "name"),
    [
        (BINARY, nn.Sequential(nn.Dense(1), nn.Sigmoid()), r"Sigmoid\[1\]"),
        (BINARY, nn.Sigmoid(), "Sigmoid"),
        (BINARY, nn.Sequential(nn.Dense(2), nn.Sequential(nn.Sigmoid())), r"Sigmoid\[0\]"),
        (BINARY, nn.Sequential(nn.Dense(2), nn.Sigmoid(), nn.Flatten()), r"Sigmoid\[1\]"),
        (
            BINARY,
            nn.Concatenate(nn.Dense(1), nn.Sequential(nn.Dense(1), nn.Sigmoid())),
            r"Sigmoid\[1\]",
        ),
        (BINARY, nn.Residual(nn.Dense(5), nn.Sigmoid()), r"Sigmoid\[1\]"),
        (CLASSES, nn.Sequential(nn.Dense(3), nn.Softmax()), r"Softmax\[1\]"),
        (CLASSES, nn.Sequential(nn.Dense(3), nn.Sigmoid()), r"Sigmoid\[1\]"),
    ],
)
def test_probabilities_are_no_logits(loss: nn.Loss, layer: nn.Layer, name: str) -> None:
    net = layer.build(5)
    with pytest.raises(ValueError, match=f"takes logits .* ends in .*{name}: leave that layer out"):
        check(net, loss)


def test_probabilities_may_stand_inside_and_before_other_losses() -> None:
    gated = nn.Sequential(nn.Dense(3), nn.Sigmoid(), nn.Dense(3))
    check(gated.build(5), CLASSES)
    check(gated.build(5), BINARY)
    check(nn.Sequential(nn.Dense(1), nn.Sigmoid()).build(5), nn.MeanSquaredError())


def test_statistics_of_one_row_are_refused_while_training() -> None:
    net = nn.Sequential(nn.Dense(3), nn.BatchNorm()).build(4)
    assert net.least_rows == 2
    x = np.ones((2, 4), np.float32)
    with pytest.raises(ValueError, match=r"BatchNorm\[1\] .* 2 rows .* got 1: .* batch.* shards"):
        net.forward(x[:1], True)
    assert net.predict(x[:1]).shape == (1, 3)
    for rows in (0, 2):
        assert net.forward(x[:rows], True).shape == (rows, 3)
    assert nn.BatchNorm().build((2, 2, 3)).least_rows == 1


def test_building_is_linear_in_layers() -> None:
    """Counted in calls of Python functions, which no busy machine makes more of."""

    def calls(layers: int) -> int:
        model, found = nn.Sequential(*[nn.Dense(1)] * layers), 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal found
            found += event == "call"

        sys.setprofile(count)
        try:
            model.build(1)
        finally:
            sys.setprofile(None)
        return found

    calls(10)
    assert calls(800) < 4.5 * calls(200)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Linear", "Dense"),
        ("Conv2d", "Conv2D"),
        ("BatchNorm1d", "BatchNorm"),
        ("CrossEntropyLoss", "SoftmaxCrossEntropy"),
        ("BCEWithLogitsLoss", "BinaryCrossEntropy"),
        ("MSELoss", "MeanSquaredError"),
        ("L1Loss", "MeanAbsoluteError"),
        ("ReduceLROnPlateau", "ReduceOnPlateau"),
    ],
)
def test_names_of_other_libraries(theirs: str, ours: str) -> None:
    with pytest.raises(AttributeError, match=f"did you mean '{ours}'"):
        getattr(nn, theirs)
    with pytest.raises(ValueError, match=f"did you mean '{ours}'"):
        nn.from_spec({"type": theirs})


def test_every_name_of_ours_that_others_map_to_exists() -> None:
    from dpnn.nn.core.spec import ELSEWHERE

    assert set(ELSEWHERE.values()) <= set(nn.__all__)
    assert not ELSEWHERE.keys() & set(nn.__all__)
