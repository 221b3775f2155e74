"""A trained model as an executor has it: bound to its weights once a Python worker.

Functions say which side they run on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from dpnn import nn
from dpnn.data.checks import DataError
from dpnn.data.shards import Arrays, rows_at_once
from dpnn.data.sparse import Sparse, dense
from dpnn.data.tables import Wanted
from dpnn.models import outputs
from dpnn.nn.core.network import each, length

BATCH = 1000  # rows of one forward pass
_KEPT = 4  # networks that a Python worker keeps
_bound: dict[str, nn.Network] = {}  # Executor. By `Sent.key`
_twins: WeakKeyDictionary[nn.Network, tuple[nn.Network, Any]] = WeakKeyDictionary()
_lock = threading.Lock()


@dataclass(frozen=True)
class Scorer:
    """What an executor makes the network of; small and picklable, the weights are apart."""

    layer: nn.Layer
    input_shape: Any
    output_shape: tuple[int, ...]
    loss: nn.Loss

    @property
    def num_classes(self) -> int | None:
        return outputs.num_classes(self.loss, self.output_shape)

    @property
    def label_classes(self) -> int | None:
        """num_classes where labels must be class numbers; a binary target may lie between."""
        return self.num_classes if self.loss.task == "classes" else None


class Sent(NamedTuple):
    """Weights on their way: what has the flat vector's bytes as `value`, and a name of its own."""

    key: str
    weights: Any


def bound(scorer: Scorer, sent: Sent) -> nn.Network:
    """Executor. The network, shared by all threads; its weights are read-only, as bytes are."""
    with _lock:
        if sent.key not in _bound:
            while len(_bound) >= _KEPT:
                _bound.pop(next(iter(_bound)))
            weights = np.frombuffer(sent.weights.value, np.float32)
            _bound[sent.key] = nn.Network(scorer.layer, scorer.input_shape, weights)
        return _bound[sent.key]


def forward(
    network: nn.Network, x: Arrays, names: Wanted | None = None, batch: int = BATCH
) -> np.ndarray:
    """Either side. The raw outputs (B, …) of all rows; DataError names the column of a bad value.

    names   the columns that x is of

    Computed in float64 and rounded once: in float32 the last bits of a row's outputs depend on its
    place in a batch, by how BLAS cuts a product, and so on how a frame happens to be partitioned.
    """
    if any(isinstance(v, Sparse) for v in (x.values() if isinstance(x, dict) else [x])):
        step = rows_at_once(network.input_shape, batch)
        starts = range(0, max(length(x), 1), step)
        blocks = (each(x, lambda v: dense(v[i : i + step])) for i in starts)  # noqa: B023
        return np.concatenate([forward(network, block, names, step) for block in blocks])
    try:
        with np.errstate(all="ignore"):  # what overflows shows in the outputs
            return _precise(network).predict(x, batch).astype(network.weights.dtype)
    except ValueError as error:
        raise explained(error, network, x, names) from None


def _precise(network: nn.Network) -> nn.Network:
    """The network in float64, with the weights that it has now."""
    weights = network.weights
    with _lock:
        if network not in _twins:
            wide = weights.astype(np.float64)
            _twins[network] = nn.Network(network.layer, network.input_shape, wide), weights
        twin, known = _twins[network]
        if weights is not known or weights.flags.writeable:
            twin.weights[...] = weights
            _twins[network] = twin, weights
        return twin


def explained(
    error: ValueError, network: nn.Network, x: Arrays, names: Wanted | None = None
) -> ValueError:
    """Either side. An error that is about one value of a row, with the place of that value.

    Found by trying: the first row that fails, and its first number without which it passes.
    """
    network = network.mine()
    blocks = (each(x, lambda v: v[i : i + BATCH]) for i in range(0, length(x), BATCH))  # noqa: B023
    block = next((block for block in blocks if _fails(network, block)), None)
    if block is None or _fails(network, each(block, lambda v: np.zeros_like(v[:1]))):
        return error
    row = _first(lambda n: _fails(network, each(block, lambda v: v[:n])), length(block)) - 1
    one: Any = each(block, lambda v: v[row : row + 1])
    inputs = one if isinstance(one, dict) else {"": one}
    spans, stop = {}, 0
    for name, value in inputs.items():
        start, stop = stop, stop + prod(value.shape[1:])
        spans[name] = (start, stop)

    def cut(count: int) -> Any:
        """The row with zeros behind its first `count` numbers."""
        made = {}
        for name, value in inputs.items():
            made[name] = np.array(value)
            made[name].reshape(-1)[max(count - spans[name][0], 0) :] = 0
        return made if isinstance(one, dict) else made[""]

    place = _first(lambda n: _fails(network, cut(n)), stop) - 1
    name = next(name for name, (start, end) in spans.items() if start <= place < end)
    index = place - spans[name][0]
    value = inputs[name].reshape(-1)[index].item()
    where = _where(name, index, inputs[name].shape[1:], names)
    return DataError(
        f"{where} has {value:g}: {error}: drop such rows, or train with rows that have it"
    )


def _where(name: str, index: int, shape: tuple[int, ...], names: Wanted | None) -> str:
    """How the user calls number `index` of an input's row."""
    if names is None:
        x = f"X[{name!r}]" if name else "X"
        return f"{x}[:, {index}]" if len(shape) == 1 else x
    columns = names[f"x.{name}" if name else "x"]
    if isinstance(columns, str):
        return f"column {columns!r}"
    if len(columns) == prod(shape):
        return f"column {columns[index]!r}"
    return f"one of the columns {', '.join(map(repr, columns))}"


def _fails(network: nn.Network, x: Arrays) -> bool:
    try:
        with np.errstate(all="ignore"):
            network.forward(x)
    except ValueError:
        return True
    return False


def _first(fails: Callable[[int], bool], last: int) -> int:
    """The least n from 1 to `last` that fails, where all above it fail, too."""
    low, high = 1, last
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fails(middle) else (middle + 1, high)
    return low


def cut(x: Arrays, y: Any, w: Any, rows: int) -> Iterator[tuple[Any, Any, Any]]:
    """Either side. Batches of at most so many rows."""
    for start in range(0, len(y), rows):
        part = slice(start, start + rows)
        yield each(x, lambda v: v[part]), y[part], None if w is None else w[part]  # noqa: B023
