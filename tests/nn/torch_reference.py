"""Every layer again, by torch on dpnn's own parameters: autograd then gives gradients in place.

`forward(layer, p, x)` walks a dpnn model. p holds a layer's parameters by name as torch tensors, as
the layers themselves get them. Import after `pytest.importorskip("torch")`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from dpnn import nn

Tensors = dict[str, Any]


def tensors(net: nn.Network) -> Tensors:
    """The network's trained parameters as leaves, nested as the layers are; state as constants."""
    tree: Tensors = {}
    for entry in net.layout.entries:
        node, (*path, last) = tree, entry.name.split(".")
        for part in path:
            node = node.setdefault(part, {})
        node[last] = torch.from_numpy(net.parameters[entry.name].copy())
        node[last].requires_grad_(entry.momentum is None)
    return tree


def leaves(tree: Tensors, net: nn.Network) -> dict[str, torch.Tensor]:
    """Name -> tensor, trained ones in layout order."""
    found = {}
    for entry in net.layout.entries:
        node = tree
        for part in entry.name.split("."):
            node = node[part]
        if entry.momentum is None:
            found[entry.name] = node
    return found


def forward(layer: nn.Layer, p: Tensors, x: Any) -> torch.Tensor:
    """The layer's output in training mode, without Dropout."""
    return globals()[f"_{type(layer).__name__.lower()}"](layer, p, x)


def _sequential(layer: Any, p: Tensors, x: Any) -> Any:
    for name, child in layer.children().items():
        x = forward(child, p.get(name, {}), x)
    return x


def _branches(layer: Any, p: Tensors, x: Any) -> list[torch.Tensor]:
    return [forward(child, p.get(name, {}), x) for name, child in layer.children().items()]


def _residual(layer: Any, p: Tensors, x: Any) -> Any:
    return x + _sequential(layer, p, x)


def _add(layer: Any, p: Tensors, x: Any) -> Any:
    return sum(_branches(layer, p, x))


def _concatenate(layer: Any, p: Tensors, x: Any) -> Any:
    return torch.cat(_branches(layer, p, x), dim=-1)


def _input(layer: Any, p: Tensors, x: Any) -> Any:
    return x[layer.name]


def _dense(layer: Any, p: Tensors, x: Any) -> Any:
    return F.linear(x, p["W"].T, p.get("b"))


def _embedding(layer: Any, p: Tensors, x: Any) -> Any:
    return F.embedding(x, p["W"])


def _positionalembedding(layer: Any, p: Tensors, x: Any) -> Any:
    return x + p["W"]


def _relu(layer: Any, p: Tensors, x: Any) -> Any:
    return F.relu(x)


def _leakyrelu(layer: Any, p: Tensors, x: Any) -> Any:
    return F.leaky_relu(x, layer.negative_slope)


def _gelu(layer: Any, p: Tensors, x: Any) -> Any:
    return F.gelu(x, approximate="tanh")


def _silu(layer: Any, p: Tensors, x: Any) -> Any:
    return F.silu(x)


def _sigmoid(layer: Any, p: Tensors, x: Any) -> Any:
    return torch.sigmoid(x)


def _tanh(layer: Any, p: Tensors, x: Any) -> Any:
    return torch.tanh(x)


def _softmax(layer: Any, p: Tensors, x: Any) -> Any:
    return torch.softmax(x, dim=-1)


def _flatten(layer: Any, p: Tensors, x: Any) -> Any:
    return x.flatten(1)


def _reshape(layer: Any, p: Tensors, x: Any) -> Any:
    return x.reshape(len(x), *layer.shape)


def _rescale(layer: Any, p: Tensors, x: Any) -> Any:
    return layer.scale * x + layer.offset


def _dropout(layer: Any, p: Tensors, x: Any) -> Any:
    raise NotImplementedError("its random numbers are dpnn's own")


def _layernorm(layer: Any, p: Tensors, x: Any) -> Any:
    return F.layer_norm(x, x.shape[-1:], p["gamma"], p["beta"], layer.epsilon)


def _batchnorm(layer: Any, p: Tensors, x: Any) -> Any:
    rows = x.reshape(-1, x.shape[-1])
    options = {"training": True, "eps": layer.epsilon}
    return F.batch_norm(rows, None, None, p["gamma"], p["beta"], **options).reshape(x.shape)


def _normalization(layer: Any, p: Tensors, x: Any) -> Any:
    return (x - p["mean"]) / p["variance"].sqrt()


# --- losses: the mean over a row's outputs, row by row ---


def losses(loss: nn.Loss, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The loss of each row, not yet weighted."""
    values = globals()[f"_{type(loss).__name__.lower()}"](loss, z, y)
    return values.reshape(len(values), -1).mean(dim=1)


def _softmaxcrossentropy(loss: Any, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    smooth = loss.label_smoothing
    flat = F.cross_entropy(
        z.reshape(-1, z.shape[-1]), y.reshape(-1), reduction="none", label_smoothing=smooth
    )
    return flat.reshape(y.shape)


def _binarycrossentropy(loss: Any, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(z, y.to(z.dtype), reduction="none")


def _meansquarederror(loss: Any, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.mse_loss(z, y, reduction="none")


def _meanabsoluteerror(loss: Any, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.l1_loss(z, y, reduction="none")


def _huber(loss: Any, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.huber_loss(z, y, reduction="none", delta=loss.delta)


def _poisson(loss: Any, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.poisson_nll_loss(z, y.to(z.dtype), log_input=True, full=False, reduction="none")


def _quantile(loss: Any, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.maximum(loss.q * (y - z), (loss.q - 1) * (y - z))


def to_torch(x: Any) -> Any:
    """Inputs as tensors; those of floats want a gradient."""
    if isinstance(x, dict):
        return {name: to_torch(values) for name, values in x.items()}
    x = torch.from_numpy(np.array(x))
    return x.requires_grad_(x.is_floating_point())
