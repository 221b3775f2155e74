"""Whoever doesn't know the fit's secret: the fit goes on, and nothing of theirs is taken in."""

from __future__ import annotations

import secrets
import socket
import threading
import time

import pytest

from dpnn.engines.protocol import Kind, Plan
from dpnn.engines.resident import door, secret, wire
from dpnn.engines.resident.secret import CONTROL, Hello
from tests.engines.crew import Crew
from tests.engines.test_resident_exchange import check


@pytest.fixture
def crew(monkeypatch):
    with Crew(10, [[0], [1]]) as crew:
        check(crew, Plan(Kind.TRAIN, 0, 0, 9))
        monkeypatch.setattr(door, "DEADLINE", 1.0)  # not before: the tasks may be slow to come
        yield crew
        for step in range(1, 5):
            check(crew, Plan(Kind.TRAIN, 0, step, 9))
        assert crew.roster.lost == 0
        assert len(crew.roster.seats) == 2


def call(crew):
    return socket.create_connection(crew.roster.address, timeout=60)


def closed(sock):
    sock.settimeout(60)
    try:
        while sock.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
    return True


def test_a_port_scanner(crew):
    with call(crew) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        assert closed(sock)


def test_a_wrong_secret(crew):
    with call(crew) as sock, pytest.raises(ConnectionError):
        secret.introduce(sock, secrets.token_bytes(32), Hello(CONTROL, 1, 0, 0, 5))


def test_a_half_hello_and_silence(crew):
    start = time.monotonic()
    with call(crew) as sock:
        sock.sendall(b"x" * (secret.REQUEST - 1))
        assert closed(sock)
        assert time.monotonic() - start > 0.5


def test_a_right_hello_and_silence(crew):
    """Proven, but the introduction never comes."""
    with call(crew) as sock:
        theirs = sock.recv(32)
        body = secret._HELLO.pack(CONTROL, 1, 0, 0, 9, 100, bytes(32))
        ours = secrets.token_bytes(32)
        proof = secret._proof(crew.secret, b"client", theirs, ours, body)
        sock.sendall(ours + body + proof)
        assert closed(sock)


def test_an_oversized_introduction(crew):
    with call(crew) as sock:
        theirs = sock.recv(32)
        length = secret.INTRODUCTION_LIMIT + 1
        body = secret._HELLO.pack(CONTROL, 1, 0, 0, 9, length, bytes(32))
        ours = secrets.token_bytes(32)
        sock.sendall(ours + body + secret._proof(crew.secret, b"client", theirs, ours, body))
        assert closed(sock)


def test_a_replayed_hello(crew):
    """Another connection's proof hangs on that connection's nonce."""
    with call(crew) as sock:
        body = secret._HELLO.pack(CONTROL, 1, 0, 0, 9, 0, bytes(32))
        ours = secrets.token_bytes(32)
        sock.sendall(ours + body + secret._proof(crew.secret, b"client", bytes(32), ours, body))
        assert closed(sock)


@pytest.mark.parametrize("said", [b"\x80\x04not json", b"5", b"[" * 100_000, b'{"key": 3}'])
def test_a_garbled_introduction(crew, said):
    with call(crew) as sock:
        secret.introduce(sock, crew.secret, Hello(CONTROL, 1, 0, 0, 9), said)
        sock.settimeout(0.2)
        for _ in range(300):
            check(crew, Plan(Kind.TRAIN, 0, 6, 9))  # newcomers are seen to in a step
            try:
                assert not sock.recv(1)
                break
            except ConnectionResetError:
                break
            except TimeoutError:
                continue
        else:
            pytest.fail("the connection was kept")


def test_two_hundred_at_once(crew):
    """They sit at the door; steps go on, and a newcomer with the secret still gets in."""
    strangers = [call(crew) for _ in range(200)]
    crew.start(0)  # a later attempt: waits in reserve
    end = time.monotonic() + 60
    while not crew.roster._reserves.get(0) and time.monotonic() < end:
        check(crew, Plan(Kind.TRAIN, 0, 7, 9))
    assert crew.roster._reserves[0]
    assert len(crew.roster._door._guests) <= door.PENDING
    for sock in strangers:
        sock.close()


def pair(key=b"k" * 32, other=b"k" * 32):
    """Two ends of a TCP connection as channels."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        left = socket.create_connection(listener.getsockname())
        right, _ = listener.accept()
    return wire.Channel(left, key, 0), wire.Channel(right, other, 1)


def test_frames_pass():
    left, right = pair()
    frame = wire.Frame(wire.Op.STEP, 7, (1, 2, 3, -4, 5, 0.1), b"body", 2)
    left.send(frame)
    assert right.receive() == frame
    left.close(), right.close()


@pytest.mark.parametrize("place", [0, 2, 57, 66, 77])
def test_a_changed_byte_ends_the_connection(place):
    left, right = pair()
    raw = bytearray()
    left.sock, real = _Recorder(raw), left.sock
    left.send(wire.Frame(wire.Op.STEP, 7, body=b"body"))
    raw[place] ^= 1
    real.sendall(raw)
    real.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionError):
        right.receive()
    real.close(), right.close()


def test_a_repeated_frame_ends_the_connection():
    left, right = pair()
    raw = bytearray()
    left.sock, real = _Recorder(raw), left.sock
    left.send(wire.Frame(wire.Op.STEP, 7))
    real.sendall(raw + raw)
    assert right.receive().generation == 7
    with pytest.raises(ConnectionError, match="signature"):
        right.receive()
    real.close(), right.close()


def test_a_frame_that_drips_in_has_its_time():
    left, right = socket.socketpair()
    channel = wire.Channel(right, b"key", 0, timeout=0.5)

    told = threading.Event()

    def drip():
        while not told.wait(0.05):
            left.send(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:  # were each byte given its time, a whole frame would come, and be refused
        with pytest.raises(TimeoutError, match="bytes are missing after"):
            channel.receive()
    finally:
        told.set()
        dripping.join()
    left.close()
    right.close()


def test_the_longest_frame_is_bounded():
    left, right = pair()
    head = wire.HEADER.pack(1, 0, 1, 0, 0, 0, 0, 0, 0.0, wire.BODY_LIMIT + 1)
    left.sock.sendall(head + bytes(wire.MAC))
    with pytest.raises(ConnectionError, match="exceeds the limit"):
        right.receive()
    left.close(), right.close()


def test_the_door_drops_the_oldest(monkeypatch):
    monkeypatch.setattr(door, "PENDING", 3)
    key = secret.new_secret()
    one = door.Door("127.0.0.1", key)
    strangers = []
    for _ in range(5):
        strangers.append(socket.create_connection(one.address))
        one.poll(0.2)
    assert len(one._guests) == 3
    found = []
    thread = threading.Thread(
        target=lambda: found.append(door.dial(one.address, key, Hello(CONTROL, 1), b"{}"))
    )
    thread.start()
    arrivals = []
    while not arrivals:
        arrivals = one.poll(0.2)
    thread.join()
    assert arrivals[0].introduction == b"{}"
    assert arrivals[0].key == found[0][1]
    for sock in [*strangers, found[0][0], arrivals[0].sock]:
        sock.close()
    one.close()


class _Recorder:
    """Takes what would be sent."""

    def __init__(self, into):
        self.into = into

    def sendall(self, data):
        self.into += data
