"""Driver. A checkpoint: the driver's state after an epoch, from which a fit goes on bit for bit.

One safetensors file in a folder, replaced atomically: a reader sees the last whole epoch. It says
which training it belongs to; a fit of anything else refuses it instead of starting over.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dpnn.spark import files
from dpnn.training.history import History
from dpnn.training.update import State

NAME = "checkpoint.safetensors"
KEY = "dpnn.checkpoint"
FORMAT = 3  # what the numbers and facts mean; 1: Adam kept means, 2: no checksum of the data


@dataclass
class Progress:
    """How far a fit has come, beside its state."""

    epoch: int = 0  # finished
    stale: int = 0  # epochs since the lowest validation loss
    best_loss: float = float("inf")
    best: np.ndarray | None = None  # the weights of that epoch
    history: History = field(default_factory=History)


class Checkpoint:
    """The file in `folder`, of the training that `training` (plain values) describes."""

    def __init__(self, folder: str, training: dict[str, Any]) -> None:
        self.path = f"{str(folder).rstrip('/')}/{NAME}"
        self._training = json.loads(json.dumps({"format": FORMAT, **training}))

    def save(self, state: State, progress: Progress) -> None:
        arrays = {f"optimizer.{k}": v for k, v in state.optimizer.items() if _is_array(v)}
        arrays["weights"] = state.weights
        for name, array in (("average", state.average), ("best", progress.best)):
            if array is not None:
                arrays[name] = array
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        facts = {
            "training": self._training,
            "epoch": progress.epoch,
            "stale": progress.stale,
            "best_loss": progress.best_loss,
            "history": progress.history,
            "optimizer": {k: v for k, v in state.optimizer.items() if not _is_array(v)},
        }
        facts["crc32"] = _checksum(arrays, facts)
        files.write(self.path, save(arrays, {KEY: json.dumps(facts)}))

    def restore(self, state: State) -> Progress:
        """Fill `state` from the file and say how far it had come; a fresh start without a file.

        ValueError where the file is damaged or belongs to another training.
        """
        files.sweep(self.path)
        if not files.exists(self.path):
            return Progress()
        try:
            with files.opened(self.path) as path, safe_open(path, framework="np") as file:
                facts = json.loads((file.metadata() or {})[KEY])
                there = dict(facts["training"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{self.path} is not a checkpoint of dpnn, or damaged") from error
        here = self._training
        for name in {**there, **here}:
            if there.get(name) != here.get(name):
                raise ValueError(
                    f"{self.path} belongs to a training with {name} = {there.get(name)}, this one "
                    f"has {here.get(name)}: delete it, or name another folder"
                )
        if facts.pop("crc32", None) != _checksum(arrays, facts):
            raise ValueError(f"{self.path} is damaged: it does not match its checksum: delete it")
        state.weights[...] = arrays["weights"]
        if state.average is not None:
            state.average[...] = arrays["average"]
        state.optimizer.update(facts["optimizer"])
        for name, array in arrays.items():
            if name.startswith("optimizer."):
                state.optimizer[name.removeprefix("optimizer.")] = array
        return Progress(
            facts["epoch"],
            facts["stale"],
            facts["best_loss"],
            arrays.get("best"),
            History(facts["history"]),
        )


def _checksum(arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> int:
    """Of the arrays and of all that is said of them."""
    found = zlib.crc32(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(arrays):
        found = zlib.crc32(arrays[name].tobytes(), zlib.crc32(name.encode(), found))
    return found


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)
