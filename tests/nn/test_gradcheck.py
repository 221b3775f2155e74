"""The check of gradients finds what is wrong: a factor, a hole, a forgotten view, a wrong dx."""

import numpy as np
import pytest

from dpnn import nn

X = np.random.default_rng(0).standard_normal((4, 3))


class Doubled(nn.Dense):
    """A dense layer whose backward pass can be broken."""

    fault: str = ""

    def backward(self, p, g, cache, dy, ctx):
        dx = super().backward(p, g, cache, dy, ctx)
        if self.fault == "factor":
            g["W"][0, 0] *= 1.001
        if self.fault == "hole":
            g["b"][1] = np.nan
        if self.fault == "dx":
            dx[1, 1] += 0.01
        return None if self.fault == "no dx" else dx


def test_a_right_layer_passes() -> None:
    assert nn.gradient_check(Doubled(2), X) < 1e-6


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("factor", "W"),
        ("hole", r"b\[1\]: backward nan"),
        ("dx", r"x\[1, 1\]"),
        ("no dx", r"x: backward gave a gradient of \(\)"),
    ],
)
def test_a_fault_is_found_and_named(fault: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        nn.gradient_check(Doubled(2, fault=fault), X)


def test_a_mask_of_floats_has_no_gradient_to_check() -> None:
    layer = nn.Sequential(nn.Input("x"), nn.MultiHeadAttention(1, mask="mask"))
    x = np.random.default_rng(0).standard_normal((2, 3, 2))
    assert nn.gradient_check(layer, {"x": x, "mask": np.array([[1.0, 1, 0]] * 2)}) < 1e-6


def test_a_mean_inside_a_loss_is_found() -> None:
    class Mean(nn.MeanSquaredError):
        def __call__(self, z, y, w, ctx):
            value, dz = super().__call__(z, y, w, ctx)
            return value, dz / len(z)

    y = np.zeros((4, 2))
    assert nn.gradient_check(nn.Dense(2), X, y, nn.MeanSquaredError()) < 1e-6
    with pytest.raises(AssertionError):
        nn.gradient_check(nn.Dense(2), X, y, Mean())
