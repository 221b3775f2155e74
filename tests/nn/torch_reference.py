"""Every layer again, by torch on dpnn's own parameters: autograd then gives gradients in place.

`forward(layer, p, x)` walks a dpnn model. p holds a layer's parameters by name as torch tensors, as
the layers themselves get them. Import after `pytest.importorskip("torch")`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from dpnn import nn
from tests.nn.cases import pair, same_padding

Tensors = dict[str, Any]
torch.set_num_threads(1)  # with two, torch 2.13's own convolutions crashed now and then


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
    return (x - p["mean"] - p["rest"]) * p["scale"]


def _conv2d(layer: Any, p: Tensors, x: Any) -> Any:
    strides, dilation = pair(layer.strides), pair(layer.dilation)
    if layer.padding == "same":
        axes = zip(x.shape[1:3], p["W"].shape[:2], strides, dilation, strict=True)
        rows, columns = (same_padding(*axis) for axis in axes)
        x = F.pad(x, (0, 0, *columns, *rows))
    # Copies: with views, torch 2.13 refuses the gradient or frees wild memory on AVX2 processors.
    x, w = x.permute(0, 3, 1, 2).contiguous(), p["W"].permute(3, 2, 0, 1).contiguous()
    y = F.conv2d(x, w, p.get("b"), strides, 0, dilation, layer.groups)
    return y.permute(0, 2, 3, 1)


def _conv1d(layer: Any, p: Any, x: Any) -> Any:
    p = p["conv"]
    if layer.padding == "same":
        size, kernel = x.shape[1], p["W"].shape[1]
        x = F.pad(x, (0, 0, *same_padding(size, kernel, layer.strides, layer.dilation)))
    x, w = x.permute(0, 2, 1).contiguous(), p["W"][0].permute(2, 1, 0).contiguous()
    y = F.conv1d(x, w, p.get("b"), layer.strides, 0, layer.dilation, layer.groups)
    return y.permute(0, 2, 1)


def _maxpool2d(layer: Any, p: Tensors, x: Any) -> Any:
    y = F.max_pool2d(x.permute(0, 3, 1, 2), layer.pool_size, layer.strides)
    return y.permute(0, 2, 3, 1)


def _averagepool2d(layer: Any, p: Tensors, x: Any) -> Any:
    y = F.avg_pool2d(x.permute(0, 3, 1, 2), layer.pool_size, layer.strides)
    return y.permute(0, 2, 3, 1)


def _globalaveragepool(layer: Any, p: Tensors, x: Any) -> Any:
    return x.flatten(1, -2).mean(dim=1)


def _lstm(layer: Any, p: Tensors, x: Any) -> Any:
    def gates(w: torch.Tensor) -> torch.Tensor:  # dpnn: i, f, o, g; torch: i, f, g, o
        i, f, o, g = w.split(layer.units, dim=-1)
        return torch.cat([i, f, g, o], dim=-1)

    start = torch.zeros(1, len(x), layer.units)
    weights = [gates(p["W"]).T, gates(p["U"]).T, gates(p["b"]), torch.zeros(4 * layer.units)]
    y = torch.lstm(x, (start, start), weights, True, 1, 0.0, True, False, True)[0]
    return y if layer.return_sequences else y[:, -1]


def _gru(layer: Any, p: Tensors, x: Any) -> Any:
    start = torch.zeros(1, len(x), layer.units)
    weights = [p["W"].T, p["U"].T, p["b"], p["c"]]
    y = torch.gru(x, start, weights, True, 1, 0.0, True, False, True)[0]
    return y if layer.return_sequences else y[:, -1]


def _multiheadattention(layer: Any, p: Tensors, x: Any) -> Any:
    return attention(layer, p, x)


def attention(layer: Any, p: Tensors, x: Any, hidden: Any = None) -> torch.Tensor:
    """`hidden` is added to the scores (B, H, T, T); without it the layer's own `causal` holds."""
    batch, time, channels = x.shape
    qkv = _dense(layer, p["in"], x).reshape(batch, time, 3, layer.heads, -1)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    causal = layer.causal and hidden is None
    y = F.scaled_dot_product_attention(q, k, v, hidden, is_causal=causal)
    return _dense(layer, p["out"], y.transpose(1, 2).reshape(batch, time, channels))


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
