"""More optimizers: each turns a gradient into the direction to leave, in place."""

from math import sqrt

import numpy as np

from dpnn.nn.core.fields import Rate, Share
from dpnn.nn.core.optim import Adam, Optimizer, Schedule, State
from dpnn.nn.core.params import Layout
from dpnn.nn.kernels import Array, array_module, blocks, spans


class AdamW(Adam):
    """Adam with decoupled weight decay. Loshchilov & Hutter 2019."""

    weight_decay: Rate = 0.01


class RMSProp(Optimizer):
    """v: running mean of g²;  m = μ m + g / (√v + ε);  w -= η m. Tieleman & Hinton 2012."""

    learning_rate: Rate | Schedule = 0.001
    rho: Share = 0.9
    momentum: Share = 0.0
    epsilon: Rate = 1e-8
    slots = ("v", "m")

    def direct(self, state: State, g: Array, *slots: Array) -> None:
        v, m = slots
        v *= self.rho
        v += (1 - self.rho) * g * g
        g /= array_module(g).sqrt(v) + self.epsilon
        if self.momentum:
            m *= self.momentum
            m += g
            g[...] = m


class Adagrad(Optimizer):
    """v += g²;  w -= η g / (√v + ε). Duchi et al. 2011."""

    epsilon: Rate = 1e-10
    slots = ("v",)

    def direct(self, state: State, g: Array, *slots: Array) -> None:
        (v,) = slots
        v += g * g
        g /= array_module(g).sqrt(v) + self.epsilon


class LAMB(Adam):
    """AdamW whose step is scaled to the norm of each matrix, for large batches. You et al. 2020."""

    weight_decay: Rate = 0.01

    def init(self, layout: Layout, like: Array | None = None) -> State:
        """Beside Adam's: where each matrix lies, and its own factor of the weight decay."""
        state = super().init(layout, like)
        trained = [e for e in layout.entries if e.momentum is None and len(e.shape) > 1]
        matrices = [(e.start, e.stop, e.decay) for e in trained]
        state["matrices"] = np.array(matrices, float).reshape(-1, 3)
        return state

    def update(self, state: State, w: Array, g: Array) -> None:
        rate, xp = self.begin(state, w, g), array_module(w)
        for some in blocks(xp, w.size):
            self.direct(state, g[some], state["m"][some], state["v"][some])
        for span, factor in spans(state["matrices"]):
            weights, r = w[span], g[span]
            r += factor * self.weight_decay * weights
            norm, step = sqrt(xp.dot(weights, weights)), sqrt(xp.dot(r, r))
            r *= norm / step if norm and step else 1
        for span, factor in spans(state["rates"]):
            w[span] -= factor * rate * g[span]


class Lion(Optimizer):
    """w -= η sign(β1 m + (1-β1) g);  m: running mean of g by β2. Chen et al. 2023."""

    learning_rate: Rate | Schedule = 0.0001
    beta1: Share = 0.9
    beta2: Share = 0.99
    slots = ("m",)

    def direct(self, state: State, g: Array, *slots: Array) -> None:
        (m,) = slots
        ahead = m + (1 - self.beta1) * (g - m)
        m += (1 - self.beta2) * (g - m)
        array_module(g).sign(ahead, out=g)


def clip_by_global_norm(g: Array, limit: float) -> float:
    """Scale g in place so that its norm is at most `limit`; returns the norm before."""
    norm = sqrt(float(array_module(g).dot(g, g)))
    if norm > limit:
        g *= limit / norm
    return norm
