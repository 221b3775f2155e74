"""How a perceptron is trained: MLlib's two solvers, over all rows at once. Driver.

Of many rows each L-BFGS iteration is dear, and its first dozens only come as far as a few epochs of
mini-batches do. So there "l-bfgs" begins with those, and ends after a third of maxIter. Not where
each step is a Spark job or query, as over Connect: there the mini-batches would be dearer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import numpy as np

from dpnn import nn
from dpnn.data.dataset import Dataset
from dpnn.engines.auto import by_settings
from dpnn.ml.reading import fitted
from dpnn.models.model import TrainedModel
from dpnn.training.events import EpochDone, Event, FitStarted
from dpnn.training.history import History
from dpnn.training.result import Result
from dpnn.training.trainer import Trainer

SOLVERS = ("l-bfgs", "gd")
MANY = 25_600  # training rows from which on the fit begins with mini-batches, …
STEPS, LEAST, MOST, RATE = 300, 128, 512, 0.01  # … by Adam: so many an epoch, of so many rows
EPOCHS, ITERATIONS = 0.08, 0.24  # what shares of maxIter they and then L-BFGS have
ALL = 2**62  # rows, as one batch


@dataclass(frozen=True)
class Solver:
    """Full-batch L-BFGS or gradient descent.

    max_iter   passes over the rows at most, not counting those of a line search
    tol        ends a fit whose loss changes by less than tol of its first value
    step_size  of gradient descent
    begin      the first weights; drawn unless given
    """

    name: str
    max_iter: int
    tol: float
    step_size: float
    seed: int
    begin: np.ndarray | None = None

    def fit(self, layers: list[nn.Layer], data: Dataset) -> Result:
        """`layers`, which begin with a Dense, in sequence, trained on classes."""
        lbfgs = self.name == "l-bfgs"
        many = self.begin is None and data.rows["train"] >= MANY
        if lbfgs and many and by_settings(data.spark()) is None:
            return self._begun_in_batches(layers, data)
        return self._run(
            nn.Sequential(*layers),
            data,
            nn.LBFGS() if lbfgs else nn.SGD(self.step_size),
            max(self.max_iter, 1),
            [_Converged(self.tol), *([] if self.begin is None else [_Begin(self.begin)])],
        )

    def _begun_in_batches(self, layers: list[nn.Layer], data: Dataset) -> Result:
        """Epochs of Adam, then L-BFGS from there.

        Meanwhile the inputs are divided by their root mean square, where that is above 1: sigmoids
        learn little of pixels from 0 to 255. At the end it goes into the first matrix.
        """
        size = self._size(layers, data)
        scaled = nn.Sequential(*([nn.Rescale(1 / size)] if size > 1 else []), *layers)
        epochs, iterations = (round(share * self.max_iter) for share in (EPOCHS, ITERATIONS))
        epochs = max(epochs, 1)
        batch = min(max(data.rows["train"] // STEPS, LEAST), MOST)
        adam = nn.Adam(nn.CosineDecay(RATE, epochs=epochs))
        result = self._run(scaled, data, adam, epochs, [], batch)
        history = result.history
        if iterations:
            callbacks = [_Converged(self.tol, history["loss"][0]), _Begin(result.model.weights)]
            result = self._run(scaled, data, nn.LBFGS(), iterations, callbacks)
            history = _joined(history, result.history)
        network = nn.Sequential(*layers).build(data.input_shape, self.seed)
        network.weights[...] = result.model.weights
        next(iter(network.parameters.values()))[...] /= np.float32(size)
        old = result.model
        model = TrainedModel(network, old.loss, old.columns, old.source)
        return replace(result, model=model, history=history, best_epoch=history.epochs)

    def _size(self, layers: list[nn.Layer], data: Dataset) -> float:
        """The root mean square of all inputs, or 1 where it is less: in one pass over the rows."""
        measured = nn.Sequential(nn.Normalization(), *layers)
        network = self._run(measured, data, nn.SGD(), 1, [_nothing_more]).model.network
        found = {name.rpartition(".")[2]: p for name, p in network.parameters.items()}
        mean, scale = found["mean"].astype(float), found["scale"].astype(float)
        variance = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0) ** 2
        return max(1.0, sqrt(np.mean(mean * mean + variance)))

    def _run(
        self,
        model: nn.Layer,
        data: Dataset,
        optimizer: nn.Optimizer,
        epochs: int,
        callbacks: list[Any],
        batch_size: int = ALL,
    ) -> Result:
        trainer = Trainer(
            model,
            nn.SoftmaxCrossEntropy(),
            optimizer,
            batch_size=batch_size,
            epochs=epochs,
            seed=self.seed,
            callbacks=callbacks,
            progress=False,
        )
        return fitted(trainer, data)


def _joined(first: History, second: History) -> History:
    """The epochs of both, counted on."""
    joined = History()
    for history in (first, second):
        for epoch in history["epoch"]:
            joined.append({**history.figures(epoch), "epoch": joined.epochs + 1})
    return joined


def _nothing_more(event: Event) -> None:
    event.stop("the inputs are measured")


class _Begin:
    """Begins a fit with given weights: of each layer the matrix, a row an input, then biases."""

    def __init__(self, weights: np.ndarray) -> None:
        self._weights = weights

    def on_fit_start(self, event: FitStarted) -> None:
        event.state.weights[...] = self._weights


class _Converged:
    """Ends a fit whose loss changes by less than tol of its first value: MLlib's rule, over ten."""

    def __init__(self, tol: float, first: float | None = None) -> None:
        self._tol, self._first = tol, first
        self._losses: list[float] = []

    def on_epoch(self, event: EpochDone) -> None:
        loss = event.figures["loss"]
        recent = self._losses[-10:]
        self._losses.append(loss)
        first = self._losses[0] if self._first is None else self._first
        if recent and abs(loss - sum(recent) / len(recent)) <= self._tol * abs(first):
            event.stop(f"the loss changes by less than tol={self._tol:g}")
