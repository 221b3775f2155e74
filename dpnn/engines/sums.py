"""The canonical sum tree: adjacent pairs in shard order, an odd one carried up.

A node (level k, index j) is the sum over shards [j·2^k, (j+1)·2^k), cut at the last shard. Float
addition is not associative; this one order, whoever adds, is what makes training bitwise equal on
every engine and cluster. Spark's own treeAggregate merges in arrival order above one level.
"""

from __future__ import annotations

from collections.abc import Iterable

from dpnn.engines.protocol import Sums

Node = tuple[int, int]  # (level, index)


def root(num_shards: int) -> Node:
    """The node that is the sum over all shards."""
    return (num_shards - 1).bit_length(), 0


def merge(nodes: dict[Node, Sums], num_shards: int) -> dict[Node, Sums]:
    """Add up every pair of siblings that is present, until none is left; reuses their arrays.

    Given all leaves (0, shard), what remains is the root alone. Given some, the largest nodes that
    they make up: what a task sends up the tree.
    """
    pending = dict(nodes)
    done: dict[Node, Sums] = {}
    while pending:
        level, index = min(pending)
        sums = pending.pop((level, index))
        if (level, index) == root(num_shards):
            done[level, index] = sums
            continue
        left, right = index & ~1, index | 1
        if right << level >= num_shards:  # the odd one at the end has no sibling: carried up
            pending[level + 1, index // 2] = sums
        elif index == left and (level, right) in pending:
            sums.add(pending.pop((level, right)))
            pending[level + 1, index // 2] = sums
        else:
            done[level, index] = sums
    return done


def total(leaves: Iterable[Sums]) -> Sums:
    """The canonical sum over all shards, given in shard order."""
    nodes = {(0, shard): sums for shard, sums in enumerate(leaves)}
    return merge(nodes, len(nodes))[root(len(nodes))]
