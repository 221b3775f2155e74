"""Optimizers on the flat vector: `state = init(layout)`, `update(state, w, g)` in place.

w and g are (trained,); g is the mean gradient. They work block by block, so that all passes of an
update find their numbers in the cache. State is a dict of arrays and numbers: what a checkpoint
stores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from dpnn.nn.backend import Array, array_module
from dpnn.nn.params import Layout

State = dict[str, Any]
BLOCK = 16384


class Optimizer:
    """Base of all optimizers: makes the state, walks the blocks."""

    slots: tuple[str, ...] = ()
    learning_rate: float

    def init(self, layout: Layout, like: Array | None = None) -> State:
        """The state before the first step; `like` gives dtype and device (float32, CPU)."""
        like = np.empty(0, np.float32) if like is None else like
        xp = array_module(like)
        state: State = {"step": 0}
        for name in self.slots:
            state[name] = xp.zeros(layout.trained, like.dtype)
        return state

    def update(self, state: State, w: Array, g: Array) -> None:
        """One step: w is changed in place, g may be overwritten."""
        state["step"] += 1
        slots = [state[name] for name in self.slots]
        for block in _blocks(w.size):
            self.rule(state, w[block], g[block], *(s[block] for s in slots))

    def rule(self, state: State, w: Array, g: Array, *slots: Array) -> None:
        raise TypeError(f"{type(self).__name__} has no update rule")


def _blocks(n: int) -> Iterator[slice]:
    return (slice(i, i + BLOCK) for i in range(0, n, BLOCK))


@dataclass(frozen=True)
class SGD(Optimizer):
    """v = μ v + g;  w -= η v, or with Nesterov w -= η (g + μ v). Sutskever et al. 2013."""

    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    slots = ("v",)

    def rule(self, state: State, w: Array, g: Array, *slots: Array) -> None:
        if self.momentum:
            (v,) = slots
            v *= self.momentum
            v += g
            g = g + self.momentum * v if self.nesterov else v
        w -= self.learning_rate * g


@dataclass(frozen=True)
class Adam(Optimizer):
    """m, v: running means of g and g²;  w -= η m̂ / (√v̂ + ε). Kingma & Ba 2015."""

    learning_rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    slots = ("m", "v")

    def rule(self, state: State, w: Array, g: Array, *slots: Array) -> None:
        (m, v), t = slots, state["step"]
        m *= self.beta1
        m += (1 - self.beta1) * g
        v *= self.beta2
        g *= g
        g *= 1 - self.beta2
        v += g
        xp = array_module(w)
        xp.sqrt(v, out=g)
        g *= 1 / sqrt(1 - self.beta2**t)
        g += self.epsilon
        xp.divide(m, g, out=g)
        g *= self.learning_rate / (1 - self.beta1**t)
        w -= g


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay, w -= η λ w first. Loshchilov & Hutter 2019."""

    weight_decay: float = 0.01

    def rule(self, state: State, w: Array, g: Array, *slots: Array) -> None:
        w *= 1 - self.learning_rate * self.weight_decay
        super().rule(state, w, g, *slots)


def clip_by_global_norm(g: Array, limit: float) -> float:
    """Scale g in place so that its norm is at most `limit`; returns the norm before."""
    norm = sqrt(float(array_module(g).dot(g, g)))
    if norm > limit:
        g *= limit / norm
    return norm
