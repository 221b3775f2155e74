"""A listener that lets in whoever knows the secret, and is not held up by whoever doesn't.

Driver, and the leader of a host that has hosts below it. Handshakes run side by side, each with a
deadline; at most `PENDING` strangers are listened to at once, and the oldest makes room. What one
may send before it is known is 128-odd bytes, and a bounded introduction after.
"""

from __future__ import annotations

import hashlib
import secrets
import selectors
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field

from dpnn.engines.resident import secret as handshake
from dpnn.engines.resident.secret import Hello
from dpnn.engines.resident.wire import tune

PENDING = 256
DEADLINE = 5.0  # seconds for a handshake
REFUSED = 3.0  # seconds to go on dialling a port that nobody listens on: the fit is over


@dataclass
class Arrival:
    """A connection whose other side has proven that it belongs to the fit."""

    sock: socket.socket
    hello: Hello
    introduction: bytes
    key: bytes


@dataclass(eq=False)
class _Guest:
    sock: socket.socket
    deadline: float
    nonce: bytes
    wanted: int = handshake.REQUEST
    data: bytearray = field(default_factory=bytearray)
    hello: Hello | None = None
    key: bytes = b""


class Door:
    """Bound to one address; `poll` from one thread; `close` may be called from another."""

    def __init__(self, host: str, secret: bytes) -> None:
        family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        self._listener = socket.create_server(address[:2], family=family, backlog=1024)
        self._listener.setblocking(False)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._secret = secret
        self._guests: dict[socket.socket, _Guest] = {}  # oldest first
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._bell, self._button = socket.socketpair()
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._closed = False

    def poll(self, timeout: float) -> list[Arrival]:
        """Wait up to `timeout` seconds for connections that have passed the handshake."""
        arrivals: list[Arrival] = []
        if self._closed:
            return arrivals
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._listener:
                self._accept()
            elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._guests:
                arrival = self._advance(self._guests[key.fileobj])
                if arrival is not None:
                    arrivals.append(arrival)
        now = time.monotonic()
        for guest in [g for g in self._guests.values() if g.deadline < now]:
            self._drop(guest)
        return arrivals

    @property
    def closed(self) -> bool:
        return self._closed

    def ring(self) -> None:
        """End `poll` of another thread, for good: it sees `closed` and must call `close`."""
        self._closed = True
        with suppress(OSError):  # it was closed before
            self._button.send(b"!")

    def close(self) -> None:
        self._closed = True
        for guest in list(self._guests.values()):
            self._drop(guest)
        self._selector.close()
        for sock in (self._listener, self._bell, self._button):
            sock.close()

    def _accept(self) -> None:
        for _ in range(64):
            try:
                sock, _address = self._listener.accept()
            except OSError:
                return
            if len(self._guests) >= PENDING:
                self._drop(next(iter(self._guests.values())))
            guest = _Guest(sock, time.monotonic() + DEADLINE, secrets.token_bytes(32))
            self._guests[sock] = guest
            try:
                sock.setblocking(False)
                tune(sock)
                sock.send(guest.nonce)
                self._selector.register(sock, selectors.EVENT_READ)
            except OSError:
                self._drop(guest)

    def _advance(self, guest: _Guest) -> Arrival | None:
        try:
            data = guest.sock.recv(guest.wanted - len(guest.data))
            if not data:
                raise ConnectionError
            guest.data += data
            if len(guest.data) < guest.wanted:
                return None
            if guest.hello is None:
                admitted = handshake.admit(self._secret, guest.nonce, bytes(guest.data))
                if admitted is None:
                    raise ConnectionError
                guest.hello, proof, guest.key = admitted
                guest.sock.send(proof)
                guest.wanted, guest.data = guest.hello.length, bytearray()
                if guest.wanted:
                    return None
            introduction = bytes(guest.data)
            if hashlib.sha256(introduction).digest() != guest.hello.digest:
                raise ConnectionError
        except BlockingIOError:
            return None
        except OSError:
            self._drop(guest)
            return None
        del self._guests[guest.sock]
        self._selector.unregister(guest.sock)
        guest.sock.setblocking(True)
        return Arrival(guest.sock, guest.hello, introduction, guest.key)

    def _drop(self, guest: _Guest) -> None:
        del self._guests[guest.sock]
        with suppress(KeyError):
            self._selector.unregister(guest.sock)
        guest.sock.close()


def dial(
    address: tuple[str, int],
    secret: bytes,
    hello: Hello,
    introduction: bytes = b"",
    deadline: float = 20.0,
    source: str | None = None,
) -> tuple[socket.socket, bytes]:
    """Connect and pass the handshake, trying again until the deadline. (socket, session key)."""
    began = time.monotonic()
    end = began + deadline
    pause = 0.02
    while True:
        sock = None
        try:
            here = (source, 0) if source else None
            sock = socket.create_connection(
                address, timeout=min(5.0, deadline), source_address=here
            )
            tune(sock)
            return sock, handshake.introduce(sock, secret, hello, introduction)
        except OSError as error:
            if sock is not None:
                sock.close()
            if isinstance(error, ConnectionRefusedError):
                end = min(end, began + REFUSED)
            if time.monotonic() + pause > end:
                host, port = address
                raise ConnectionError(
                    f"no connection to {host}:{port} within {end - began:.0f} s ({error}): "
                    "is the address reachable from this host?"
                ) from error
            time.sleep(pause)
            pause = min(1.0, pause * 2)
