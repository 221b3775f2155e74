"""Driver. A checkpoint: the driver's state after a step, from which a fit goes on bit for bit.

One safetensors file in a folder, replaced atomically: a reader sees the last whole state. It says
which training it belongs to; a fit of anything else refuses it instead of starting over.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dpnn.spark import files
from dpnn.training.history import Choice, History
from dpnn.training.state import Best, State

NAME = "checkpoint.safetensors"
KEY = "dpnn.checkpoint"
FORMAT = 5  # what the numbers and facts mean; 4: no local steps, 3: epochs alone

Arrays = dict[str, np.ndarray]


class Checkpoint:
    """The file in `folder`, of the training that `training` (plain values) describes."""

    def __init__(self, folder: str, training: dict[str, Any]) -> None:
        self.path = f"{str(folder).rstrip('/')}/{NAME}"
        self._training = json.loads(json.dumps({"format": FORMAT, **training}))

    def save(self, state: State) -> None:
        arrays = {f"optimizer.{k}": v for k, v in state.optimizer.items() if _is_array(v)}
        best = None if state.best is None else state.best.weights
        kept = {"weights": state.weights, "average": state.average, "tail": state.tail}
        arrays |= {name: v for name, v in {**kept, "best": best}.items() if v is not None}
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        facts = {
            "training": {**self._training, "local_steps": state.history.local_steps},
            "epoch": state.epoch,
            "step": state.step,
            "stale": state.stale,
            "best": None if state.best is None else state.best[1:],
            "history": state.history,
            "engines": state.history.engines,
            "inner": state.inner,
            "optimizer": {k: v for k, v in state.optimizer.items() if not _is_array(v)},
        }
        facts["crc32"] = _checksum(arrays, facts)
        files.write(self.path, save(arrays, {KEY: json.dumps(facts)}))

    def restore(self, state: State, epochs: int) -> None:
        """Fill `state`, a fresh one, from the file; without a file it stays as it is.

        ValueError where the file is damaged, belongs to another training or goes beyond `epochs`.
        """
        files.sweep(self.path)
        if not files.exists(self.path):
            return
        arrays, facts = self._read()
        self._check_training(facts["training"])
        if facts.pop("crc32", None) != _checksum(arrays, facts):
            raise ValueError(f"{self.path} is damaged: it does not match its checksum: delete it")
        if (facts["epoch"], facts["step"]) > (epochs, 0):
            raise ValueError(
                f"{self.path} has {_extent(facts)} already, more than epochs={epochs}: "
                "ask for more, or name another folder"
            )
        self._check_arrays(arrays, state, facts["best"])
        state.weights[...] = arrays["weights"]
        if state.average is not None:
            state.average[...] = arrays["average"]
        state.optimizer.update(facts["optimizer"])
        for name, array in arrays.items():
            if name.startswith("optimizer."):
                state.optimizer[name.removeprefix("optimizer.")] = array
        state.epoch, state.step, state.stale = facts["epoch"], facts["step"], facts["stale"]
        state.tail = arrays.get("tail")
        state.history = History(facts["history"])
        state.history.engines = [Choice(*choice) for choice in facts["engines"]]
        state.history.local_steps = facts["training"]["local_steps"]
        state.inner = facts["inner"]
        if facts["best"] is not None:
            state.best = Best(arrays["best"], *facts["best"])
            state.history.kept_epoch = state.best.epoch

    def _read(self) -> tuple[Arrays, dict[str, Any]]:
        try:
            with files.opened(self.path) as path, safe_open(path, framework="np") as file:
                facts = json.loads((file.metadata() or {})[KEY])
                dict(facts["training"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{self.path} is not a checkpoint of dpnn, or damaged") from error
        return arrays, facts

    def _check_training(self, there: dict[str, Any]) -> None:
        here = dict(self._training)
        if here["local_steps"] == "auto" and there["local_steps"] is not None:
            here["local_steps"] = there["local_steps"]  # decided once
        for name in {**there, **here}:
            if there.get(name) != here.get(name):
                raise ValueError(
                    f"{self.path} belongs to a training with {name} = {there.get(name)}, this one "
                    f"has {here.get(name)}: delete it, or name another folder"
                )

    def _check_arrays(self, arrays: Arrays, state: State, best: Any) -> None:
        """ValueError where an array is not as the fresh state has it: nothing is broadcast."""
        wanted = {f"optimizer.{k}": v for k, v in state.optimizer.items() if _is_array(v)}
        wanted["weights"] = state.weights
        if state.average is not None:
            wanted["average"] = state.average
        if best is not None:
            wanted["best"] = state.weights
        for name, like in wanted.items():
            found = arrays.get(name)
            grows = like.ndim > 0 and len(like) == 0  # L-BFGS adds rows to what it remembers
            if found is None or (_kind(found, grows) != _kind(like, grows)):
                has = "nothing" if found is None else f"{found.dtype} {found.shape}"
                raise ValueError(
                    f"{self.path} is damaged: {name} should be {like.dtype} {like.shape}, "
                    f"it has {has}: delete it"
                )


def _kind(array: np.ndarray, grows: bool) -> tuple[Any, ...]:
    return array.dtype, array.ndim, array.shape[int(grows) :]


def _extent(facts: dict[str, Any]) -> str:
    more = f" and {facts['step']} steps" if facts["step"] else ""
    return f"{facts['epoch']} epochs{more}"


def _checksum(arrays: Arrays, facts: dict[str, Any]) -> int:
    """Of the arrays and of all that is said of them."""
    found = zlib.crc32(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(arrays):
        found = zlib.crc32(arrays[name].tobytes(), zlib.crc32(name.encode(), found))
    return found


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)
