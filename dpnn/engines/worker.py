"""What one shard does for a plan: gather its rows, forward, backward, sums.

Executor (or the local engine's threads). One worker serves one thread; its network and buffers
are reused from step to step.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np

from dpnn import nn
from dpnn.data.shards import Batches, Rows, Shard, Split
from dpnn.engines.cause import cause
from dpnn.engines.protocol import Kind, Plan, ShardError, Sums
from dpnn.engines.rounding import Rounding
from dpnn.engines.rounds import LocalSteps, check_moved
from dpnn.nn.kernels.arrays import to_device, to_host
from dpnn.nn.more import normalization
from dpnn.nn.more.metrics import Measures
from dpnn.nn.more.tail import Tail


@dataclass(frozen=True)
class Program:
    """Everything that is constant during a fit: small, plain values, shipped once.

    input_shape   the shape of one row, or {input: shape}
    micro_batch   the most rows of one pass; a step with more rows adds up several passes
    metrics       those of the validation rows; None: all
    optimizer     the inner one, and the clipping, of shards that take steps of their own
    wire          what a shard's sums are rounded to before they travel; float32: nothing
    sparse        most of the flat vector is rows of tables that a step does not meet
    """

    model: nn.Layer
    input_shape: Any
    loss: nn.Loss
    seed: int = 0
    micro_batch: int = 1024
    device: str = "cpu"
    metrics: tuple[str, ...] | None = None
    optimizer: nn.Optimizer | None = None
    clip_norm: float | None = None
    wire: str = "float32"
    sparse: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def packs(self) -> bool:
        """Whether sums travel packed: they may be shorter so."""
        return self.sparse or self.wire != "float32"


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
        loss, outputs = program.loss, self.net.output_shape
        of_steps = Measures.of_steps(loss, outputs)
        self._measures = {
            Kind.TRAIN: of_steps,
            Kind.ROUND: of_steps,
            Kind.EVALUATE: Measures.of_rows(loss, outputs, program.metrics),
        }
        self._kinds = {
            Kind.TRAIN: self._train,
            Kind.EVALUATE: self._evaluate,
            Kind.MOMENTS: self._moments,
        }
        self._cut: dict[tuple[str, int], Batches] = {}
        self._more = np.empty(0, np.float32)  # the gradient of a second, third … micro batch
        self._local: LocalSteps | None = None
        wire = program.wire
        self._rounding = None if wire == "float32" else Rounding(self.net.layout, wire)

    def tail_size(self, kind: Kind) -> int:
        """How many float64 a plan of this kind returns beside the flat vector."""
        return len(self._tail(kind).numbers)

    def bind(self, weights: np.ndarray, gradient: np.ndarray) -> None:
        """Work on the caller's memory, both (size,) float32: weights may be read-only.

        The gradient is born in `gradient`: no copy is made on the CPU.
        """
        self._weights, self._gradient = weights, gradient
        if not self._device:
            self.net.bind(weights, gradient)

    def run(self, plan: Plan, shard: int, data: Shard) -> Sums:
        """This shard's sums. `flat` is the bound gradient, or None for plans without gradients.

        Rows that weigh nothing are no rows. Raises ShardError where the numbers are not finite;
        those of a trial become an infinite loss and no gradient.
        """
        if plan.kind == Kind.ROUND:
            with np.errstate(all="ignore"):
                sums = self._round(plan, shard, data)
        else:
            sums = self._step(plan, shard, data)
        if self._rounding is not None and sums.flat is not None:
            self._rounding(sums.flat, (self.program.seed, plan.epoch, plan.step, shard))
        return sums

    def _step(self, plan: Plan, shard: int, data: Shard) -> Sums:
        """The sums of the rows of a step, or of all rows of a split."""
        if self._device:
            self.net.weights.set(self._weights)
        split = data[plan.kind.split]
        batches, tail = self._batches(plan, shard, split), self._tail(plan.kind)
        if plan.kind.gradient:
            rows = batches.rows(plan.epoch, plan.step, plan.steps)
        else:
            rows = batches.all_rows()
        if split.w is not None:
            rows = rows[split.w[rows] > 0]
        with np.errstate(all="ignore"):  # what is not finite is found, with its address
            flat = self._kinds[plan.kind](plan, shard, batches, rows, tail)
            self._check_finite(plan, shard, batches, rows, tail)
        return Sums(flat, tail.numbers)

    def _round(self, plan: Plan, shard: int, data: Shard) -> Sums:
        """Steps of the shard's own, each on the rows that a common step would take of it."""
        start, moved, local = self._weights, self._gradient, self._own_steps()
        tail = self._tail(plan.kind)
        local.begin(start)
        self.bind(local.weights, local.gradient)
        try:
            for step in range(plan.step, plan.step + plan.local):
                now = plan._replace(kind=Kind.TRAIN, step=step)
                sums = self._step(now, shard, data)
                local.update(sums, now)
                tail.numbers += sums.tail
        finally:
            self.bind(start, moved)
        local.moved(start, tail, out=moved)
        check_moved(moved, plan, shard)
        return Sums(moved, tail.numbers)

    def _own_steps(self) -> LocalSteps:
        if self._local is None:
            program = self.program
            assert program.optimizer is not None
            self._local = LocalSteps(self.net, program.optimizer, program.clip_norm)
        return self._local

    def _train(
        self, plan: Plan, shard: int, batches: Batches, rows: np.ndarray, tail: Tail
    ) -> np.ndarray:
        """The gradient of the loss sum of the rows of a step."""
        if len(rows) == 0:
            self._gradient[...] = 0
        for chunk, (x, y, w) in enumerate(self._passes(batches, rows)):
            key = (self.program.seed, plan.epoch, plan.step, shard, chunk)
            z = self.net.forward(x, True, key)
            dz = self._measures[plan.kind].add(tail, self.net, z, self._labels(y, shard), w)
            self._backward(dz, first=chunk == 0)
        return self._gradient

    def _evaluate(
        self, plan: Plan, shard: int, batches: Batches, rows: np.ndarray, tail: Tail
    ) -> None:
        """Loss and metrics."""
        for x, y, w in self._passes(batches, rows):
            z = self.net.forward(x)
            self._measures[plan.kind].add(tail, self.net, z, self._labels(y, shard), w)

    def _moments(
        self, plan: Plan, shard: int, batches: Batches, rows: np.ndarray, tail: Tail
    ) -> None:
        """What the Normalization layers need to know of the inputs."""
        for x, _, _ in self._passes(batches, rows):
            tail.sums[...] += to_host(normalization.moments(self.net, x))
        tail.add(rows=len(rows))

    def _tail(self, kind: Kind) -> Tail:
        if kind == Kind.MOMENTS:
            return Tail.of(normalization.moments_size(self.net))
        return self._measures[kind].tail()

    def _passes(self, batches: Batches, rows: np.ndarray) -> Iterator[Rows]:
        """Micro batches, as even as can be: none has a single row where others have many."""
        count = ceil(len(rows) / self.program.micro_batch)
        for chunk in range(count):
            start, stop = chunk * len(rows) // count, (chunk + 1) * len(rows) // count
            taken = batches.take(rows[start:stop])
            yield Rows(*map(self._to_device, taken)) if self._device else taken

    def _labels(self, y: Any, shard: int) -> Any:
        if y is None:
            raise ShardError(f"shard {shard} has no label column")
        return y

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

    def _batches(self, plan: Plan, shard: int, data: Split) -> Batches:
        key = (plan.kind.split, shard)
        batches = self._cut.get(key)
        if batches is None or batches.split is not data:
            self._cut[key] = batches = Batches(data, self.program.seed, shard)
        return batches

    def _to_device(self, x: Any) -> Any:
        if isinstance(x, dict):
            return {name: to_device(array, self.program.device) for name, array in x.items()}
        return None if x is None else to_device(x, self.program.device)

    def _check_finite(
        self, plan: Plan, shard: int, batches: Batches, rows: np.ndarray, tail: Tail
    ) -> None:
        norm = np.dot(self._gradient, self._gradient) if plan.kind.gradient else 0.0
        finite = np.isfinite(tail.numbers).all()
        if finite and np.isfinite(norm):
            return
        if plan.trial:
            self._gradient[...] = 0
            tail.spoil()
            return
        what = "non-finite loss"
        if finite:
            what = "gradient norm above 1e19"
            for name, g in self.net.layout.named(self._gradient).items():
                if not np.isfinite(g).all():
                    what = f"non-finite gradient of {name}"
        why = cause(self._weights, batches.take(rows), first=plan.epoch <= 1 and plan.step == 0)
        raise ShardError(f"{what} at epoch {plan.epoch} step {plan.step} shard {shard}: {why}")
