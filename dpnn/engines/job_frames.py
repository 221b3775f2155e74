"""Partial sums as Spark carries them: frames of at most 1 MiB, straight from and into arrays.

Pickled, a gradient of 40 MB would be copied three more times in Python, and pass the JVM as one
huge object. A frame is a record to Spark and says itself what it is, so frames may come in any
order: level and index of the node, the length of its flat vector in bytes, and the offset of this
piece of it; or -1 for the head, a pickle of all the rest.

Driver and executor; needs pyspark's serializers.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from pyspark.serializers import Serializer, SpecialLengths

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
    """

    node: Node
    sums: Sums | None = None
    reports: list[tuple[int, str, float, float]] = field(default_factory=list)
    error: tuple[str, str, str] | None = None


class _Arriving:
    """A part of which some frames are still to come."""

    def __init__(self, flat: np.ndarray | None) -> None:
        self.flat = flat
        self.part: tuple | None = None
        self.bytes = _EMPTY if flat is None else flat.view(np.uint8)
        self.missing = len(self.bytes)

    def whole(self) -> Part | None:
        if self.missing or self.part is None:
            return None
        node, tail, reports, error = self.part
        return Part(node, None if tail is None else Sums(self.flat, tail), reports, error)


def new_array(_: Node, size: int) -> np.ndarray:
    return np.empty(size, np.float32)


class Frames(Serializer):
    """Parts to frames and back.

    array  (node, size) -> where a flat vector is to go; stays behind when this is pickled
    """

    def __init__(self, array: Callable[[Node, int], np.ndarray] = new_array) -> None:
        self._array = array

    def __reduce__(self) -> Any:
        return type(self), ()

    def dump_stream(self, parts: Iterable[Part], stream: BinaryIO) -> None:
        """Each part is written before the next one is asked for: they may share memory."""
        for part in parts:
            flat = None if part.sums is None else part.sums.flat
            data = _EMPTY if flat is None else flat.view(np.uint8)
            tail = None if part.sums is None else part.sums.tail
            head = pickle.dumps((part.node, tail, part.reports, part.error), 5)
            self.write(part.node, len(data), _HEAD, head, stream)
            for offset in range(0, len(data), FRAME):
                piece = data[offset : offset + FRAME].data
                self.write(part.node, len(data), offset, piece, stream)

    def write(self, node: Node, size: int, offset: int, piece: Any, stream: BinaryIO) -> None:
        """One frame."""
        header = _HEADER.pack(*node, size, offset)
        stream.write(_LENGTH.pack(len(header) + len(piece)) + header)
        stream.write(piece)

    def load_stream(self, stream: Any) -> Iterator[Part]:
        """Each part as soon as it is whole."""
        arriving: dict[Node, _Arriving] = {}
        while (length := _next_length(stream)) is not None:
            level, index, size, offset = _HEADER.unpack(stream.read(_HEADER.size))
            node, length = (level, index), length - _HEADER.size
            if node not in arriving:
                arriving[node] = _Arriving(self._array(node, size // 4) if size else None)
            some = arriving[node]
            if offset == _HEAD:
                some.part = pickle.loads(stream.read(length))  # noqa: S301
            else:
                _read_into(stream, some.bytes[offset : offset + length].data)
                some.missing -= length
            if part := some.whole():
                del arriving[node]
                yield part
        if arriving:
            raise EOFError(f"the frames of nodes {sorted(arriving)} ended too early")


class KeyedFrames(Frames):
    """Frames for a shuffle: before each one its partition, the node's place at `level`."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def __reduce__(self) -> Any:
        return type(self), (self._level,)

    def write(self, node: Node, size: int, offset: int, piece: Any, stream: BinaryIO) -> None:
        key = (node[1] << node[0]) >> self._level
        stream.write(_LENGTH.pack(_KEY.size) + _KEY.pack(key))
        super().write(node, size, offset, piece, stream)


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
