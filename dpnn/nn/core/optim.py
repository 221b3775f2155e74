"""Optimizers on the flat vector: `state = init(layout)`, `update(state, w, g)` in place.

w and g are (trained,); g is the mean gradient. They work block by block, so that all passes of an
update find their numbers in the cache. State is a dict of arrays and numbers: what a checkpoint
stores. Weight decay is decoupled from the gradient, w -= η λ w, and spares biases and norms: it
holds for parameters of two axes or more. A parameter may have factors of its own for η and λ.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, replace
from math import sqrt
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from dpnn.nn.kernels import Array, array_module, blocks, joined, spans

from .fields import Rate, Share
from .params import Layout
from .spec import Spec

State = dict[str, Any]


class Evaluation(NamedTuple):
    """What is known of the weights as they stand.

    value     the mean loss
    gradient  (trained,) of it; None where no row weighs anything
    tail      what else was summed over the rows: an optimizer hands it on
    """

    value: float
    gradient: Array
    tail: Any = None


Evaluate = Callable[..., Evaluation]  # of a trial=True, weights too far off are an infinite value


class Schedule(Spec):
    """Base of all schedules, the learning rate as a function of the step from 1: a constant."""

    rate: Rate

    def __call__(self, step: int) -> float:
        return self.rate

    def bind(self, steps: int) -> "Schedule":
        """The same in steps, of which an epoch has so many; for those that count epochs."""
        return self

    def observe(self, state: dict[str, Any], value: float) -> None:
        """Hears an epoch's loss; may change state["scale"], which multiplies the rate."""


class Optimizer(Spec, base=True):
    """Base of all optimizers: makes the state, walks the blocks. η is the learning rate."""

    learning_rate: Rate | Schedule = 0.01
    _: KW_ONLY
    weight_decay: Rate = 0.0
    slots: ClassVar[tuple[str, ...]] = ()
    full_batch: ClassVar[bool] = False  # a step takes all rows, so that an epoch is one

    def check(self, clip_norm: Any = None, ema: Any = None) -> None:
        """ValueError where a training with these settings cannot have this optimizer."""

    def bind(self, steps: int) -> Self:
        """This optimizer where an epoch has so many steps."""
        rate = self.learning_rate
        return replace(self, learning_rate=rate.bind(steps)) if isinstance(rate, Schedule) else self

    def init(self, layout: Layout, like: Any = None) -> State:
        """The state before the first step; `like` gives dtype and device (float32, CPU)."""
        like = np.empty(0, np.float32) if like is None else like
        state: State = {"step": 0, "scale": 1.0, "trained": layout.trained}
        trained = [e for e in layout.entries if e.momentum is None]
        state["rates"] = joined([(e.start, e.stop, e.rate) for e in trained])
        decays = [(e.start, e.stop, e.rate * e.decay) for e in trained]
        state["decays"] = joined(decays)
        for name in self.slots:
            state[name] = array_module(like).zeros(layout.trained, like.dtype)
        return state

    def rate(self, state: State) -> float:
        """The learning rate of the step that state["step"] counts, from 1."""
        rate = self.learning_rate
        now = rate(state["step"]) if isinstance(rate, Schedule) else rate
        return state["scale"] * now

    def begin(self, state: State, w: Array, g: Array) -> float:
        """Count the step; its learning rate. ValueError where w or g is not what is trained."""
        if not state["trained"] == w.size == g.size:
            what = f"update of {state['trained']} numbers got {w.size}, {g.size}"
            raise ValueError(f"{what}: give [: layout.trained] of both")
        state["step"] += 1
        return self.rate(state)

    def observe(self, state: State, value: float) -> None:
        """Tell the schedule an epoch's loss (the validation loss where there is one)."""
        if isinstance(self.learning_rate, Schedule):
            self.learning_rate.observe(state, value)

    def update(self, state: State, w: Array, g: Array) -> None:
        """One step: w is changed in place, g is used up."""
        rate = self.begin(state, w, g)
        if self.weight_decay:
            for span, factor in spans(state["decays"]):
                w[span] *= 1 - rate * self.weight_decay * factor
        for span, factor in spans(state["rates"]):
            for some in blocks(array_module(w), span):
                slots = [state[name][some] for name in self.slots]
                self.direct(state, g[some], *slots)
                w[some] -= factor * rate * g[some]

    def step(self, state: State, w: Array, evaluate: Evaluate) -> Evaluation:
        """Evaluate the weights and move them: one update, or a search that evaluates as it goes."""
        found = evaluate()
        if found.gradient is not None:
            self.update(state, w, found.gradient)
        return found

    def direct(self, state: State, g: Array, *slots: Array) -> None:
        """Turn the gradient of a block, in place, into the direction to leave."""


class SGD(Optimizer):
    """v = μ v + g;  w -= η v, or with Nesterov w -= η (g + μ v). Sutskever et al. 2013."""

    momentum: Share = 0.0
    nesterov: bool = False
    slots = ("v",)

    def direct(self, state, g, *slots):
        if self.momentum:
            (v,) = slots
            v *= self.momentum
            v += g
            g[...] = g + self.momentum * v if self.nesterov else v


class Adam(Optimizer):
    """m̂, v̂: running means of g and g²;  w -= η m̂ / (√v̂ + ε). Kingma & Ba 2015.

    Kept are the sums m = β1 m + g and v = β2 v + g²: fewer passes than for the means.
    """

    learning_rate: Rate | Schedule = 0.001
    beta1: Share = 0.9
    beta2: Share = 0.999
    epsilon: Rate = 1e-8
    slots = ("m", "v")

    def direct(self, state, g, *slots):
        (m, v), xp = slots, array_module(g)
        m *= self.beta1
        m += g
        g *= g
        v *= self.beta2
        v += g
        first = (1 - self.beta1) / (1 - self.beta1 ** state["step"])  # m̂ = first m
        second = (1 - self.beta2) / (1 - self.beta2 ** state["step"])  # v̂ = second v
        xp.sqrt(v, out=g)
        g += self.epsilon / sqrt(second)
        xp.divide(m, g, out=g)
        g *= first / sqrt(second)
