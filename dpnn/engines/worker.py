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
from dpnn.data.shards import Batches, Rows, Shard
from dpnn.engines.protocol import Kind, Plan, ShardError, Sums
from dpnn.nn.kernels.arrays import to_device, to_host
from dpnn.nn.more import metrics, normalization


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
        self._cut: dict[tuple[bool, int], Batches] = {}
        self._more = np.empty(0, np.float32)  # the gradient of a second, third … micro batch

    def tail_size(self, kind: Kind) -> int:
        """How many float64 a plan of this kind returns beside the flat vector."""
        if kind == Kind.MOMENTS:
            return metrics.HEAD + normalization.moments_size(self.net)
        return metrics.tail_size(self.program.loss, self.net.output_shape)

    def bind(self, weights: np.ndarray, gradient: np.ndarray) -> None:
        """Work on the caller's memory, both (size,) float32: weights may be read-only.

        The gradient is born in `gradient`: no copy is made on the CPU.
        """
        self._weights, self._gradient = weights, gradient
        if not self._device:
            self.net.bind(weights, gradient)

    def run(self, plan: Plan, shard: int, data: Shard) -> Sums:
        """This shard's sums. `flat` is the bound gradient, or None for plans without gradients.

        Raises ShardError where the numbers are not finite; those of a trial become an infinite loss
        and no gradient.
        """
        tail = np.zeros(self.tail_size(plan.kind))
        training = plan.kind == Kind.TRAIN
        if self._device:
            self.net.weights.set(self._weights)
        batches = self._batches(plan, shard, data)
        rows = batches.rows(plan.epoch, plan.step, plan.steps) if training else batches.all_rows()
        for chunk, start in enumerate(range(0, len(rows), self.program.micro_batch)):
            some = rows[start : start + self.program.micro_batch]
            with np.errstate(all="ignore"):  # what is not finite is found below, with its address
                self._pass(plan, shard, batches.take(some), chunk, tail)
        tail[metrics.ROWS] = len(rows)
        if training and len(rows) == 0:
            self._gradient[...] = 0
        self._check_finite(plan, shard, tail)
        return Sums(self._gradient if training else None, tail)

    def _pass(self, plan: Plan, shard: int, rows: Rows, chunk: int, tail: np.ndarray) -> None:
        net, loss = self.net, self.program.loss
        x, y, w = (self._to_device(part) for part in rows)
        if plan.kind == Kind.MOMENTS:
            tail[metrics.HEAD :] += to_host(normalization.moments(net, x))
            return
        if y is None:
            raise ShardError(f"shard {shard} has no label column")
        training = plan.kind == Kind.TRAIN
        z = net.forward(x, training, (self.program.seed, plan.epoch, plan.step, shard, chunk))
        weights = loss.row_weights(y, w)
        tail[metrics.WEIGHT] += len(z) if weights is None else float(weights.sum(dtype=float))
        tail[metrics.HEAD :] += metrics.metric_sums(loss, z, y, weights)
        value, dz = net.loss(z, y, loss, w)
        tail[metrics.LOSS] += value
        if training:
            self._backward(dz, first=chunk == 0)

    def _backward(self, dz: Any, first: bool) -> None:
        """Into the bound gradient; a later micro batch is added to it."""
        if first and not self._device:
            self.net.backward(dz)
            return
        if not self._device:
            if self._more.size != self.size:
                self._more = np.empty(self.size, np.float32)
            self.net.bind(self._weights, self._more)
        self.net.backward(dz)
        gradient = to_host(self.net.gradient)
        if first:
            self._gradient[...] = gradient
        else:
            self._gradient += gradient
        if not self._device:
            self.net.bind(self._weights, self._gradient)

    def _batches(self, plan: Plan, shard: int, data: Shard) -> Batches:
        key = (plan.kind == Kind.EVALUATE, shard)
        batches = self._cut.get(key)
        if batches is None or batches.shard is not data:
            self._cut[key] = batches = Batches(data, self.program.seed, shard)
        return batches

    def _to_device(self, x: Any) -> Any:
        if isinstance(x, dict):
            return {name: to_device(array, self.program.device) for name, array in x.items()}
        return None if x is None else to_device(x, self.program.device)

    def _check_finite(self, plan: Plan, shard: int, tail: np.ndarray) -> None:
        finite = np.isfinite(tail).all()
        with np.errstate(all="ignore"):
            norm = np.dot(self._gradient, self._gradient) if plan.kind == Kind.TRAIN else 0.0
        if finite and np.isfinite(norm):
            return
        if plan.trial:
            self._gradient[...] = 0
            tail[metrics.LOSS], tail[metrics.HEAD :] = np.inf, 0
            return
        where = f"at epoch {plan.epoch} step {plan.step} shard {shard}"
        if not finite:
            raise ShardError(f"non-finite loss {where}: lower the learning rate or clip gradients")
        named = self.net.layout.named(self._gradient)
        names = [name for name, g in named.items() if not np.isfinite(g).all()]
        what = f"non-finite gradient of {names[-1]}" if names else "gradient norm above 1e19"
        raise ShardError(f"{what} {where}: lower the learning rate or clip gradients")
