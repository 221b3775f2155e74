"""What a user did wrong, said with the layer's name and the numbers."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from dpnn import nn
from dpnn.nn.core.fields import Limit

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


class Slope(nn.Layer):
    """Declares a shape where a parameter is asked for."""

    def shapes(self, x: Any, ctx: Any) -> Any:
        return {"a": x}, x


def test_a_parameter_of_a_layer_of_ones_own_is_a_param() -> None:
    with pytest.raises(TypeError) as error:
        nn.Sequential(nn.Dense(3), Slope()).build(4)
    assert str(error.value) == "Slope().shapes gives a as (3,): say nn.Param((3,))"


@pytest.mark.parametrize("words", [[-1, 2], [0, 5], [7, 1], [0.5, 1.0]])
def test_words_outside_of_the_table(words: list[int]) -> None:
    net = nn.Sequential(nn.Embedding(5, 2)).build(())
    with pytest.raises(ValueError, match=r"Embedding\[0\].* 0 to 4"):
        net.predict(np.array(words))


@pytest.mark.parametrize("rate", [-0.1, 1.0, 50])
def test_dropout_rates(rate: float) -> None:
    with pytest.raises(ValueError, match=str(rate)):
        nn.Dropout(rate)


REFUSED = [
    (lambda: nn.Dense(0), "Dense.units takes whole numbers from 1, not 0"),
    (lambda: nn.Dense(2.5), "Dense.units takes whole numbers from 1, not 2.5"),
    (lambda: nn.Dense((2, 3)), "Dense.units"),
    (lambda: nn.Conv2D(2, 3, strides=(1, 0)), r"Conv2D.strides .* not \(1, 0\)"),
    (lambda: nn.Conv2D(2, (3, -1)), "Conv2D.kernel_size"),
    (lambda: nn.Conv2D(2, 3, dilation=0), "Conv2D.dilation"),
    (lambda: nn.Conv2D(4, 3, groups=0), "Conv2D.groups"),
    (lambda: nn.Conv1D(2, 3, strides=0), "Conv1D.strides"),
    (lambda: nn.MaxPool2D(2, 0), "MaxPool2D.strides"),
    (lambda: nn.MultiHeadAttention(0), "MultiHeadAttention.heads"),
    (lambda: nn.LSTM(-1), "LSTM.units"),
    (lambda: nn.Embedding(5, 0), "Embedding.units"),
    (lambda: nn.Reshape((-1, 3)), "Reshape.shape"),
    (lambda: nn.LayerNorm(epsilon=-1.0), "LayerNorm.epsilon takes numbers from 0, not -1.0"),
    (lambda: nn.BatchNorm(momentum=1.0), "BatchNorm.momentum takes numbers from 0 up to 1"),
    (lambda: nn.SoftmaxCrossEntropy(label_smoothing=1.5), "label_smoothing"),
    (lambda: nn.SoftmaxCrossEntropy(class_weights=(1.0, -1.0)), "class_weights"),
    (lambda: nn.Quantile(2.0), "Quantile.q"),
    (lambda: nn.Huber(-1.0), "Huber.delta"),
    (lambda: nn.SGD(-0.1), "SGD.learning_rate"),
    (lambda: nn.SGD("0.1"), "SGD.learning_rate takes numbers from 0 or a Schedule, not '0.1'"),
    (lambda: nn.Adam(float("nan")), "Adam.learning_rate"),
    (lambda: nn.Adam(beta1=1.0), "Adam.beta1"),
    (lambda: nn.SGD(0.1, momentum=1.5), "SGD.momentum"),
    (lambda: nn.LBFGS(evaluations=0), "LBFGS.evaluations"),
    (lambda: nn.CosineDecay(0.1, 0), "CosineDecay.steps"),
    (lambda: nn.OneCycle(0.1, 10, warmup=1.0), "OneCycle.warmup"),
    (lambda: nn.SGD(nesterov="False"), "SGD.nesterov takes true or false, not 'False'"),
    (lambda: nn.Dense(3, bias="no"), "Dense.bias takes true or false"),
    (lambda: nn.Dense(True), "Dense.units takes whole numbers from 1, not True"),
    (lambda: nn.Dense(3, initializer=5), "Dense.initializer takes a text, not 5"),
    (lambda: nn.Rescale("1/16"), "Rescale.scale takes numbers, not '1/16'"),
    (lambda: nn.Warmup(0.1, 5, then=0.05), "Warmup.then takes a Schedule, not 0.05"),
    (
        lambda: nn.Adam((0.1, 0.2)),
        r"Adam.learning_rate takes numbers from 0 or a Schedule, not \(0.1, 0.2\)",
    ),
    (lambda: nn.Adam(None), "Adam.learning_rate takes numbers from 0 or a Schedule, not None"),
    (
        lambda: nn.Adam(nn.Dense(3)),
        "Adam.learning_rate takes numbers from 0 or a Schedule, not Dense",
    ),
    (lambda: nn.Reshape(12), "Reshape.shape takes a list of whole numbers from 1, not 12"),
    (
        lambda: nn.Conv2D(2, (3,)),
        r"kernel_size takes whole numbers from 1 or a list of 2 whole numbers from 1, ",
    ),
    (lambda: nn.Conv1D(3, 3, padding="full"), "Conv1D.padding takes 'valid' or 'same', not 'full'"),
    (lambda: nn.ReduceOnPlateau(0.1, minimum=0.5), "a rate above 0 and a minimum up to it"),
    (lambda: nn.LBFGS(weight_decay=0.1), "it has no weight_decay"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=lambda v: str(v)[:40])
def test_fields_that_cannot_be(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_fields_of_a_users_own_take_what_they_like() -> None:
    class Shift(nn.Layer):
        rate: float = -1.0
        units: int = -2
        heads: Literal["a", -1] = -1

    assert nn.from_spec(nn.to_spec(Shift(-3.0, -4))) == Shift(-3.0, -4)
    with pytest.raises(ValueError, match=r"Shift\.rate takes numbers, not 'x'"):
        Shift("x")

    class Bounded(nn.Layer):
        tilt: Annotated[float, Limit(-1, 1), "radians"] = 0.0

    with pytest.raises(ValueError, match=r"Bounded\.tilt takes numbers from -1 up to 1, not 1"):
        Bounded(1)

    class Shifted(nn.Layer):
        axis: int = 0
        pads: tuple[int, ...] = (0, -1)

    assert (Shifted().axis, Shifted(-1).pads) == (0, (0, -1))

    class Odd(nn.Layer):
        anything: Any = None
        array: np.ndarray = ()
        bare: list = ()
        whole: list[int] = (1,)
        nothing: tuple[()] = ()
        kind: type = int

    assert Odd(np.ones(2), np.ones(3), [1, "a"], [1, 2]).bare == (1, "a")
    with pytest.raises(ValueError, match=r"Odd.whole takes a list of"):
        Odd(whole=["a"])


def test_fields_whose_types_only_checkers_know() -> None:
    made = type("Unknown", (nn.Layer,), {"__annotations__": {"thing": "NoSuchType"}, "thing": 3})
    assert made(thing=[4]).thing == (4,)


def test_a_class_of_dpnns_name() -> None:
    with pytest.raises(TypeError, match=r"give your class another name"):
        type("Dense", (nn.Layer,), {})
    for _ in range(2):  # a notebook's cell is run again
        type("DenseOfMine", (nn.Layer,), {})


@pytest.mark.parametrize("layer", [nn.ReLU(), nn.Rescale(2.0), nn.Residual(nn.ReLU())])
def test_several_inputs_for_a_layer_of_one(layer: nn.Layer) -> None:
    with pytest.raises(nn.ShapeError, match="expected x of shape"):
        layer.build({"a": (3,), "b": (3,)})


@pytest.mark.parametrize("layer", [nn.Add(), nn.Concatenate()])
def test_no_branches(layer: nn.Layer) -> None:
    with pytest.raises(nn.ShapeError, match="branches"):
        layer.build(3)


def test_a_mask_of_another_length() -> None:
    with pytest.raises(nn.ShapeError, match="mask 't'"):
        nn.Sequential(nn.Input("x"), nn.MultiHeadAttention(2, mask="t")).build(
            {"x": (4, 2), "t": (3,)}
        )


@pytest.mark.parametrize(
    "y", [[0], [0, 1], [0, 1, 2, 3], [-1, 0, 1], [0, 1, 3], [0, 0.5, 1], np.eye(3)]
)
def test_class_numbers_that_do_not_fit(y: list[int]) -> None:
    net = nn.Dense(3).build(2)
    with pytest.raises(ValueError, match=r"targets|class numbers|numbers from 0 to 2, not"):
        net.loss(np.zeros((3, 3), np.float32), np.array(y), nn.SoftmaxCrossEntropy())


@pytest.mark.parametrize(
    ("y", "z", "right"),
    [
        ((2, 5), (5, 2), False),
        ((10,), (5, 2), True),
        ((5, 2), (10,), True),
        ((5, 1, 2), (5, 2), True),
        ((5, 2), (5, 2, 1), True),
        ((), (1,), True),
        ((1,), (), True),
    ],
)
def test_targets_of_other_shapes(y: tuple[int, ...], z: tuple[int, ...], right: bool) -> None:
    net, outputs = nn.Dense(2).build(3), np.zeros((4, *z), np.float32)
    losses: list[tuple[nn.Loss, np.ndarray]] = [
        (nn.MeanSquaredError(), outputs),
        (nn.SoftmaxCrossEntropy(), np.zeros((4, *z, 3), np.float32)),
    ]
    for loss, out in losses:
        if right:
            assert net.loss(out, np.zeros((4, *y)), loss)[1].shape == out.shape
        else:
            with pytest.raises(ValueError, match=r"rows of \(5, 2\), got|shape \(4, 5, 2\), got"):
                net.loss(out, np.zeros((4, *y)), loss)


def test_row_weights_in_a_column() -> None:
    net, z, w = nn.Dense(2).build(3), np.ones((4, 2), np.float32), np.arange(4.0)
    for loss, y in ((nn.SoftmaxCrossEntropy(), np.zeros(4)), (nn.MeanSquaredError(), 0 * z)):
        flat, column = net.loss(z, y, loss, w), net.loss(z, y, loss, w[:, None])
        assert flat[0] == column[0]


def test_predict_of_what_cannot_be() -> None:
    net = nn.Add(nn.Input("a"), nn.Input("b")).build({"a": (1,), "b": (1,)})
    a, b = np.zeros((1024, 1), np.float32), np.zeros((2048, 1), np.float32)
    with pytest.raises(ValueError, match=r"different lengths: \{'a': 1024, 'b': 2048\}"):
        net.predict({"a": a, "b": b})
    for size in (0, -1):
        with pytest.raises(ValueError, match=f"batch_size must be at least 1, got {size}"):
            net.predict({"a": a, "b": a}, size)


def test_an_update_of_more_than_is_trained() -> None:
    net = nn.Sequential(nn.Dense(2), nn.BatchNorm()).build(3)
    for optimizer in (nn.SGD(), nn.Adam(), nn.LAMB()):
        state, before = optimizer.init(net.layout), net.weights.copy()
        with pytest.raises(
            ValueError, match=r"update of 12 numbers got 16, 16: give \[: layout.tr"
        ):
            optimizer.update(state, net.weights, net.gradient)
        assert (state["step"], net.weights.tolist()) == (0, before.tolist())
    with pytest.raises(TypeError, match="call step"):
        nn.LBFGS().update({}, net.weights, net.gradient)


def test_rows_that_do_not_match() -> None:
    net = nn.Add(nn.Input("a"), nn.Input("b")).build({"a": (2,), "b": (2,)})
    x = {"a": np.zeros((3, 2), np.float32), "b": np.zeros((1, 2), np.float32)}
    with pytest.raises(ValueError, match=r"different lengths: \{'a': 3, 'b': 1\}"):
        net.forward(x)
    z, y = np.zeros((2, 3), np.float32), np.zeros((3, 2))
    with pytest.raises(ValueError, match="2 rows of outputs, but 3 targets"):
        net.loss(z, y, nn.MeanSquaredError())
    with pytest.raises(ValueError, match="2 targets and 1 weights"):
        net.loss(z, z, nn.MeanSquaredError(), np.ones(1))


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
    from dpnn.nn.kernels.arrays import to_device

    try:
        import cupy  # noqa: F401
    except ImportError:
        with pytest.raises(ModuleNotFoundError, match="pip install"):
            to_device(np.zeros(3), "gpu")
    assert to_device(np.zeros(3), "cpu").shape == (3,)


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match="did you mean 'Dense'"):
        _ = nn.Dens


def test_a_loss_without_a_derivative_says_so() -> None:
    """It would fill the gradient with NaN: one that still names it otherwise is told."""

    class Old(nn.Loss):
        def value(self, z, y, xp):
            return xp.abs(z - y)

        def slope(self, z, y, xp):
            return xp.sign(z - y)

    net, x = nn.Dense(1).build((2,)), np.ones((3, 2), np.float32)
    with pytest.raises(NotImplementedError, match=r"Old has no method derivative\(z, y, xp\)"):
        net.loss_and_gradients(x, np.ones((3, 1), np.float32), Old())
