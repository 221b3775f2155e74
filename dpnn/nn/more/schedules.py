"""Schedules: the learning rate as a plain function of the step, counted from 1."""

from dataclasses import KW_ONLY, replace
from math import cos, inf, log2, pi
from typing import Annotated, Any, Self

from dpnn.nn.core.fields import Count, Limit, Rate, Share
from dpnn.nn.core.optim import Schedule


class StepDecay(Schedule):
    """rate · factor^⌊(step - 1) / every⌋."""

    every: Count
    factor: float = 0.1

    def __call__(self, step: int) -> float:
        return self.rate * self.factor ** ((step - 1) // self.every)


class ExponentialDecay(StepDecay):
    """rate · factor^((step - 1) / every)."""

    def __call__(self, step: int) -> float:
        return self.rate * self.factor ** ((step - 1) / self.every)


class Span(Schedule, base=True):
    """Base of those that take so many steps, or so many epochs: what a Trainer makes steps of."""

    steps: Count | None = None
    _: KW_ONLY
    epochs: Rate | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.steps is None) == (self.epochs is None):
            raise ValueError(f"{type(self).__name__} takes either steps or epochs")

    def bind(self, steps: int) -> Self:
        if self.epochs is None:
            return self
        return replace(self, steps=max(1, round(self.epochs * steps)), epochs=None)

    @property
    def length(self) -> int:
        """In steps."""
        if self.steps is None:
            cure = "a Trainer tells it; in a loop of your own call bind(steps)"
            what = f"{type(self).__name__}(epochs={self.epochs:g}) needs the steps of an epoch"
            raise ValueError(f"{what}: {cure}")
        return self.steps


class CosineDecay(Span):
    """From rate to final · rate in so many steps or epochs. Loshchilov & Hutter 2017."""

    final: float = 0.0

    def __call__(self, step: int) -> float:
        return self.rate * _half_cosine((step - 1) / self.length, self.final)


class CosineLog(Span):
    """rate (1 - cos(2π log₂(1 + 15 t))) / 2, t from 0 to 1: four waves, each longer than the last.

    Holzmüller et al. 2024 (RealMLP).
    """

    def __call__(self, step: int) -> float:
        done = min((step - 1) / self.length, 1)
        return self.rate * (1 - cos(2 * pi * log2(1 + 15 * done))) / 2


class OneCycle(Span):
    """From rate / 25 up to `rate` for the share `warmup`, then down to nearly 0. Smith 2018."""

    warmup: Share = 0.3

    def __call__(self, step: int) -> float:
        peak = self.warmup * self.length - 1
        if step - 1 < peak:
            return self.rate * _half_cosine(1 - (step - 1) / peak, 1 / 25)
        return self.rate * _half_cosine((step - 1 - peak) / (self.length - 1 - peak), 4e-6)


class Warmup(Span):
    """From 0 linearly up to rate; then as `then` says, from its beginning."""

    then: Schedule | None = None

    def bind(self, steps: int) -> Self:
        then = None if self.then is None else self.then.bind(steps)
        return replace(super().bind(steps), then=then)

    def __call__(self, step: int) -> float:
        if step <= self.length or self.then is None:
            return self.rate * min(step / self.length, 1)
        return self.then(step - self.length)

    def observe(self, state: dict[str, Any], value: float) -> None:
        if self.then is not None:
            self.then.observe(state, value)


class ReduceOnPlateau(Schedule):
    """rate, times factor whenever the loss has not fallen for more than `patience` epochs."""

    factor: float = 0.1
    patience: Annotated[int, Limit(0)] = 5
    minimum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rate >= self.minimum:
            raise ValueError(
                f"ReduceOnPlateau takes a rate above 0 and a minimum up to it, not {self.rate} and "
                f"{self.minimum}"
            )

    def observe(self, state: dict[str, Any], value: float) -> None:
        waited = 0 if value < state.get("best", inf) else state.get("waited", 0) + 1
        state["best"] = min(value, state.get("best", inf))
        if waited > self.patience:
            state["scale"] = max(state["scale"] * self.factor, self.minimum / self.rate)
            waited = 0
        state["waited"] = waited


def _half_cosine(done: float, final: float) -> float:
    """From 1 to `final`, while `done` goes from 0 to 1."""
    return final + (1 - final) * (1 + cos(pi * min(done, 1))) / 2
