"""L-BFGS: full batches, and a step length found by a line search.

Each evaluation is a whole pass over the training rows, so an engine does it like any other step.
Liu & Nocedal 1989; the line search is Nocedal & Wright 2006, algorithms 3.5 and 3.6.
"""

from collections.abc import Callable
from math import isfinite, sqrt
from typing import Any, NamedTuple

import numpy as np

from dpnn.nn.core.fields import Count, Rate
from dpnn.nn.core.optim import Evaluate, Evaluation, Optimizer, Schedule, State
from dpnn.nn.core.params import Layout
from dpnn.nn.kernels.arrays import Array

SUFFICIENT, CURVATURE = 1e-4, 0.9  # the strong Wolfe conditions' constants
RESOLUTION = 1e-7  # of the objective, relative


class Point(NamedTuple):
    """The objective at w + step · direction."""

    step: float
    value: float
    slope: float  # along the direction
    gradient: Array
    tail: Any = None


class LBFGS(Optimizer):
    """Newton's direction from the last `memory` steps; every step satisfies the Wolfe conditions.

    learning_rate is the first step that a line search tries.
    """

    learning_rate: Rate | Schedule = 1.0
    memory: Count = 10
    evaluations: Count = 20  # of one line search, at most
    full_batch = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weight_decay:
            raise ValueError("LBFGS follows the loss alone: it has no weight_decay")

    def check(self, clip_norm: float | None = None, ema: float | None = None) -> None:
        if clip_norm is not None or ema is not None:
            raise ValueError("LBFGS follows the exact gradient: no clip_norm and no ema with it")

    def init(self, layout: Layout, like: Array | None = None) -> State:
        state = super().init(layout, like)
        state["s"] = np.zeros((0, layout.trained), np.float32)  # steps, oldest first
        state["y"] = np.zeros((0, layout.trained), np.float32)  # and what they did to the gradient
        return state

    def update(self, state: State, w: Array, g: Array) -> None:
        raise TypeError("LBFGS looks for its step itself: call step(state, w, evaluate)")

    def step(self, state: State, w: Array, evaluate: Evaluate) -> Evaluation:
        """One line search; what is returned is that of the weights it goes to."""
        if "value" not in state:
            found = evaluate()
            if found.gradient is None:
                return found
            if not (isfinite(found.value) and np.isfinite(found.gradient).all()):
                raise ValueError(
                    f"L-BFGS cannot begin: the loss is {found.value:g}, and it or its gradient too "
                    "large for float32: scale the inputs and the targets"
                )
            state["value"], state["gradient"] = found.value, found.gradient.copy()
        state["step"] += 1
        here = w.copy()
        direction = self._direction(state)
        slope = _dot(direction, state["gradient"])
        if slope >= 0:  # not downhill: forget the past, take the gradient itself
            state["s"], state["y"] = state["s"][:0], state["y"][:0]
            direction, slope = -state["gradient"], -_dot(state["gradient"], state["gradient"])
        if slope == 0:
            return evaluate()
        first = self.rate(state)
        if not len(state["s"]):
            first *= min(1.0, 1 / sqrt(-slope))

        def at(step: float) -> Point:
            np.add(here, np.float32(step) * direction, out=w)
            value, gradient, tail = evaluate(trial=True)
            return Point(step, value, _dot(direction, gradient), gradient.copy(), tail)

        start = Point(0.0, state["value"], slope, state["gradient"])
        end = self._search(at, start, first)
        np.add(here, np.float32(end.step) * direction, out=w)
        s, y = w - here, end.gradient - state["gradient"]
        if _dot(s, y) > 1e-10 * _dot(y, y) > 0:
            state["s"] = np.concatenate([state["s"], s[None]])[-self.memory :]
            state["y"] = np.concatenate([state["y"], y[None]])[-self.memory :]
        elif end is start:
            state["s"], state["y"] = state["s"][:0], state["y"][:0]
        if end is start:
            return evaluate()  # it can't go on: the figures are those of where it stands
        state["value"], state["gradient"] = end.value, end.gradient
        return Evaluation(end.value, end.gradient, end.tail)

    def _direction(self, state: State) -> Array:
        """-H g by the two-loop recursion."""
        q, pairs = state["gradient"].copy(), list(zip(state["s"], state["y"], strict=True))
        factors = []
        for s, y in reversed(pairs):
            factors.append(_dot(s, q) / _dot(y, s))
            q -= np.float32(factors[-1]) * y
        if pairs:
            s, y = pairs[-1]
            q *= np.float32(_dot(s, y) / _dot(y, y))
        for (s, y), factor in zip(pairs, reversed(factors), strict=True):
            q += np.float32(factor - _dot(y, q) / _dot(y, s)) * s
        return -q

    def _search(self, at: Callable[[float], Point], start: Point, first: float) -> Point:
        """A point that satisfies the strong Wolfe conditions, or the lowest that was found."""
        low, high, step = start, None, first
        for _ in range(self.evaluations):
            if -start.slope * step <= RESOLUTION * abs(start.value):
                break  # no float32 could show the progress
            point = at(step)
            enough = start.value + SUFFICIENT * point.step * start.slope
            if not (point.value <= enough and point.value < low.value):  # too far, or not finite
                high = point
            elif abs(point.slope) <= -CURVATURE * start.slope:
                return point
            else:
                if point.slope * (1.0 if high is None else high.step - low.step) >= 0:
                    high = low  # past the valley: it lies between the two
                low = point
            step = 2 * low.step if high is None else _between(low, high)
        return low


def _between(low: Point, high: Point) -> float:
    """The minimum of the cubic through both points, kept away from their ends."""
    width = high.step - low.step
    middle = low.step + 0.5 * width
    if not isfinite(high.value) or not isfinite(high.slope):
        return middle
    a = low.slope + high.slope - 3 * (low.value - high.value) / (low.step - high.step)
    inside = a * a - low.slope * high.slope
    if inside < 0:
        return middle
    b = sqrt(inside) * (1 if width > 0 else -1)
    bottom = high.slope - low.slope + 2 * b
    if bottom == 0:
        return middle
    found = high.step - width * (high.slope + b - a) / bottom
    edges = sorted((low.step + 0.1 * width, low.step + 0.9 * width))
    return min(max(found, edges[0]), edges[1])


def _dot(a: Array, b: Array) -> float:
    return float(np.dot(a, b))
