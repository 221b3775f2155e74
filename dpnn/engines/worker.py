"""What one shard does for a plan: gather its rows, forward, backward, sums.

Executor (or the local engine's threads). One worker serves one thread; its network and buffers
are reused from step to step.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dpnn import nn
from dpnn.data.shards import Shard, epoch_rows
from dpnn.engines import metrics
from dpnn.engines.protocol import Kind, Plan, ShardError, Sums
from dpnn.nn.backend import to_device, to_host


@dataclass(frozen=True)
class Program:
    """Everything that is constant during a fit: small, plain values, shipped once.

    input_shape   the shape of one row, or {input: shape}
    micro_batch   the most rows of one pass; a step with more rows adds up several passes
    """

    model: nn.Layer
    input_shape: Any
    loss: nn.Loss
    seed: int = 0
    micro_batch: int = 1024
    device: str = "cpu"
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


class Worker:
    """A network bound to somebody's memory, and the buffers to feed it.

    size   the length of the flat vector, weights and gradient alike (float32)
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.net = nn.Network(program.model, program.input_shape)
        self.size = self.net.layout.size
        self._device = program.device != "cpu"
        if self._device:
            host = self.net.weights
            self.net = nn.Network(
                program.model, program.input_shape, weights=to_device(host, program.device)
            )
        self._buffers: dict[str, np.ndarray] = {}
        self._permutations: dict[int, tuple[int, np.ndarray]] = {}

    def tail_size(self, kind: Kind) -> int:
        """How many float64 a plan of this kind returns beside the flat vector."""
        if kind == Kind.MOMENTS:
            return metrics.HEAD + self.net.moments_size
        return metrics.tail_size(self.program.loss)

    def bind(self, weights: np.ndarray, gradient: np.ndarray) -> None:
        """Work on the caller's memory, both (size,) float32: weights may be read-only.

        The gradient is born in `gradient`: no copy is made on the CPU.
        """
        self._weights, self._gradient = weights, gradient
        if not self._device:
            self.net.bind(weights, gradient)

    def run(self, plan: Plan, shard: int, data: Shard) -> Sums:
        """This shard's sums. `flat` is the bound gradient, or None for plans without gradients.

        Raises ShardError where the numbers are not finite.
        """
        tail = np.zeros(self.tail_size(plan.kind))
        training = plan.kind == Kind.TRAIN
        if self._device:
            self.net.weights.set(self._weights)
        rows = self._rows(plan, shard, data)
        for chunk, start in enumerate(range(0, len(rows), self.program.micro_batch)):
            some = rows[start : start + self.program.micro_batch]
            self._pass(plan, shard, data, some, chunk, tail)
        if training and len(rows) == 0:
            self._gradient[...] = 0
        self._check_finite(plan, shard, tail)
        return Sums(self._gradient if training else None, tail)

    def _pass(
        self, plan: Plan, shard: int, data: Shard, rows: np.ndarray, chunk: int, tail: np.ndarray
    ) -> None:
        net, loss = self.net, self.program.loss
        x = self._gather_inputs(data, rows)
        tail[metrics.ROWS] += len(rows)
        if plan.kind == Kind.MOMENTS:
            tail[metrics.HEAD :] += to_host(net.moments(x))
            return
        if data.y is None:
            raise ShardError(f"shard {shard} has no label column")
        y = self._gather("y", data.y, rows)
        w = None if data.w is None else self._gather("w", data.w, rows)
        training = plan.kind == Kind.TRAIN
        key = (self.program.seed, plan.epoch, plan.step, shard, chunk)
        z = net.forward(x, training, key)
        tail[metrics.HEAD :] += metrics.metric_sums(loss, z, y, loss.row_weights(y, w))
        value, dz = net.loss(z, y, loss, w)
        tail[metrics.LOSS] += value
        weights = loss.row_weights(y, w)
        tail[metrics.WEIGHT] += len(rows) if weights is None else float(weights.sum(dtype=float))
        if not training:
            return
        if self._device:
            net.backward(dz)
            gradient = to_host(net.gradient)
        elif chunk == 0:
            net.backward(dz)
            return
        else:
            gradient = self._buffer("gradient", (self.size,), np.float32)
            net.bind(self._weights, gradient)
            net.backward(dz)
            net.bind(self._weights, self._gradient)
        if chunk == 0:
            self._gradient[...] = gradient
        else:
            self._gradient += gradient

    def _rows(self, plan: Plan, shard: int, data: Shard) -> np.ndarray:
        if plan.kind != Kind.TRAIN:
            return data.order
        epoch, permutation = self._permutations.get(shard, (-1, data.order))
        if epoch != plan.epoch:
            permutation = epoch_rows(data, self.program.seed, plan.epoch, shard)
            self._permutations[shard] = plan.epoch, permutation
        n = data.rows
        return permutation[plan.step * n // plan.steps : (plan.step + 1) * n // plan.steps]

    def _gather_inputs(self, data: Shard, rows: np.ndarray) -> Any:
        if isinstance(data.x, dict):
            return {name: self._gather(f"x.{name}", x, rows) for name, x in data.x.items()}
        return self._gather("x", data.x, rows)

    def _gather(self, name: str, source: np.ndarray, rows: np.ndarray) -> Any:
        out = self._buffer(name, (len(rows), *source.shape[1:]), source.dtype)
        np.take(source, rows, axis=0, out=out, mode="clip")
        return to_device(out, self.program.device)

    def _buffer(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        buffer = self._buffers.get(name)
        if buffer is None or len(buffer) < shape[0] or buffer.dtype != dtype:
            self._buffers[name] = buffer = np.empty(shape, dtype)
        return buffer[: shape[0]]

    def _check_finite(self, plan: Plan, shard: int, tail: np.ndarray) -> None:
        where = f"at epoch {plan.epoch} step {plan.step} shard {shard}"
        if not np.isfinite(tail).all():
            raise ShardError(f"non-finite loss {where}: lower the learning rate or clip gradients")
        if plan.kind != Kind.TRAIN or np.isfinite(np.dot(self._gradient, self._gradient)):
            return
        named = self.net.layout.named(self._gradient)
        names = [name for name, g in named.items() if not np.isfinite(g).all()]
        what = f"non-finite gradient of {names[-1]}" if names else "gradient norm above 1e19"
        raise ShardError(f"{what} {where}: lower the learning rate or clip gradients")
