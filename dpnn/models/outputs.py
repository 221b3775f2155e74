"""What a network's raw outputs mean under its loss: classes, probabilities, values.

z (B, …) raw outputs. A binary model with one output a row is a classifier of two classes, so its
probabilities are (B, 2); with several outputs a row each is a yes or no of its own. Executor and
driver; needs NumPy alone.
"""

from __future__ import annotations

import numpy as np

from dpnn import nn


def predictions(loss: nn.Loss, z: np.ndarray) -> np.ndarray:
    """float64: the class number, 0 or 1, or the value; (B,), or (B, …) for several a row."""
    if loss.task == "classes":
        return z.argmax(axis=-1).astype(np.float64)
    values = (z > 0).astype(np.float64) if loss.task == "binary" else z.astype(np.float64)
    return values.reshape(len(z)) if _is_single(z) else values


def probabilities(loss: nn.Loss, z: np.ndarray) -> np.ndarray | None:
    """float64: (B, …, C), one a class, or None where the loss is not of classes."""
    z = z.astype(np.float64)
    if loss.task == "classes":
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)
    if loss.task != "binary":
        return None
    e = np.exp(-np.abs(z))
    p = np.where(z >= 0, 1, e) / (1 + e)
    if not _is_single(z):
        return p
    p = p.reshape(len(z))
    return np.stack([1 - p, p], axis=1)


def num_classes(loss: nn.Loss, output_shape: tuple[int, ...]) -> int | None:
    """How many classes a row has its one label from; None for anything else."""
    if loss.task == "classes" and len(output_shape) == 1:
        return output_shape[0]
    return 2 if loss.task == "binary" and output_shape in ((), (1,)) else None


def confusion(predicted: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """(C, C) counts of rows: row = true class, column = predicted class."""
    true = y.reshape(-1) > 0.5 if classes == 2 else y.reshape(-1)
    cells = true.astype(np.intp) * classes + predicted.reshape(-1).astype(np.intp)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def _is_single(z: np.ndarray) -> bool:
    return z.ndim == 1 or (z.ndim == 2 and z.shape[1] == 1)
