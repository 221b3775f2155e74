"""Driver. The resident engine: the exchange of `root` over tasks that a Spark job keeps.

It owns the job's life: submits it, submits it again from the same step when it dies, has lost
files made again, and gives up with `EngineUnavailable` when tasks don't come within bounded time.
While it is open it holds the slots of its tasks: no other Spark job gets them.
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np

from dpnn.data.spark_shards import SparkShards
from dpnn.engines.protocol import Costs, EngineUnavailable, Plan, Sums
from dpnn.engines.resident.links import Travel
from dpnn.engines.resident.member import Ticket
from dpnn.engines.resident.root import Root
from dpnn.engines.resident.roster import Roster
from dpnn.engines.resident.secret import new_secret
from dpnn.engines.resident.submission import Submission, grouped
from dpnn.engines.resident.task import stay
from dpnn.engines.worker import Program
from dpnn.spark.errors import raise_if_cancelled

SUBMISSIONS = 4  # in a row that may die before all tasks are here


class ResidentEngine:
    """One Spark job for the whole fit.

    share     tasks of one host share memory
    fan_in    hosts that send to the driver and to each leader of the tree
    patience  seconds that a task may stay silent in a step (more where steps are long)
    arrival   seconds within which all tasks must have come
    """

    def __init__(
        self,
        program: Program,
        shards: SparkShards,
        *,
        share: bool = True,
        fan_in: int = 4,
        patience: float = 300.0,
        arrival: float = 60.0,
    ) -> None:
        self._session = shards.classic
        refuse_idle_kills(shards)
        self._program, self._shards = program, shards
        self._share, self._patience, self._arrival = share, patience, arrival
        self._job: Submission | None = None
        self._run = 0
        self._deaths = 0
        self._started = False  # all tasks were here once
        self._closed = False
        bind, public = self._session.address()
        self._roster = Roster(bind, new_secret(), public)
        count, travel = shards.num_shards, Travel(program.packs, program.sparse)
        self._root = Root(self._roster, count, patience, fan_in, travel)

    @property
    def costs(self) -> Costs:
        return self._root.costs

    @costs.setter
    def costs(self, costs: Costs) -> None:
        self._root.costs = costs

    def allocate(self, size: int) -> np.ndarray:
        """Weights in memory that the tasks of this host see: no copy a step."""
        return self._root.allocate(size)

    def step(self, weights: np.ndarray, plan: Plan) -> Sums:
        if self._job is not None:  # its tasks may live on
            raise_if_cancelled(self._job.error)
        return self._root.step(weights, plan, self._assemble)

    def close(self) -> None:
        """The tasks leave, the job ends, and nothing is left behind."""
        if self._closed:
            return
        self._closed = True
        self._root.close()
        if self._job is not None:
            self._job.end()

    def _assemble(self) -> None:
        """Until all places are taken. Spark brings lost tasks back; a dead job is sent anew."""
        end = time.monotonic() + self._arrival
        again = False  # the job was withdrawn and sent anew
        while not self._roster.complete:
            if self._job is None or self._job.ended:
                self._submit()
            elif time.monotonic() > end:
                slots = self._session.slots()
                here, wanted = len(self._roster.seats), self._roster.places
                if again or not (0 < slots < wanted or (slots and self._started)):
                    raise EngineUnavailable(
                        f"{here} of {wanted} tasks came within {self._arrival:.0f} s, with {slots} "
                        "slots: are they held by another job, and can executors reach the driver "
                        f"at {':'.join(map(str, self._roster.address))}?"
                    )
                again, end = True, time.monotonic() + self._arrival
                self._withdraw()
            for _ in self._roster.frames(0.2):
                pass
        self._deaths = 0
        self._started = True

    def _submit(self) -> None:
        if self._job is not None:
            self._bury(self._job)
        slots = self._session.slots(patience=self._arrival / 2)
        if slots == 0:
            raise EngineUnavailable("the cluster has no slot that could hold a task")
        tasks = min(slots, self._shards.num_shards)
        self._run += 1
        self._roster.begin(self._run, tasks)
        ticket = Ticket(
            self._roster.address,
            self._roster.secret,
            self._run,
            self._shards.num_shards,
            share=self._share,
            patience=self._patience,
        )
        rdd, holdings = grouped(self._shards, tasks)
        task = partial(
            stay,
            ticket=ticket,
            program=self._program,
            threads=self._session.threads,
            holdings=holdings,
        )
        self._job = Submission(self._session, rdd, task, self._roster.wake)

    def _withdraw(self) -> None:
        """End the job that runs, with the tasks that have come."""
        assert self._job is not None
        self._roster.dismiss()
        self._job.end()
        self._job = None

    def _bury(self, job: Submission) -> None:
        """A job has died: mend what can be mended, or give up."""
        self._roster.dismiss()
        self._job = None
        self._deaths += 1
        error = job.error
        raise_if_cancelled(error)
        if self._deaths >= SUBMISSIONS:
            lines = str(error or "its tasks left early").strip().splitlines()
            why = next((line for line in reversed(lines) if "Error" in line), lines[0])
            raise EngineUnavailable(f"its job died {self._deaths} times: {why}") from error
        if "MissingShard" in str(error):
            self._shards.repair()
        if error is not None and "SourceChanged" in str(error):
            self._shards.guarded(partial(_raise, error))


def _raise(error: Exception) -> None:
    raise error


def refuse_idle_kills(shards: SparkShards) -> None:
    """Quiet tasks would be taken for idle ones. Raises ValueError with the cure."""
    kills = shards.session.is_on("spark.python.worker.killOnIdleTimeout")
    idle = shards.session.conf("spark.python.worker.idleTimeoutSeconds", "0")
    if kills and idle.strip("s ") not in ("", "0"):
        raise ValueError(
            f"spark.python.worker.killOnIdleTimeout=true with idleTimeoutSeconds={idle} would kill "
            'resident tasks between steps: set it to false, or use engine="job"'
        )
