"""What a user did wrong, said with the layer's name and the numbers."""

import numpy as np
import pytest

from dpnn import nn

LAYERS = [
    (nn.Dense(2), (), "expected x of shape"),
    (nn.Conv2D(2, 3), (5, 5), "expected x of shape"),
    (nn.Conv2D(2, 9), (5, 5, 1), "fits"),
    (nn.Conv2D(3, 3, groups=2), (5, 5, 4), "fits"),
    (nn.LSTM(2), (5,), "expected x of shape"),
    (nn.MultiHeadAttention(3), (5, 4), "3 heads"),
    (nn.MaxPool2D(9), (5, 5, 1), "expected x"),
    (nn.Reshape((4, 2)), (5,), "expected 8 numbers"),
    (nn.Input("age"), (3,), "expected an input named 'age'"),
    (nn.Residual(nn.Dense(3)), (2,), "keep the shape"),
    (nn.Add(nn.Dense(3), nn.Dense(2)), (2,), "branches"),
    (nn.Concatenate(nn.Flatten(), nn.Tanh()), (2, 2), "branches"),
]


@pytest.mark.parametrize(("layer", "shape", "message"), LAYERS, ids=lambda v: str(v)[:40])
def test_a_layer_that_does_not_fit_says_so_and_where(
    layer: nn.Layer, shape: tuple[int, ...], message: str
) -> None:
    model = nn.Sequential(nn.Rescale(1.0), layer)
    with pytest.raises(nn.ShapeError, match=message) as error:
        model.build(shape)
    assert str(error.value).startswith(f"{type(layer).__name__}[1]")


@pytest.mark.parametrize("words", [[-1, 2], [0, 5], [7, 1]])
def test_words_outside_of_the_table(words: list[int]) -> None:
    net = nn.Sequential(nn.Embedding(5, 2)).build(())
    with pytest.raises(ValueError, match=r"Embedding\[0\].* 0 to 4"):
        net.predict(np.array(words))


@pytest.mark.parametrize("rate", [-0.1, 1.0, 50])
def test_dropout_rates(rate: float) -> None:
    with pytest.raises(ValueError, match=str(rate)):
        nn.Dropout(rate)


def test_padding_names() -> None:
    with pytest.raises(ValueError, match="'valid' or 'same'"):
        nn.Conv2D(3, 3, padding="full")


@pytest.mark.parametrize(
    ("loss", "shape", "message"),
    [
        (nn.SoftmaxCrossEntropy(), (1,), "BinaryCrossEntropy"),
        (nn.SoftmaxCrossEntropy(), (), "one output a class"),
        (
            nn.SoftmaxCrossEntropy(class_weights=(1.0, 2.0)),
            (3,),
            r"2 entries for outputs of \(3,\)",
        ),
    ],
)
def test_losses_check_the_output(loss: nn.Loss, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loss.check(shape)


def test_targets_of_another_size() -> None:
    net = nn.Dense(2).build(3)
    with pytest.raises(ValueError, match="MeanSquaredError expected targets"):
        net.loss(np.zeros((4, 2), np.float32), np.zeros(4), nn.MeanSquaredError())


def test_a_gpu_without_cupy() -> None:
    from dpnn.nn.backend import to_device

    try:
        import cupy  # noqa: F401
    except ImportError:
        with pytest.raises(ModuleNotFoundError, match="pip install"):
            to_device(np.zeros(3), "gpu")
    assert to_device(np.zeros(3), "cpu").shape == (3,)


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match="did you mean 'Dense'"):
        _ = nn.Dens
