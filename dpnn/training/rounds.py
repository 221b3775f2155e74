"""Local steps, as the driver sees them: what they go with, and how many a round should have."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from dpnn import nn
from dpnn.engines.protocol import Plan
from dpnn.training.history import enough
from dpnn.training.runner import Runner

OUTER = nn.SGD(0.7, momentum=0.9, nesterov=True)  # Douillard et al. 2023 (DiLoCo)
PROBES = 5  # rounds of one step that are timed, after one that warms up


def check(local_steps: Any, outer: Any, optimizer: nn.Optimizer) -> None:
    """ValueError or TypeError where a training cannot have these local steps."""
    if local_steps is None:
        if outer is not None:
            raise ValueError("outer moves what local steps have found: give local_steps, too")
        return
    whole = isinstance(local_steps, int) and not isinstance(local_steps, bool) and local_steps > 0
    if local_steps != "auto" and not whole:
        raise ValueError(
            f"local_steps must be a whole number from 1 or 'auto', got {local_steps!r}"
        )
    if outer is not None and not isinstance(outer, nn.Optimizer):
        raise TypeError(f"outer must be a dpnn.nn Optimizer, got {outer!r}")
    for name, one in (("optimizer", optimizer), ("outer", outer)):
        if one is not None and one.full_batch:
            raise ValueError(
                f"{name}={type(one).__name__} searches along all rows in each step, and local "
                "steps are of a shard's own: take nn.Adam() or nn.SGD(), or leave local_steps out"
            )


def probe(runner: Runner, weights: np.ndarray, plan: Plan) -> tuple[int, str]:
    """How many steps a round should have here, and why in one line.

    Times rounds of one step and throws them away: the fit is the one that is given this number.
    """
    runner.step(weights, plan)
    exchanges, steps = [], []
    for _ in range(PROBES):
        costs = runner.costs
        before, start = costs.compute + costs.wait, perf_counter()
        runner.step(weights, plan)
        wall, costs = perf_counter() - start, runner.costs
        steps.append(costs.compute + costs.wait - before)
        exchanges.append(max(wall - steps[-1], 0.0))
    exchange, step = median(exchanges), median(steps)
    count = min(enough(exchange, step), plan.steps)
    took = f"an exchange takes {1e3 * exchange:.1f} ms, a step {1e3 * step:.1f} ms"
    return count, f"local_steps={count}: {took}"
