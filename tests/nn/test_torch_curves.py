"""Loss curves: 20 steps of whole models by each optimizer follow torch's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dpnn import nn

torch = pytest.importorskip("torch")
from tests.nn import torch_reference as reference  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    # Flags that torch's kernels leave in the processor show up in NumPy's next product.
    pytest.mark.filterwarnings("ignore:invalid value encountered in dot"),
]
STEPS, ROWS = 20, 16

MODELS: dict[str, tuple[nn.Layer, tuple[int, ...]]] = {
    "mlp": (nn.Sequential(nn.Dense(32), nn.ReLU(), nn.Dense(16), nn.Tanh(), nn.Dense(4)), (10,)),
    "cnn": (
        nn.Sequential(
            nn.Conv2D(6, 3, padding="same"),
            nn.BatchNorm(),
            nn.ReLU(),
            nn.MaxPool2D(),
            nn.Conv2D(8, 3, strides=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dense(4),
        ),
        (10, 10, 2),
    ),
    "lstm": (nn.Sequential(nn.LSTM(12), nn.Dense(4)), (7, 5)),
    "transformer": (
        nn.Sequential(
            nn.Dense(12),
            nn.PositionalEmbedding(),
            nn.Residual(nn.LayerNorm(), nn.MultiHeadAttention(3, causal=True)),
            nn.Residual(nn.LayerNorm(), nn.Dense(24), nn.GELU(), nn.Dense(12)),
            nn.LayerNorm(),
            nn.GlobalAveragePool(),
            nn.Dense(4),
        ),
        (6, 5),
    ),
}

OPTIMIZERS: dict[str, tuple[nn.Optimizer, Callable[[list], Any]]] = {
    "sgd": (nn.SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "momentum": (
        nn.SGD(0.05, momentum=0.9),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9),
    ),
    "nesterov": (
        nn.SGD(0.05, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    ),
    "rmsprop": (
        nn.RMSProp(0.003, rho=0.9, momentum=0.5),
        lambda p: torch.optim.RMSprop(p, 0.003, alpha=0.9, momentum=0.5),
    ),
    "adagrad": (nn.Adagrad(0.03), lambda p: torch.optim.Adagrad(p, 0.03)),
    "adam": (nn.Adam(0.01), lambda p: torch.optim.Adam(p, 0.01)),
    "adamw": (nn.AdamW(0.01, weight_decay=0.1), lambda p: torch.optim.AdamW(decayed(p), 0.01)),
}


def decayed(parameters: list) -> list[dict[str, Any]]:
    """torch's parameter groups for a decay that spares biases and norms."""
    matrices = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim < 2]
    return [
        {"params": matrices, "weight_decay": 0.1},
        {"params": others, "weight_decay": 0.0},
    ]


def data(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((ROWS, *shape)).astype(np.float32), rng.integers(0, 4, ROWS)


def ours(model: nn.Layer, x: np.ndarray, y: np.ndarray, optimizer: nn.Optimizer) -> list[float]:
    net, loss = model.build(x.shape[1:], seed=1), nn.SoftmaxCrossEntropy()
    trained, curve = net.layout.trained, []
    state = optimizer.init(net.layout)
    for _ in range(STEPS):
        curve.append(net.loss_and_gradients(x, y, loss) / ROWS)
        gradient = net.gradient[:trained] / np.float32(ROWS)
        optimizer.update(state, net.weights[:trained], gradient)
    return curve


def theirs(model: nn.Layer, x: np.ndarray, y: np.ndarray, make: Callable) -> list[float]:
    net, curve = model.build(x.shape[1:], seed=1), []
    p = reference.tensors(net)
    optimizer = make(list(reference.leaves(p, net).values()))
    for _ in range(STEPS):
        optimizer.zero_grad()
        z = reference.forward(model, p, torch.from_numpy(x))
        loss = torch.nn.functional.cross_entropy(z, torch.from_numpy(y))
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
    return curve


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", MODELS)
def test_curve(name: str, optimizer: str) -> None:
    model, shape = MODELS[name]
    x, y = data(shape)
    own, make = OPTIMIZERS[optimizer]
    found, expected = ours(model, x, y, own), theirs(model, x, y, make)
    assert expected[-1] < 0.9 * expected[0]  # it learns, so that the curve says something
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


def test_lbfgs_finds_torchs_minimum_in_as_many_evaluations() -> None:
    """Paths differ (first step, line search); a convex problem's minimum does not."""
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((200, 6)).astype(np.float32), rng.integers(0, 4, 200)
    net, loss = nn.Dense(4).build(6, seed=1), nn.SoftmaxCrossEntropy()
    p = reference.tensors(net)
    counts = {"ours": 0, "theirs": 0}

    def evaluate(trial: bool = False) -> nn.Evaluation:
        counts["ours"] += 1
        value = net.loss_and_gradients(x, y, loss) / 200
        return nn.Evaluation(value, net.gradient / np.float32(200))

    lbfgs = nn.LBFGS()
    state = lbfgs.init(net.layout)
    for _ in range(8):
        found = lbfgs.step(state, net.weights, evaluate).value

    leaves = list(reference.leaves(p, net).values())
    other = torch.optim.LBFGS(
        leaves, max_iter=8, tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Any:
        counts["theirs"] += 1
        other.zero_grad()
        z = reference.forward(net.layer, p, torch.from_numpy(x))
        value = torch.nn.functional.cross_entropy(z, torch.from_numpy(y))
        value.backward()
        return value

    other.step(closure)
    assert found == pytest.approx(closure().item(), rel=1e-5)
    assert counts["ours"] <= counts["theirs"] + 3
