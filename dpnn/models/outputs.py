"""What a network's raw outputs mean under its loss: classes, probabilities, values.

z (B, …) raw outputs. A binary model with one output a row is a classifier of two classes, so its
probabilities are (B, 2); with several outputs a row each is a yes or no of its own. Executor and
driver; needs NumPy alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from dpnn import nn

_MEANING = re.compile(r"(prediction|probability|raw)(?:\[(\d+)\])?")


@dataclass(frozen=True)
class Output:
    """One thing to say of a row, as `Output.parse` reads it: "probability", "probability[1]", …

    meaning   "prediction", "probability" or "raw"
    of        of one class or output alone: a number instead of an array
    dtype     "float64", or "float32": half as much to send
    """

    meaning: str
    of: int | None = None
    dtype: str = "float64"

    @classmethod
    def parse(cls, text: str, loss: nn.Loss, shape: tuple[int, ...], dtype: str) -> Output:
        """ValueError where there is no such output of a model with outputs of `shape`."""
        found = _MEANING.fullmatch(text)
        if not found:
            raise ValueError(
                f"an output must be 'prediction', 'probability', 'raw', or one class's as in "
                f"'probability[1]', got {text!r}"
            )
        if dtype not in ("float64", "float32"):
            raise ValueError(f"dtype must be 'float64' or 'float32', got {dtype!r}")
        output = cls(found[1], None, dtype)
        z = np.zeros((1, *shape), np.float32)
        row = output(loss, z).shape[1:]  # ValueError where the loss has no probabilities
        if found[2]:
            if len(row) != 1 or int(found[2]) >= row[0]:
                raise ValueError(f"there is no {text}: a row's {found[1]} has the shape {row}")
            output = cls(found[1], int(found[2]), dtype)
        return output

    def __call__(self, loss: nn.Loss, z: np.ndarray) -> np.ndarray:
        """(B, …) of `dtype`, or (B,) for one number a row."""
        if self.meaning == "prediction":
            values = predictions(loss, z)
        elif self.meaning == "raw":
            values = raw(loss, z)
        else:
            values = probabilities(loss, z)
        values = values if self.of is None else values[:, self.of]
        return values.astype(self.dtype, copy=False)


def defaults(loss: nn.Loss) -> dict[str, str]:
    """{column: what it says} unless others are asked for."""
    found = {"prediction": "prediction"}
    return found if loss.task == "values" else {**found, "probability": "probability"}


def predictions(loss: nn.Loss, z: np.ndarray) -> np.ndarray:
    """float64: the class number, 0 or 1, or the value; (B,), or (B, …) for several a row."""
    if loss.task == "classes":
        return z.argmax(axis=-1).astype(np.float64)
    values = z > 0 if loss.task == "binary" else loss.prediction(z)
    values = values.astype(np.float64)
    return values.reshape(len(z)) if _is_single(z) else values


def probabilities(loss: nn.Loss, z: np.ndarray) -> np.ndarray:
    """float64: (B, …, C), one a class; ValueError where the loss is not of classes."""
    if loss.task == "values":
        raise ValueError(
            f"a model trained with {type(loss).__name__} has no probabilities: use predict"
        )
    p = loss.prediction(z.astype(np.float64))
    if loss.task == "classes" or not _is_single(z):
        return p
    p = p.reshape(len(z))
    return np.stack([1 - p, p], axis=1)


def raw(loss: nn.Loss, z: np.ndarray) -> np.ndarray:
    """float64: the logits, (B, 2) where there are two classes, or the outputs as they are."""
    z = z.astype(np.float64)
    if not _is_single(z):
        return z
    z = z.reshape(len(z))
    return np.stack([-z, z], axis=1) if loss.task == "binary" else z


def num_classes(loss: nn.Loss, output_shape: tuple[int, ...]) -> int | None:
    """How many classes a row has its one label from; None for anything else."""
    if loss.task == "classes" and len(output_shape) == 1:
        return output_shape[0]
    return 2 if loss.task == "binary" and output_shape in ((), (1,)) else None


def _is_single(z: np.ndarray) -> bool:
    return z.ndim == 1 or (z.ndim == 2 and z.shape[1] == 1)
