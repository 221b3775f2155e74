"""The benchmark's models as a torch user would write them (channels first, eager)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn


def mlp(sizes: list[int]) -> nn.Module:
    layers: list[nn.Module] = []
    for i, o in pairwise(sizes):
        layers += [nn.Linear(i, o), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


class Block(nn.Module):
    """Two convolutions and the way around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.inner(x))


def resnet(channels: int) -> nn.Module:
    def widen(i: int, o: int, stride: int) -> list[nn.Module]:
        conv = nn.Conv2d(i, o, 3, stride, padding=1, bias=False)
        return [conv, nn.BatchNorm2d(o), nn.ReLU()]

    return nn.Sequential(
        *widen(channels, 16, 1),
        Block(16),
        *widen(16, 32, 2),
        Block(32),
        *widen(32, 64, 2),
        Block(64),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


class LSTM(nn.Module):
    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, units, batch_first=True)
        self.head = nn.Linear(units, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class Transformer(nn.Module):
    """One pre-norm block, attention through scaled_dot_product_attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, c = x.shape
        qkv = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        x = x + self.down(nn.functional.gelu(self.up(self.norm2(x)), approximate="tanh"))
        return self.head(x.mean(dim=1))


class Embeddings(nn.Module):
    def __init__(self, columns: int, words: int, width: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(words, width) for _ in range(columns))
        self.deep = mlp([columns * width, 64, 10])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [table(column) for table, column in zip(self.tables, x.unbind(1), strict=True)]
        return self.deep(torch.cat(parts, dim=1))


class Step:
    """One training step: forward, backward, Adam as torch sets it up by default."""

    def __init__(self, model: nn.Module, x: Any, y: Any) -> None:
        self.model, self.x, self.y = model, torch.from_numpy(x), torch.from_numpy(y)
        self.optimizer = torch.optim.Adam(model.parameters())

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self.model(self.x), self.y).backward()
        self.optimizer.step()
