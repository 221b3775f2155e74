"""Layout: every parameter of a network as a named view of ONE flat vector.

The same layout serves weights, gradients, optimizer state, the wire and the model file. First come
the trained parameters, then the state that is not trained (a BatchNorm's running statistics):
`flat[:layout.trained]` is what an optimizer sees. A gradient vector has the same shape: behind the
gradient sums lie the sums from which the state is updated.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np

from dpnn.nn.backend import Array, array_module

Shape = tuple[int, ...]
Tree = dict[str, Any]  # name -> Param or array, or the Tree of a child


class Param(NamedTuple):
    """A parameter as a layer declares it."""

    shape: Shape
    initial: str | tuple[float, ...] = (0.0,)  # an initializer, or values spread evenly
    momentum: float | None = None  # None: trained. Else state: w = momentum w + (1 - m) mean


@dataclass(frozen=True)
class Entry:
    """One parameter's place: flat[start:stop].reshape(shape)."""

    name: str
    shape: Shape
    start: int
    stop: int
    momentum: float | None


class Layout:
    """Where each parameter lies in the flat vector."""

    def __init__(self, params: Tree) -> None:
        self.params, self.size = params, 0
        self.entries: tuple[Entry, ...] = ()
        for name, param in sorted(_leaves(params), key=lambda leaf: leaf[1].momentum is not None):
            start, self.size = self.size, self.size + prod(param.shape)
            self.entries += (Entry(name, param.shape, start, self.size, param.momentum),)
        self.trained = max((e.stop for e in self.entries if e.momentum is None), default=0)

    def bind(self, flat: Array) -> Tree:
        """The tree of views of `flat` (size,), nested as the layers are."""
        if flat.shape != (self.size,) or not flat.flags.c_contiguous:
            raise ValueError(f"expected a contiguous vector of {self.size}, got {flat.shape}")
        return _nested(self.params, self.named(flat), "")

    def named(self, flat: Array, state: bool = True) -> dict[str, Array]:
        """Name -> view of `flat`, in layout order; `state=False` leaves untrained state out."""
        chosen = (e for e in self.entries if state or e.momentum is None)
        return {e.name: flat[e.start : e.stop].reshape(e.shape) for e in chosen}

    def update_state(self, weights: Array, sums: Array, rows: float) -> None:
        """state = m state + (1 - m) sums / rows, in place behind the trained part of `weights`."""
        state = [e for e in self.entries if e.momentum is not None]
        m = np.repeat([e.momentum for e in state], [e.stop - e.start for e in state])
        m = array_module(weights).asarray(m.astype(weights.dtype))
        weights[self.trained :] *= m
        weights[self.trained :] += (1 - m) / rows * sums[self.trained :]


def _leaves(params: Tree, prefix: str = "") -> Iterator[tuple[str, Param]]:
    for name, value in params.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _nested(params: Tree, views: Tree, prefix: str) -> Tree:
    return {
        name: _nested(value, views, f"{prefix}{name}.")
        if isinstance(value, dict)
        else views[prefix + name]
        for name, value in params.items()
    }
