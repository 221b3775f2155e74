"""Metrics: what a shard adds up beside the loss, and what the driver makes of the total.

They judge `Loss.prediction` by the row weights of the call alone; the class weights of a loss show
in the loss. For several outputs they are means over the outputs. (rmse is the root of such a mean;
r2, a ratio, needs the sums of each output: it is not known of very many, and leaves out those whose
targets are all alike, to 3e-8 of their size.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from dpnn import nn
from dpnn.nn.core.layer import Context, Pass
from dpnn.nn.core.params import Shape
from dpnn.nn.kernels.arrays import Array, to_host
from dpnn.nn.more import statistics
from dpnn.nn.more.exact import ExactSums
from dpnn.nn.more.statistics import Seen, Statistic
from dpnn.nn.more.tail import HEAD, Tail


@dataclass(frozen=True)
class Metric:
    """A figure: made of a statistic's sums, and the row weights that they were counted with.

    better   "higher" or "lower"; "" where neither is
    quick    cheap enough for every step of a training
    many     not one number, but one a class or more
    """

    name: str
    statistic: type[Statistic]
    value: Callable[[Statistic, np.ndarray, float], Any]
    better: str = "higher"
    quick: bool = False
    many: bool = False


class _Apart(Context):
    """Where the losses of rows stay apart."""

    def total(self, rows: Array) -> Array:
        return rows


class Measures:
    """The metrics of a loss and an output shape, and where the sums of each lie in a tail.

    names   which, in the order of the figures; ValueError for one that there is not
    """

    def __init__(self, loss: nn.Loss, outputs: Shape, names: Iterable[str]) -> None:
        self.loss = loss
        known = {metric.name: metric for metric in _possible(loss, outputs)}
        for name in (names := list(names)):
            if name not in known:
                what = f"{type(loss).__name__} of outputs {outputs}"
                raise ValueError(f"no metric {name!r} for {what}{nn.nearest(name, known)}")
        self.metrics = [known[name] for name in names]
        self._apart = _Apart(nn.Layer(), (), Pass(np, np.dtype(np.float64)))
        self._places: dict[type[Statistic], tuple[Statistic, slice]] = {}
        self.size = 0
        for metric in self.metrics:
            if metric.statistic not in self._places:
                statistic = metric.statistic(loss, outputs)
                start, self.size = self.size, self.size + statistic.size
                self._places[metric.statistic] = statistic, slice(start, self.size)

    @classmethod
    def of_steps(cls, loss: nn.Loss, outputs: Shape) -> Measures:
        """Those that a training can afford in each step."""
        return cls(loss, outputs, [m.name for m in _possible(loss, outputs) if m.quick])

    @classmethod
    def of_rows(
        cls, loss: nn.Loss, outputs: Shape, names: Iterable[str] | None = None, many: bool = False
    ) -> Measures:
        """The named ones; all unless any are, and those that are `many` numbers if asked for."""
        if names is None:
            possible = _possible(loss, outputs)
            names = [metric.name for metric in possible if many or not metric.many]
        return cls(loss, outputs, names)

    def tail(self) -> Tail:
        return Tail.of(self.size)

    def add(self, tail: Tail, network: nn.Network, z: Array, y: Array, w: Array | None) -> Array:
        """Either side. Add the sums of some rows; returns dz, the gradient of their loss sum."""
        loss = self.loss
        value, dz = network.loss(z, y, loss, w)
        own = loss.row_weights(y, w)
        counted = _total(w, len(z))
        weight = counted if own is w else _total(own, len(z))
        tail.add(value, weight, len(z), counted)
        seen = Seen(loss, loss.joint(z), y, w)
        for statistic, place in self._places.values():
            tail.sums[place] += to_host(statistic.sums(seen))
        return dz

    def exact(self) -> ExactSums:
        """What is to become the numbers of a tail."""
        return ExactSums(HEAD + self.size)

    def add_exactly(self, sums: ExactSums, z: Array, y: Array, w: Array | None) -> None:
        """Either side, on the CPU. The same without rounding errors, of losses in float64."""
        loss, rows = self.loss, np.array([float(len(z))])
        w = None if w is None else w.reshape(-1)
        losses, _ = loss(z.astype(np.float64), y, w, self._apart)
        own = loss.row_weights(y, w)
        counted = rows if w is None else w
        head = losses, rows if own is None else own, rows, counted
        for place, terms in enumerate(head):
            sums.add(place, np.reshape(terms, (-1, 1)).astype(np.float64))
        seen = Seen(loss, loss.joint(z), y, w)
        for statistic, span in self._places.values():
            statistic.add(seen, sums, HEAD + span.start)

    def figures(self, tail: Tail, data: str = "") -> dict[str, Any]:
        """{"loss": …, "accuracy": …}; ValueError where `data` has nothing to divide by."""
        check_weights(tail, data)
        found: dict[str, Any] = {"loss": tail.mean}
        for metric in self.metrics:
            statistic, place = self._places[metric.statistic]
            found[metric.name] = metric.value(statistic, tail.sums[place], tail.counted)
        return found

    def best_threshold(self, tail: Tail, name: str) -> float:
        """The probability of class 1 from which it should be said, for the best of a metric."""
        if name not in _BY_THRESHOLD or statistics.Scores not in self._places:
            ways = ", ".join(_BY_THRESHOLD)
            raise ValueError(f"no best threshold of {name!r}: two classes have one of {ways}")
        no, yes = tail.sums[self._places[statistics.Scores][1]].reshape(2, -1)
        hits, misses = (counts[::-1].cumsum()[::-1] for counts in (yes, no))
        values = _BY_THRESHOLD[name](hits, misses, yes.sum(), no.sum())
        best = np.flatnonzero(values >= values.max())
        run = best[best - best[0] == np.arange(len(best))]  # of a plateau the middle
        return float(statistics.lower_edge(run[len(run) // 2]))


def check_weights(tail: Tail, data: str = "") -> None:
    """ValueError where there is nothing to divide by; data: "training", "validation" or ""."""
    if tail.counted <= 0:
        of = f"{data} rows'" if data else "rows'"
        raise ValueError(f"the {of} weights sum to 0: at least one row needs a positive weight")
    if tail.weight <= 0:
        raise ValueError(f"no {f'{data} row'.strip()} is of a class with a positive class weight")


def better(name: str) -> str:
    """Whether a figure of this name is better when it is "higher" or "lower"."""
    name = name.removeprefix("val_")
    return next((metric.better for metric in METRICS if metric.name == name), "lower")


def _total(weights: Array | None, rows: int) -> float:
    return float(rows if weights is None else weights.sum(dtype=np.float64))


def _possible(loss: nn.Loss, outputs: Shape) -> list[Metric]:
    return [metric for metric in METRICS if metric.statistic(loss, outputs).fits()]


def _mean(statistic: Statistic, sums: np.ndarray, counted: float) -> float:
    return float(sums[0] / counted)


def _mae(statistic: Statistic, sums: np.ndarray, counted: float) -> float:
    return float((sums.reshape(4, -1)[0] / counted).mean())


def _rmse(statistic: Statistic, sums: np.ndarray, counted: float) -> float:
    return sqrt((sums.reshape(4, -1)[1] / counted).mean())


def _r2(statistic: Statistic, sums: np.ndarray, counted: float) -> float:
    _, squared, first, second = sums.reshape(4, -1) / counted
    variance = second - first * first
    varies = variance > 1e-15 * second  # else it is rounding errors of a constant
    shares = 1 - squared[varies] / variance[varies]
    return float(shares.mean()) if varies.any() else float("nan")


def _auc(statistic: Statistic, sums: np.ndarray, counted: float) -> float:
    """Of all pairs of the classes, how many have the right order; half of those in one bin.

    So it is wrong by half the pairs that share a bin at most: 1e-4 of scores that spread over 1 to
    100, and by a tenth of that where they are smooth.
    """
    no, yes = sums.reshape(2, -1)
    pairs = no.sum() * yes.sum()
    right = yes * (no.cumsum() - no / 2)
    return float(right.sum() / pairs) if pairs > 0 else float("nan")


def _average_precision(statistic: Statistic, sums: np.ndarray, counted: float) -> float:
    """Σ of precision times the recall gained, over thresholds at all edges of bins."""
    no, yes = sums.reshape(2, -1)[:, ::-1]
    hits, said = yes.cumsum(), (yes + no).cumsum()
    gained = yes * _ratio(hits, said)
    return float(gained.sum() / hits[-1]) if hits[-1] > 0 else float("nan")


def _precisions(statistic: Statistic, sums: np.ndarray, counted: float) -> list[float]:
    hits, found, _ = sums.reshape(3, -1)
    return [float(share) for share in _ratio(hits, found)]


def _recalls(statistic: Statistic, sums: np.ndarray, counted: float) -> list[float]:
    hits, _, true = sums.reshape(3, -1)
    return [float(share) for share in _ratio(hits, true)]


def _precision(statistic: Statistic, sums: np.ndarray, counted: float) -> float:
    hits, found, true = sums.reshape(3, -1)
    return _over_classes(_ratio(hits, found), found + true)


def _recall(statistic: Statistic, sums: np.ndarray, counted: float) -> float:
    hits, found, true = sums.reshape(3, -1)
    return _over_classes(_ratio(hits, true), found + true)


def _f1(statistic: Statistic, sums: np.ndarray, counted: float) -> float:
    hits, found, true = sums.reshape(3, -1)
    return _over_classes(_ratio(2 * hits, found + true), found + true)


def _over_classes(values: np.ndarray, seen: np.ndarray) -> float:
    """Of two classes that of class 1; else the mean over the classes that there were."""
    return float(values[1] if len(values) == 2 else values[seen > 0].mean())


def _confusion(statistic: Statistic, sums: np.ndarray, counted: float) -> list[list[float]]:
    """[true class][found class]: whole numbers where they are."""
    whole = np.array_equal(sums, np.floor(sums))
    counts = sums.reshape(statistic.classes, statistic.classes)
    return (counts.astype(np.int64) if whole else counts).tolist()


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, and 0 where there is nothing to divide by."""
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)


