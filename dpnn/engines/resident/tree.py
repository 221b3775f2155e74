"""Who adds what: the canonical sum tree laid over tasks, hosts and links, as plain numbers.

Everything here is computed once a generation from the lists of shards and holds no data. Sums are
named by the rows that hold them; an addition (dst, src) means rows[dst] += rows[src].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dpnn.engines.protocol import Sums
from dpnn.engines.sums import Node, merge, root

Adds = list[tuple[int, int]]


class _Row(Sums):
    """Stands for a row in `sums.merge` and notes the additions instead of doing them."""

    def __init__(self, row: int, log: Adds) -> None:
        super().__init__(None, np.empty(0))
        self.row = row
        self.log = log

    def add(self, other: Sums) -> None:
        assert isinstance(other, _Row)
        self.log.append((self.row, other.row))


def additions(nodes: dict[Node, int], num_shards: int) -> tuple[Adds, dict[Node, int]]:
    """Additions that merge the nodes (node → row) as far as they go, and what is left of them."""
    log: Adds = []
    left = merge({node: _Row(row, log) for node, row in nodes.items()}, num_shards)
    return log, {node: row.row for node, row in sorted(left.items()) if isinstance(row, _Row)}


@dataclass(frozen=True)
class Schedule:
    """How one task computes its shards one after the other, in few rows.

    runs   (shard, row that its sums are born in, additions after it)
    nodes  node → row: what remains
    rows   how many rows it takes
    """

    runs: list[tuple[int, int, Adds]]
    nodes: dict[Node, int]
    rows: int


def schedule(shards: Sequence[int], num_shards: int) -> Schedule:
    nodes: dict[Node, int] = {}
    runs: list[tuple[int, int, Adds]] = []
    rows = 0
    for shard in sorted(shards):
        taken = set(nodes.values())
        row = next(r for r in range(len(taken) + 1) if r not in taken)
        rows = max(rows, row + 1)
        adds, nodes = additions({**nodes, (0, shard): row}, num_shards)
        runs.append((shard, row, adds))
    return Schedule(runs, nodes, rows)


@dataclass(eq=False)
class Group:
    """Tasks that share memory. The first one leads, unless the driver is of the group.

    slots    first row of each member's in the group's arena
    adds     what makes the members' nodes into the group's, in arena rows
    parent   index of the group above, -1 for the driver
    gather   additions over the leader's rows: `own` arena rows first, then each child's nodes
    up       (node, row) that go to the parent, in this order
    """

    members: list[int]
    slots: list[int] = field(default_factory=list)
    rows: int = 0
    adds: Adds = field(default_factory=list)
    nodes: dict[Node, int] = field(default_factory=dict)
    parent: int = -1
    children: list[int] = field(default_factory=list)
    gather: Adds = field(default_factory=list)
    up: list[tuple[Node, int]] = field(default_factory=list)

    @property
    def own(self) -> list[int]:
        """The arena rows that hold the group's nodes once its members' are added up."""
        return list(self.nodes.values())


def arrange(
    schedules: Sequence[Schedule],
    keys: Sequence[object],
    home: object,
    num_shards: int,
    fan_in: int,
) -> list[Group]:
    """Groups of tasks by key; groups[0] is the driver's own (key `home`), perhaps empty."""
    first = [min((run[0] for run in s.runs), default=num_shards) for s in schedules]
    order = sorted(range(len(keys)), key=first.__getitem__)
    by_key: dict[object, list[int]] = {home: []}
    for task in order:
        by_key.setdefault(keys[task], []).append(task)
    groups = [Group(members) for members in by_key.values()]
    for group in groups:
        nodes: dict[Node, int] = {}
        for task in group.members:
            group.slots.append(group.rows)
            nodes |= {n: row + group.rows for n, row in schedules[task].nodes.items()}
            group.rows += schedules[task].rows
        group.adds, group.nodes = additions(nodes, num_shards)
    _branch(groups, 0, list(range(1, len(groups))), fan_in)
    _flow(groups, 0, num_shards)
    if len(groups[0].up) != 1 or groups[0].up[0][0] != root(num_shards):
        held = [[shard for shard, _, _ in s.runs] for s in schedules]
        raise ValueError(f"the tasks' shards {held} don't make up all of 0..{num_shards - 1}")
    return groups


def _branch(groups: list[Group], parent: int, below: list[int], fan_in: int) -> None:
    """Hang the groups `below` under a parent in at most `fan_in` runs of neighbours."""
    count = min(fan_in, len(below))
    for i in range(count):
        head, *rest = below[i * len(below) // count : (i + 1) * len(below) // count]
        groups[head].parent = parent
        groups[parent].children.append(head)
        _branch(groups, head, rest, fan_in)


def _flow(groups: list[Group], index: int, num_shards: int) -> None:
    group = groups[index]
    nodes = {node: row for row, node in enumerate(group.nodes)}
    for child in group.children:
        _flow(groups, child, num_shards)
        nodes |= {node: len(nodes) + i for i, (node, _) in enumerate(groups[child].up)}
    group.gather, left = additions(nodes, num_shards)
    group.up = list(left.items())
