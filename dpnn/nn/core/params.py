"""Layout: every parameter of a network as a named view of ONE flat vector.

The same layout serves weights, gradients, optimizer state, the wire and the model file. First come
the trained parameters, then the state that is not trained (a BatchNorm's running statistics):
`flat[:layout.trained]` is what an optimizer sees. A gradient vector has the same shape: behind the
gradient sums lie the sums from which the state is updated.
"""

from collections.abc import Callable
from math import prod
from typing import NamedTuple

import numpy as np

from dpnn.nn.kernels import Array

Shape = tuple[int, ...]
Initial = Callable[[np.random.Generator, Shape], np.ndarray]


class Param(NamedTuple):
    """A parameter as a layer declares it."""

    shape: Shape
    initial: str | tuple[float, ...] | Initial = (0.0,)  # a name, values spread evenly, or a draw
    momentum: float | None = None  # None: trained. Else state: w = momentum w + (1 - m) mean
    rate: float = 1.0  # times the optimizer's learning rate
    decay: float | None = None  # times its weight decay; None: 1 with two axes or more, else 0


class Entry(NamedTuple):
    """One parameter's place: flat[start:stop].reshape(shape)."""

    name: str
    start: int
    stop: int
    shape: Shape
    momentum: float | None
    rate: float
    decay: float


class Layout:
    """Where each parameter lies in the flat vector."""

    def __init__(self, params: dict[str, Param]) -> None:
        self.entries: list[Entry] = []
        self.size = self.trained = 0
        trained_first = sorted(params.items(), key=lambda item: item[1].momentum is not None)
        for name, param in trained_first:
            start, self.size = self.size, self.size + prod(param.shape)
            shape, _, momentum, rate, decay = param
            if decay is None:
                decay = float(len(shape) > 1)
            self.entries.append(Entry(name, start, self.size, shape, momentum, rate, decay))
            if momentum is None:
                self.trained = self.size

    def named(self, flat: Array, state: bool = True) -> dict[str, Array]:
        """Name -> view of `flat` (size,), in order; `state=False` leaves untrained state out."""
        if flat.shape != (self.size,) or not flat.flags.c_contiguous:
            raise ValueError(f"expected a contiguous vector of {self.size}, got {flat.shape}")
        views = {}
        for e in self.entries:
            if state or e.momentum is None:
                views[e.name] = flat[e.start : e.stop].reshape(e.shape)
        return views

    def update_state(self, weights: Array, sums: Array, rows: float) -> None:
        """state = m state + (1 - m) sums / rows, in place behind the trained part of `weights`."""
        for e in self.entries:
            if e.momentum is not None:
                state, total = weights[e.start : e.stop], sums[e.start : e.stop]
                state *= e.momentum
                state += (1 - e.momentum) / rows * total
