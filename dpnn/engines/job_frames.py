"""Partial sums as Spark carries them: pieces of at most 1 MiB, straight from and into arrays.

Pickled, a gradient of 40 MB would be copied three more times in Python, and pass the JVM as one
huge object. A piece is a record to Spark and says itself what it is, so they may come in any order:
level and index of the node, the length of its flat vector in bytes, and the offset of this piece of
it; or -1 for the head, a pickle of all the rest. `Frames` writes them as an RDD's records,
`frame_rows` as rows of a DataFrame.

Driver and executor; needs pyspark's serializers.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from pyspark.serializers import Serializer, SpecialLengths

from dpnn.engines.packing import pack, unpack
from dpnn.engines.protocol import Sums
from dpnn.engines.sums import Node

FRAME = 1 << 20  # bytes
_LENGTH, _HEADER, _KEY = struct.Struct("!i"), struct.Struct("!iiqq"), struct.Struct("!q")
_HEAD = -1
_EMPTY = np.empty(0, np.uint8)


@dataclass
class Part:
    """A node of the sum tree on its way to the driver, or what went wrong instead.

    reports  one for each shard in it: (shard, host, seconds to get the weights, to compute)
    error    (kind, the one line, the trace beneath it)
    packs    its flat vector travels packed, where that is shorter
    bytes    how many its flat vector had on the way
    """

    node: Node
    sums: Sums | None = None
    reports: list[tuple[int, str, float, float]] = field(default_factory=list)
    error: tuple[str, str, str] | None = None
    packs: bool = False
    bytes: int = 0


class Piece(NamedTuple):
    """Of a part: its head, or some of its flat vector; packed if it is shorter than that is."""

    node: Node
    size: int
    offset: int
    data: Any


def pieces(parts: Iterable[Part]) -> Iterator[Piece]:
    """Each part's pieces are used before the next part is asked for: they may share memory."""
    for part in parts:
        flat = None if part.sums is None else part.sums.flat
        data = _EMPTY if flat is None else flat.view(np.uint8)
        tail = None if part.sums is None else part.sums.tail
        head = pickle.dumps((part.node, tail, part.reports, part.error, part.packs), 5)
        yield Piece(part.node, len(data), _HEAD, head)
        for offset in range(0, len(data), FRAME):
            some = data[offset : offset + FRAME]
            if part.packs:
                some = pack(some.view(np.float32))
            yield Piece(part.node, len(data), offset, some.data)


class _Arriving:
    """A part of which some pieces are still to come."""

    def __init__(self, flat: np.ndarray | None) -> None:
        self.flat = flat
        self.part: tuple | None = None
        self.bytes = _EMPTY if flat is None else flat.view(np.uint8)
        self.missing = len(self.bytes)
        self.came = 0

    def whole(self) -> Part | None:
        if self.missing or self.part is None:
            return None
        node, tail, reports, error, packs = self.part
        sums = None if tail is None else Sums(self.flat, tail)
        return Part(node, sums, reports, error, packs, self.came)


def new_array(_: Node, size: int) -> np.ndarray:
    return np.empty(size, np.float32)


class Arrivals:
    """Joins pieces, in whatever order they come.

    array  (node, size) -> where a flat vector is to go
    """

    def __init__(self, array: Callable[[Node, int], np.ndarray] = new_array) -> None:
        self._array = array
        self._some: dict[Node, _Arriving] = {}

    def add(
        self, node: Node, size: int, offset: int, length: int, read: Callable[[memoryview], None]
    ) -> Part | None:
        """A piece of `length` bytes, which `read` fills in; the part, if it is whole now."""
        if node not in self._some:
            self._some[node] = _Arriving(self._array(node, size // 4) if size else None)
        some = self._some[node]
        if offset == _HEAD:
            head = bytearray(length)
            read(memoryview(head))
            some.part = pickle.loads(head)  # noqa: S301
        else:
            here = some.bytes[offset : offset + FRAME]
            if length == len(here):
                read(here.data)
            else:
                packed = bytearray(length)
                read(memoryview(packed))
                unpack(packed, here.view(np.float32))
            some.missing -= len(here)
            some.came += length
        if part := some.whole():
            del self._some[node]
        return part

    def end(self) -> None:
        """EOFError where pieces are missing."""
        if self._some:
            raise EOFError(f"the pieces of nodes {sorted(self._some)} ended too early")


class Frames(Serializer):
    """Parts as an RDD's records and back.

    array  as of `Arrivals`; stays behind when this is pickled
    """

    def __init__(self, array: Callable[[Node, int], np.ndarray] = new_array) -> None:
        self._array = array

    def __reduce__(self) -> Any:
        return type(self), ()

    def dump_stream(self, parts: Iterable[Part], stream: BinaryIO) -> None:
        for piece in pieces(parts):
            self.write(piece, stream)

    def write(self, piece: Piece, stream: BinaryIO) -> None:
        """One frame."""
        header = _HEADER.pack(*piece.node, piece.size, piece.offset)
        stream.write(_LENGTH.pack(len(header) + len(piece.data)) + header)
        stream.write(piece.data)

    def load_stream(self, stream: Any) -> Iterator[Part]:
        """Each part as soon as it is whole."""
        arrivals = Arrivals(self._array)
        read = partial(_read_into, stream)
        while (length := _next_length(stream)) is not None:
            level, index, size, offset = _HEADER.unpack(stream.read(_HEADER.size))
            left = length - _HEADER.size
            if part := arrivals.add((level, index), size, offset, left, read):
                yield part
        arrivals.end()


class KeyedFrames(Frames):
    """Frames for a shuffle: before each one its partition, the node's place at `level`."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def __reduce__(self) -> Any:
        return type(self), (self._level,)

    def write(self, piece: Piece, stream: BinaryIO) -> None:
        key = place(piece.node, self._level)
        stream.write(_LENGTH.pack(_KEY.size) + _KEY.pack(key))
        super().write(piece, stream)


def place(node: Node, level: int) -> int:
    """The index of the node's ancestor at a level."""
    return (node[1] << node[0]) >> level


def _next_length(stream: Any) -> int | None:
    """None at the end: of the file on the driver, of the section in a task."""
    data = stream.read(_LENGTH.size)
    if not data:
        return None
    (length,) = _LENGTH.unpack(data)
    return None if length == SpecialLengths.END_OF_DATA_SECTION else length


def _read_into(stream: Any, view: memoryview) -> None:
    while view:
        got = stream.readinto(view)
        if not got:
            raise EOFError(f"a frame ended {len(view)} bytes too early")
        view = view[got:]
