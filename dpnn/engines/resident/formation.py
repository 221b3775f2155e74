"""Driver. How the present tasks become a generation: who leads a host, whose memory, which links.

Three rounds: PREPARE (everybody leaves the last generation, leaders make memory and doors), JOIN
(everybody attaches to the memory, leaders dial their parents), and the driver's own links.
"""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from dpnn.engines.resident import tree
from dpnn.engines.resident.arena import Arena, host_key
from dpnn.engines.resident.generation import Generation, Tails
from dpnn.engines.resident.links import Travel
from dpnn.engines.resident.member import ticket
from dpnn.engines.resident.roster import Lost, Roster, Seat
from dpnn.engines.resident.wire import BODY_LIMIT, Frame, Op, limit

JOINING = 30.0  # seconds that taking up the places may last


def form(
    roster: Roster,
    number: int,
    weights: Arena,
    num_shards: int,
    fan_in: int,
    patience: float,
    travel: Travel,
) -> Generation:
    """The generation of those who have all places now. `number` marks every frame of it.

    patience  seconds that a task may still compute a step that nobody waits for any more

    Raises Lost when anybody goes meanwhile, ValueError when the tasks run another model.
    """
    seats = [roster.seats[place] for place in range(roster.places)]
    size = weights.rows.shape[1]
    _check(roster, seats, size, num_shards)
    schedules = [tree.schedule(seat.shards, num_shards) for seat in seats]
    keys = [seat.key if seat.shares else seat.place for seat in seats]
    groups = tree.arrange(schedules, keys, host_key(), num_shards, fan_in)
    tails = Tails(schedules, num_shards)
    for seat, count in zip(seats, tails.counts, strict=True):
        seat.channel.body_limit = BODY_LIMIT + 8 * count * max(seat.tails)
    now = Generation(roster, number, seats, groups, weights, tails, travel)
    try:
        said = _prepare(now, patience)
        _join(now, weights, said, min(JOINING, patience))
        now.link(_links(now, patience))
    except BaseException:
        now.close()
        raise
    return now


def _check(roster: Roster, seats: list[Seat], size: int, num_shards: int) -> None:
    for seat in seats:
        if seat.shards and max(seat.shards) >= num_shards:
            roster.lose(seat)
            raise Lost(f"task {seat.place} speaks of a shard {max(seat.shards)}")
        if seat.size != size:
            raise ValueError(
                f"task {seat.place} on {seat.host} has a flat vector of {seat.size}, the "
                f"driver of {size}: do both run the same dpnn and the same model?"
            )


def _prepare(now: Generation, patience: float) -> dict[int, dict[str, Any]]:
    """What the leaders say of the memory and the doors that they made, by group."""
    said: dict[int, dict[str, Any]] = {}
    index = {now.seats[group.members[0]]: i for i, group in enumerate(now.groups) if i}
    for seat in now.seats:
        group = now.groups[index.get(seat, 0)]
        wanted = {"leads": seat in index, "rows": group.rows, "door": bool(group.children)}
        now.roster.send(seat, Frame(Op.PREPARE, now.number, body=json.dumps(wanted).encode()))

    def take(seat: Seat, frame: Frame) -> bool:
        if seat in index:
            made = json.loads(frame.body)
            said[index[seat]] = {key: made[key] for key in ("weights", "slots", "door")}
        return True

    now.collect(now.seats, take, patience, Op.PREPARE)
    return said


def _join(
    now: Generation, weights: Arena, said: dict[int, dict[str, Any]], patience: float
) -> None:
    said = {0: {"weights": ticket(weights), "slots": ticket(now.slots)}, **said}
    for i, group in enumerate(now.groups):
        for order, place in enumerate(group.members):
            seat = _seat(now, i, order, said)
            frame = Frame(Op.JOIN, now.number, body=json.dumps(seat).encode())
            now.roster.send(now.seats[place], frame)
    now.collect(now.seats, lambda seat, frame: True, patience, Op.JOIN)


def _seat(now: Generation, i: int, order: int, said: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """What the member `order` of group i has to know."""
    group, count = now.groups[i], len(now.groups[i].members)
    cuts = [now.size * k // count // 16 * 16 for k in range(count)] + [now.size]
    seat: dict[str, Any] = {
        "weights": said[i]["weights"],
        "slots": said[i]["slots"],
        "tasks": count,
        "rows": group.rows,
        "first": group.slots[order],
        "adds": group.adds,
        "slice": (cuts[order], cuts[order + 1]),
        "leads": bool(i) and order == 0,
    }
    if seat["leads"]:
        below = [now.groups[child] for child in group.children]
        seat |= {
            "parent": said[group.parent]["door"] if group.parent else now.roster.address,
            "children": [(child.members[0], len(child.up)) for child in below],
            "own": group.own,
            "gather": group.gather,
            "up": [row for _, row in group.up],
            "travel": now.travel,
            "others": count > 1,
            "spread": now.spreads(group),
        }
    return seat


def _links(now: Generation, patience: float) -> list[socket.socket]:
    """The driver's end of the tree: its connections for vectors, in the order of the tree."""
    wanted = [(now.number, now.groups[c].members[0]) for c in now.groups[0].children]
    links = now.roster.links
    end = time.monotonic() + JOINING
    while not set(wanted) <= links.keys():
        for _ in now.roster.frames(0.1):
            pass
        if now.roster.lost != now.lost or time.monotonic() > end:
            raise Lost("a host has not linked up with the driver")
    for link in wanted:
        limit(links[link], patience)
    return [links[link] for link in wanted]
