"""What the training loop knows of an engine, and the words that they exchange.

An engine holds shards and computes sums over them. It knows nothing of epochs' ends or files, and
leaves optimizers to the loop, and to the worker of a shard that takes steps of its own; the loop
knows nothing of threads, Spark or sockets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, Protocol

import numpy as np


class Kind(IntEnum):
    """What a plan asks for."""

    TRAIN = 0  # gradients of the rows of one step
    EVALUATE = 1  # loss and metrics of all rows that were held out; no gradients
    MOMENTS = 2  # what Normalization needs of all training rows; no gradients
    ROUND = 3  # each shard takes steps of its own: how far its weights have moved

    @property
    def split(self) -> str:
        """Whose rows it is about."""
        return "validation" if self == Kind.EVALUATE else "train"

    @property
    def gradient(self) -> bool:
        """Whether a vector as long as the weights comes back: gradients, or moves of weights."""
        return self in (Kind.TRAIN, Kind.ROUND)


class Plan(NamedTuple):
    """What to compute now. Plain numbers: it packs into a fixed-size struct on any wire.

    step   from 0, of `steps` in the epoch; the first one of a round
    trial  a line search tries weights: numbers that are not finite are an infinite loss there, not
           an error
    local  how many steps of its own a shard takes in a round
    scale  of a round's learning rate, beside its schedule: what a plateau has left of it
    """

    kind: Kind
    epoch: int = 0
    step: int = 0
    steps: int = 1
    trial: int = 0
    local: int = 1
    scale: float = 1.0


@dataclass
class Sums:
    """What one shard, or one node of the sum tree, contributes to a plan.

    flat  (size,) of the weights' dtype: the gradient sum, then the sums of the state that is not
          trained; of a round how far the trained weights have moved, times the weight sum, and how
          far the state has, times the rows; None for plans without gradients
    tail  (k,) float64: loss sum, weight sum, rows, then the metric sums (or moments)
    """

    flat: np.ndarray | None
    tail: np.ndarray

    def add(self, other: Sums) -> None:
        """self += other, elementwise and in place."""
        if self.flat is not None and other.flat is not None:
            np.add(self.flat, other.flat, out=self.flat)
        np.add(self.tail, other.tail, out=self.tail)


@dataclass
class Costs:
    """Where the time of steps went; the loop reads and resets it each epoch. Seconds and bytes."""

    steps: int = 0
    send: float = 0.0  # weights on their way to the tasks
    compute: float = 0.0  # forward and backward, the mean over shards
    wait: float = 0.0  # the slowest shard's time above that mean
    sum: float = 0.0  # partial sums on their way up the tree
    bytes: int = 0
    seconds: dict[int, float] = field(default_factory=dict)  # shard -> compute seconds
    hosts: dict[int, str] = field(default_factory=dict)  # shard -> host


class ShardError(RuntimeError):
    """A shard's computation failed for a reason that a retry cannot mend (bad data, non-finite).

    Engines carry it to the driver as this one line, and never retry it.
    """


class EngineUnavailable(RuntimeError):
    """This engine cannot go on here (too few slots, a task that never comes): use another.

    The weights are as they were before the step, so another engine can repeat it.
    """


class Engine(Protocol):
    """Computes sums over shards.

    An engine is made by the driver with a `Program` and shards, used by one thread, and closed
    once. Every method may raise `ShardError`.
    """

    costs: Costs

    def allocate(self, size: int) -> np.ndarray:
        """(size,) float32 for the weights, where `step` can read them without a copy."""

    def step(self, weights: np.ndarray, plan: Plan) -> Sums:
        """The canonical sum over all shards.

        weights: the flat vector, read only during the call. The returned arrays are valid until
        the next call.
        """

    def close(self) -> None:
        """Give back every task, file, socket and shared memory. May be called twice."""
