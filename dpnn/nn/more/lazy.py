"""Optimizers of tables of which a step meets few rows: the others stay as they are."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dpnn.nn.core.network import Network
from dpnn.nn.core.optim import Evaluate, Evaluation, Optimizer, State
from dpnn.nn.core.params import Layout
from dpnn.nn.kernels import Array
from dpnn.nn.more.embedding import Embedding

BLOCK = 256  # numbers


def sparse_tables(network: Network) -> list[str]:
    """The names of the parameters that are tables of `Embedding(…, sparse=True)`."""
    return [
        f"{place.prefix}W"
        for place in network.places
        if isinstance(place.layer, Embedding) and place.layer.sparse
    ]


def lazily(optimizer: Optimizer, network: Network) -> Any:
    """The optimizer for a network; where it has sparse tables, one that passes over their rows.

    ValueError where an optimizer works on all weights together.
    """
    tables = sparse_tables(network)
    if not tables:
        return optimizer
    if type(optimizer).update is not Optimizer.update or optimizer.full_batch:
        raise ValueError(
            f"{tables[0]} is sparse, and {type(optimizer).__name__} works on all weights together: "
            "take nn.Adam() or nn.SGD(), or leave sparse=True out"
        )
    return Lazy(optimizer, tuple(tables))


@dataclass(frozen=True)
class Lazy:
    """An optimizer, whose step leaves rows of `tables` without a gradient alone: their weights,
    their decay and what is remembered of them. Step and schedule count for all.
    """

    optimizer: Optimizer
    tables: tuple[str, ...]

    def bind(self, steps: int) -> Lazy:
        return replace(self, optimizer=self.optimizer.bind(steps))

    def observe(self, state: State, value: float) -> None:
        self.optimizer.observe(state, value)

    def init(self, layout: Layout, like: Any = None) -> State:
        """The optimizer's state, in which other parameters alone have spans, and the tables'."""
        rest = copy(layout)
        tables = [e for e in layout.entries if e.name in self.tables]
        rest.entries = [e._replace(rate=0.0) if e in tables else e for e in layout.entries]
        state = self.optimizer.init(rest, like)
        facts = [(e.start, e.stop, e.shape[-1], e.rate, e.rate * e.decay) for e in tables]
        state["tables"] = np.array(facts, float)
        return state

    def step(self, state: State, w: Array, evaluate: Evaluate) -> Evaluation:
        found = evaluate()
        if found.gradient is not None:
            self.update(state, w, found.gradient)
        return found

    def update(self, state: State, w: Array, g: Array) -> None:
        """One step: w is changed in place, g is used up."""
        self.optimizer.update(state, w, g)
        for start, stop, width, rate, decay in state["tables"].tolist():
            span, columns = slice(int(start), int(stop)), int(width)
            rows = np.unique(_places(g[span]) // columns)
            tables = {name: state[name][span].reshape(-1, columns) for name in self.optimizer.slots}
            tables |= {"w": w[span].reshape(-1, columns), "g": g[span].reshape(-1, columns)}
            some = {name: table[rows].reshape(-1) for name, table in tables.items()}
            size = some["w"].size
            facts = {"step": state["step"] - 1, "trained": size}
            facts |= {"rates": _whole(size, rate), "decays": _whole(size, decay)}
            self.optimizer.update({**state, **some, **facts}, some["w"], some["g"])
            for name in ("w", *self.optimizer.slots):
                tables[name][rows] = some[name].reshape(-1, columns)


def _places(g: np.ndarray) -> np.ndarray:
    """Where g (n,) is not 0: of blocks without a bit, which are most, no number is looked at."""
    edge = g.size - g.size % BLOCK
    bits = g[:edge].view(f"i{g.itemsize}").reshape(-1, BLOCK)
    some = np.flatnonzero(np.bitwise_or.reduce(bits, axis=1))
    inside = (some[:, None] * BLOCK + np.arange(BLOCK)).reshape(-1)
    places = np.concatenate([inside, np.arange(edge, g.size)])
    return places[g[places] != 0]


def _whole(size: int, factor: float) -> np.ndarray:
    """A vector with one factor, as `kernels.joined` says it."""
    return np.array([(0, size, factor)], float)
