"""Layout: every parameter of a network as a named view of ONE flat vector.

The same layout serves weights, gradients, optimizer state, the wire and the model file. First come
the trained parameters, then the state that is not trained (a BatchNorm's running statistics):
`flat[:layout.trained]` is what an optimizer sees. A gradient vector has the same shape: behind the
gradient sums lie the sums from which the state is updated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from dpnn.nn.backend import Array

if TYPE_CHECKING:
    from dpnn.nn.layer import Layer

Shape = tuple[int, ...]
Tree = dict[str, Any]  # name -> shape, array, or the Tree of a child


@dataclass(frozen=True)
class Entry:
    """One parameter's place: flat[start:stop].reshape(shape)."""

    path: tuple[str, ...]
    shape: Shape
    start: int
    stop: int
    momentum: float | None  # None where it is trained; else state: w = momentum w + (1 - m) mean

    @property
    def name(self) -> str:
        return ".".join(self.path)


class Layout:
    """Where each parameter lies in the flat vector."""

    def __init__(self, layer: Layer, shapes: Tree) -> None:
        found = list(_leaves(layer, shapes, ()))
        found.sort(key=lambda leaf: leaf[2] is not None)  # stable: trained first
        entries, stop = [], 0
        for path, shape, momentum in found:
            start, stop = stop, stop + prod(shape)
            entries.append(Entry(path, shape, start, stop, momentum))
        self.shapes = shapes
        self.entries = tuple(entries)
        self.size = stop
        self.trained = max((e.stop for e in entries if e.momentum is None), default=0)
        state = [(e.momentum, e.stop - e.start) for e in entries if e.momentum is not None]
        self.momentum = np.repeat([m for m, _ in state], [n for _, n in state])  # (size - trained,)

    def bind(self, flat: Array) -> Tree:
        """The tree of views of `flat` (size,), nested as the layers are."""
        if flat.shape != (self.size,) or not flat.flags.c_contiguous:
            raise ValueError(f"expected a contiguous vector of {self.size}, got {flat.shape}")
        tree = _empty(self.shapes)
        for entry in self.entries:
            node = tree
            for part in entry.path[:-1]:
                node = node[part]
            node[entry.path[-1]] = flat[entry.start : entry.stop].reshape(entry.shape)
        return tree

    def named(self, flat: Array, state: bool = True) -> dict[str, Array]:
        """Name -> view of `flat`, in layout order; `state=False` leaves untrained state out."""
        chosen = (e for e in self.entries if state or e.momentum is None)
        return {e.name: flat[e.start : e.stop].reshape(e.shape) for e in chosen}


def _leaves(layer: Layer, shapes: Tree, path: tuple[str, ...]) -> Iterator[tuple]:
    for name, value in shapes.items():
        if isinstance(value, dict):
            yield from _leaves(layer.children()[name], value, (*path, name))
        else:
            yield (*path, name), tuple(value), layer.state_momentum(name)


def _empty(shapes: Tree) -> Tree:
    return {k: _empty(v) if isinstance(v, dict) else None for k, v in shapes.items()}
