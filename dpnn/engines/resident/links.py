"""Vectors between hosts: bare bytes on connections of their own, piece by piece.

Sizes, order and number of vectors are agreed when a generation begins, so nothing but the numbers
travels; sums that are packed (see `packing`) have each piece's length in bytes before it. A piece
goes on up or down the tree as soon as it is there: a deep tree costs no more than its slowest
link. Any fault raises OSError and ends the generation.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dpnn.engines.packing import pack, unpack
from dpnn.engines.resident.tree import Adds

PIECE = 1 << 16  # floats
_LENGTH = struct.Struct("<I")


def pieces(low: int, high: int) -> Iterator[slice]:
    for start in range(low, high, PIECE):
        yield slice(start, min(start + PIECE, high))


def send(sock: socket.socket, array: np.ndarray) -> None:
    sock.sendall(memoryview(array.data).cast("B"))


def receive(sock: socket.socket, array: np.ndarray) -> None:
    view = memoryview(array.data).cast("B")
    while view:
        got = sock.recv_into(view, 0, socket.MSG_WAITALL)
        if not got:
            raise ConnectionError("a link of the tree was closed by the other side")
        view = view[got:]


class Travel(NamedTuple):
    """How vectors travel between the hosts of a generation.

    packs   sums go up packed
    news    of the weights what is new goes down, packed; all of them at first
    """

    packs: bool = False
    news: bool = False


def packed(array: np.ndarray) -> bytes:
    """A piece of a vector, after its length in bytes."""
    data = pack(array)
    return _LENGTH.pack(data.size) + data.tobytes()


def receive_packed(sock: socket.socket, array: np.ndarray) -> bytes:
    """Fill a piece; what has come, to be passed on."""
    head = np.empty(_LENGTH.size, np.uint8)
    receive(sock, head)
    (length,) = _LENGTH.unpack(head.tobytes())
    if length > array.nbytes:
        raise ConnectionError(f"a piece of {length} bytes exceeds its {array.nbytes}")
    data = np.empty(length, np.uint8)
    if length:
        receive(sock, data)
    try:
        unpack(data, array)
    except ValueError as error:
        raise ConnectionError(f"a garbled piece: {error}") from error
    return head.tobytes() + data.tobytes()


class News:
    """The bits of weights that have changed since they were last told; all of them at first.

    It lives as long as a generation: who joins has zeros.
    """

    def __init__(self, size: int) -> None:
        self._known = np.zeros(size, np.int32)

    def of(self, weights: np.ndarray, piece: slice) -> bytes:
        """What to send of a piece, which counts as told from now on."""
        known, bits = self._known[piece], weights[piece].view(np.int32)
        known ^= bits
        data = packed(known.view(np.float32))
        known[...] = bits
        return data


def hear(parent: socket.socket, weights: np.ndarray) -> bytes:
    """Bring news into a piece of the weights; what has come, to be passed on."""
    changed = np.empty(weights.size, np.float32)
    data = receive_packed(parent, changed)
    bits = weights.view(np.int32)
    bits ^= changed.view(np.int32)
    return data


def add(rows: Sequence[np.ndarray] | np.ndarray, adds: Adds, low: int, high: int) -> None:
    """Do the additions over [low, high), a piece at a time so that it stays in the cache."""
    if adds:
        for piece in pieces(low, high):
            for dst, src in adds:
                np.add(rows[dst][piece], rows[src][piece], out=rows[dst][piece])


class Gather:
    """The additions where links meet: own rows and the children's, piece by piece.

    own       arrays of this host, added into
    children  (connection, number of vectors it sends)
    adds      over rows: own first, then the children's
    target    (row, array): this row of the children's is received straight into the array
    packs     vectors travel packed
    """

    def __init__(
        self,
        size: int,
        own: Sequence[np.ndarray],
        children: Sequence[tuple[socket.socket, int]],
        adds: Adds,
        target: tuple[int, np.ndarray] | None = None,
        packs: bool = False,
    ) -> None:
        self.size = size
        self.own = own
        self.children = children
        self.adds = adds
        self.target = target
        self.packs = packs
        count = sum(n for _, n in children)
        self._scratch = np.empty((count, min(size, PIECE)), np.float32)

    def run(self, parent: socket.socket | None = None, up: Sequence[int] = ()) -> int:
        """Receive, add, and send the rows `up` to the parent; how many bytes these took."""
        take, sent = receive_packed if self.packs else receive, 0
        for piece in pieces(0, self.size):
            rows = [array[piece] for array in self.own]
            rows += [scratch[: piece.stop - piece.start] for scratch in self._scratch]
            if self.target is not None:
                row, array = self.target
                rows[row] = array[piece]
            index = len(self.own)
            for sock, count in self.children:
                for _ in range(count):
                    take(sock, rows[index])
                    index += 1
            for dst, src in self.adds:
                np.add(rows[dst], rows[src], out=rows[dst])
            if parent is not None:
                for row in up:
                    if self.packs:
                        data = packed(rows[row])
                        parent.sendall(data)
                        sent += len(data)
                    else:
                        send(parent, rows[row])
                        sent += rows[row].nbytes
        return sent


def relay(
    parent: socket.socket,
    weights: np.ndarray,
    children: Sequence[socket.socket],
    news: bool = False,
) -> None:
    """Take the weights, or what is new of them, and pass every piece on at once."""
    for piece in pieces(0, weights.size):
        if news:
            data = hear(parent, weights[piece])
            for child in children:
                child.sendall(data)
        else:
            receive(parent, weights[piece])
            for child in children:
                send(child, weights[piece])


def spread(weights: np.ndarray, children: Sequence[socket.socket], news: News | None = None) -> int:
    """Send the weights down; how many bytes each link takes."""
    sent = 0
    for piece in pieces(0, weights.size):
        data = weights[piece].data.cast("B") if news is None else news.of(weights, piece)
        for child in children:
            child.sendall(data)
        sent += len(data)
    return sent
