"""Control frames: what driver and tasks say to each other, and how it is authenticated.

    header   op u8, kind u8, generation u32, five i64, f64, body length u32     little endian
    mac      16 bytes: HMAC-SHA256(session key, side, sequence number, header, body)
    body     bounded; JSON, float64 sums or an error line, as the op says

A frame that is forged, replayed, reordered or too long ends the connection. Nothing is unpickled.
Bulk vectors (see `links`) travel bare on connections of their own.
"""

from __future__ import annotations

import hmac
import os
import socket
import struct
import time
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

HEADER = struct.Struct("<BBIqqqqqdI")
_COUNTED = struct.Struct("<BQ")
MAC = 16
BODY_LIMIT = 1 << 24


class Op(IntEnum):
    """Driver to task, then task to driver."""

    PREPARE = 1  # leave the last generation; leader of a host: make memory and a listener
    JOIN = 2  # your place in this generation: memory, slices, parent, children
    STEP = 3  # take the weights, compute your shards
    REDUCE = 4  # add your slice of the host's slots
    GATHER = 5  # leader: add what the children send, send it up
    STOP = 6  # leave, with success
    READY = 16  # PREPARE or JOIN is done
    WEIGHTS = 17  # leader: the weights are in this host's memory
    DONE = 18  # STEP, REDUCE or GATHER is done; for STEP the body is sums and seconds, for GATHER
    # the first number is the bytes that went up
    FAILED = 19  # the computation failed; the body is shard (or -1), line and trace
    BROKEN = 20  # a link to another task broke
    UNSHARED = 21  # the shared memory can't be opened from here


class Frame(NamedTuple):
    """One message, either way."""

    op: int
    generation: int = 0
    numbers: tuple[int, int, int, int, int, float] = (0, 0, 0, 0, 0, 0.0)  # a plan's, mostly
    body: bytes = b""
    kind: int = 0  # the plan's Kind


class Channel:
    """An authenticated connection that carries frames. Used by one thread on each side.

    timeout  seconds within which a frame that has begun must be through, and one more a megabyte; 0
             for no limit
    """

    def __init__(self, sock: socket.socket, key: bytes, side: int, timeout: float = 0.0) -> None:
        limit(sock, timeout)
        self.sock = sock
        self.bytes = 0
        self.body_limit = BODY_LIMIT
        self._timeout = timeout
        self._key = key
        self._side = side
        self._sent = 0
        self._received = 0

    def send(self, frame: Frame) -> None:
        head = HEADER.pack(frame.op, frame.kind, frame.generation, *frame.numbers, len(frame.body))
        mac = self._mac(self._side, self._sent, head, frame.body)
        self._sent += 1
        self.bytes += len(head) + MAC + len(frame.body)
        self.sock.sendall(head + mac + frame.body)

    def receive(self, spin: float = 0.0) -> Frame:
        """The next frame. ConnectionError on an end or a forgery, another OSError on silence.

        spin  seconds that the core is kept awake for it: see `look_out`
        """
        if spin:
            look_out(self._readable, spin)
        raw = read_exactly(self.sock, HEADER.size + MAC, self._timeout)
        head, mac = raw[: HEADER.size], raw[HEADER.size :]
        op, kind, generation, *numbers, length = HEADER.unpack(head)
        if length > self.body_limit:
            raise ConnectionError(f"a frame of {length} bytes exceeds the limit, {self.body_limit}")
        body = read_exactly(self.sock, length, self._timeout) if length else b""
        if not hmac.compare_digest(mac, self._mac(1 - self._side, self._received, head, body)):
            raise ConnectionError("a frame with a wrong signature")
        self._received += 1
        self.bytes += len(raw) + length
        return Frame(op, generation, tuple(numbers), body, kind)

    def close(self) -> None:
        self.sock.close()

    def _readable(self) -> bool:
        try:
            self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        return True

    def _mac(self, side: int, count: int, head: bytes, body: bytes) -> bytes:
        return hmac.digest(self._key, _COUNTED.pack(side, count) + head + body, "sha256")[:MAC]


def look_out(ready: Callable[[], Any], seconds: float) -> None:
    """Until something is ready, or the time is up; the core is given to whoever else wants it.

    Waking a core that sleeps takes longer than most of what a step waits for.
    """
    end = time.perf_counter() + seconds
    while not ready() and time.perf_counter() < end:
        os.sched_yield()


def cores() -> int:
    """How many cores this process may use; 0 where it can't give one away."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


def read_exactly(sock: socket.socket, length: int, timeout: float = 0.0) -> bytes:
    """timeout: seconds for all of it, and one more a megabyte; 0 for no limit."""
    data = sock.recv(length)
    if len(data) == length:
        return data
    parts = [data]
    missing = length - len(data)
    end = time.monotonic() + timeout + length / 1e6
    while missing:
        if not parts[-1]:
            raise ConnectionError("the connection was closed by the other side")
        if timeout and time.monotonic() > end:
            raise TimeoutError(f"{missing} of {length} bytes are missing after {timeout:.0f} s")
        parts.append(sock.recv(min(missing, 1 << 20)))
        missing -= len(parts[-1])
    return b"".join(parts)


def limit(sock: socket.socket, seconds: float) -> None:
    """Blocking, but an operation that waits longer fails (BlockingIOError); 0 for no limit.

    The kernel keeps the time: a Python timeout would cost a system call more each time.
    """
    sock.settimeout(None)
    value = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)


def tune(sock: socket.socket, silence: int = 30) -> None:
    """No delay for small frames; a vanished host is noticed after about `silence` seconds."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", silence // 2),
        ("TCP_KEEPINTVL", silence // 6),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", silence * 1000),
    ):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