# Of thresholds: rows of class 1 and of class 0 above each, and how many there are of both.
_BY_THRESHOLD: dict[str, Callable[..., np.ndarray]] = {
    "accuracy": lambda hits, misses, yes, no: hits + no - misses,
    "f1": lambda hits, misses, yes, no: _ratio(2 * hits, hits + misses + yes),
    "balanced_accuracy": lambda hits, misses, yes, no: hits / yes - misses / no,
}

METRICS = (
    Metric("accuracy", statistics.Hits, _mean, quick=True),
    Metric("log_loss", statistics.Surprise, _mean, "lower"),
    Metric("auc", statistics.Scores, _auc),
    Metric("average_precision", statistics.Scores, _average_precision),
    Metric("f1", statistics.ByClass, _f1),
    Metric("precision", statistics.ByClass, _precision),
    Metric("recall", statistics.ByClass, _recall),
    Metric("precision_by_class", statistics.ByClass, _precisions, many=True),
    Metric("recall_by_class", statistics.ByClass, _recalls, many=True),
    Metric("confusion", statistics.Confusion, _confusion, "", many=True),
    Metric("mae", statistics.Errors, _mae, "lower", quick=True),
    Metric("rmse", statistics.Errors, _rmse, "lower", quick=True),
    Metric("r2", statistics.Errors, _r2, quick=True),
    Metric("quantile_loss", statistics.Pinball, _mean, "lower"),
)
