"""The job engine: each step is one Spark job over the persisted handles.

The weights go down by broadcast, each task computes the sums of its shard, the partial sums come
back and are added up along the canonical tree. Where the driver could not hold all of them at
once, shuffles before it join siblings, keyed by their place in the tree. Needs nothing of the
cluster: any number of slots, dynamic allocation, speculation and retries give the same bits.

Driver; needs pyspark.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from time import perf_counter

import numpy as np
from pyspark import RDD, cloudpickle

from dpnn.data.spark_shards import SparkShards
from dpnn.engines.job_frames import Frames, KeyedFrames, Part
from dpnn.engines.job_tasks import combine, compute
from dpnn.engines.protocol import Plan
from dpnn.engines.step_jobs import StepJobs, shuffles
from dpnn.engines.worker import Program
from dpnn.spark.classic import written
from dpnn.spark.shuffles import remove_shuffles


class JobEngine(StepJobs):
    """Over RDDs: weights by broadcast, partial sums as records of bytes."""

    def __init__(self, program: Program, shards: SparkShards) -> None:
        super().__init__(shards)
        self._session, self._rdd = shards.classic, shards.rdd
        # By value where a layer or loss was defined in a notebook; bytes, for encrypted broadcasts.
        self._program = self._session.sc.broadcast(cloudpickle.dumps(program))
        self._fit, self._open = program.id, True
        self._weights: np.ndarray | None = None
        self._memory = bytearray()

    def allocate(self, size: int) -> np.ndarray:
        """Weights in memory that is broadcast as it is."""
        self._session.require_room(4 * size)
        self._memory = bytearray(4 * size)
        self._weights = np.frombuffer(self._memory, np.float32)
        return self._weights

    def close(self) -> None:
        if self._open and self._session.running:
            with suppress(Exception):  # the context may be gone
                self._program.destroy()
        self._open = False
        self._arrays.clear()

    def _job(self, weights: np.ndarray, plan: Plan) -> list[Part]:
        shards = self._shards
        start = perf_counter()
        memory = self._memory if weights is self._weights else bytearray(weights)
        flat = self._session.sc.broadcast(memory)
        self._version += 1
        send = perf_counter() - start
        try:
            task = partial(
                compute,
                fit=self._fit,
                program=self._program,
                weights=flat,
                version=self._version,
                plan=plan,
                threads=self._threads,
            )
            rdd = self._rdd.mapPartitions(task)
            size = weights.nbytes if plan.kind.gradient else 0
            levels = shuffles(shards.num_shards, size, self.partials_bound)
            for level in levels:
                rdd = self._join(rdd, level)
            parts = written(rdd, Frames(self._array)).collect()
            if levels:
                remove_shuffles(rdd, of_sql=False)
        finally:
            with suppress(Exception):  # the context may be gone
                flat.destroy()
        self._checked(parts)
        if plan.kind.gradient:
            self.costs.steps += 1
            self.costs.send += send
            self.costs.bytes += size * shards.num_shards + sum(part.bytes for part in parts)
        return parts

    def _join(self, rdd: RDD, level: int) -> RDD:
        """Shuffle parts to the partition of their node at `level`, and add them up there."""
        count = self._shards.num_shards
        places = -(-count // 2**level)
        moved = self._session.shuffled(rdd, KeyedFrames(level), places, level, Frames())
        return moved.mapPartitions(partial(combine, num_shards=count))
