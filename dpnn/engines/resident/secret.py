"""The handshake: both sides prove that they know the fit's secret, before anything else is read.

    server → client   32 random bytes
    client → server   32 random bytes, hello, proof of the client
    server → client   proof of the server
    client → server   the introduction: as many bytes as the hello (which is proven) says

A proof is HMAC-SHA256 over a label, both nonces and the hello. Sizes are fixed; the introduction is
bounded and its digest stands in the hello. Both sides derive a session key that signs every frame.
Protected: who may join, and every control frame. Not protected: secrecy, and the bulk vectors
between hosts, which travel bare; where Spark is told to encrypt, `auto` takes the `job` engine.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket
import struct
from typing import NamedTuple

from dpnn.engines.resident.wire import read_exactly

NONCE = 32
PROOF = 32
_HELLO = struct.Struct("<BIIIII32s")
INTRODUCTION_LIMIT = 1 << 20


class Hello(NamedTuple):
    """What a client asks for. A control connection has no generation, a link no attempt."""

    role: int  # CONTROL or LINK
    run: int = 0  # which submission of the job
    generation: int = 0
    place: int = 0  # the task's number
    attempt: int = 0
    length: int = 0  # of the introduction
    digest: bytes = bytes(32)


CONTROL, LINK = 1, 2
REQUEST = NONCE + _HELLO.size + PROOF


def new_secret() -> bytes:
    return secrets.token_bytes(32)


def introduce(sock: socket.socket, secret: bytes, hello: Hello, introduction: bytes = b"") -> bytes:
    """Client side of the handshake, on a connected socket with a timeout. The session key."""
    digest = hashlib.sha256(introduction).digest()
    hello = hello._replace(length=len(introduction), digest=digest)
    theirs = read_exactly(sock, NONCE)
    ours = secrets.token_bytes(NONCE)
    body = _HELLO.pack(*hello)
    sock.sendall(ours + body + _proof(secret, b"client", theirs, ours, body))
    if not hmac.compare_digest(
        read_exactly(sock, PROOF), _proof(secret, b"server", theirs, ours, body)
    ):
        raise ConnectionError("the other side doesn't know the secret of this fit")
    sock.sendall(introduction)
    return _proof(secret, b"session", theirs, ours, body)


def admit(secret: bytes, ours: bytes, request: bytes) -> tuple[Hello, bytes, bytes] | None:
    """Server side: (hello, our proof, session key); None for the request of a stranger."""
    theirs, body = request[:NONCE], request[NONCE : NONCE + _HELLO.size]
    claimed = request[NONCE + _HELLO.size :]
    if not hmac.compare_digest(claimed, _proof(secret, b"client", ours, theirs, body)):
        return None
    hello = Hello(*_HELLO.unpack(body))
    if hello.role not in (CONTROL, LINK) or hello.length > INTRODUCTION_LIMIT:
        return None
    return (
        hello,
        _proof(secret, b"server", ours, theirs, body),
        _proof(secret, b"session", ours, theirs, body),
    )


def _proof(secret: bytes, label: bytes, server: bytes, client: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, label + server + client + body, "sha256")
