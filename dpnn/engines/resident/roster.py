"""Driver. Who is here: the tasks of the current run of the job, and those who wait for a place.

A task is known by (run, place, attempt). The first to come has the place; a later attempt, such as
a speculative copy, waits in reserve and steps in if the first one dies. Tasks of an older run are
told to leave.
"""

from __future__ import annotations

import json
import queue
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dpnn.engines.resident.door import Arrival, Door
from dpnn.engines.resident.secret import CONTROL
from dpnn.engines.resident.wire import Channel, Frame, Op, look_out

RESERVES = 4  # that may wait for one place
STALL = 10.0  # seconds that a frame may hang half-way


class Lost(ConnectionError):
    """The generation can't go on: a task or a link is gone. The step begins again."""


@dataclass(eq=False)
class Seat:
    """A task that has joined, and what it said of itself."""

    channel: Channel
    place: int
    attempt: int
    address: str
    key: str
    host: str
    pid: int
    shards: list[int]
    size: int
    tails: list[int]
    shares: bool = True

    @classmethod
    def of(cls, arrival: Arrival) -> Seat:
        said: dict[str, Any] = json.loads(arrival.introduction)
        for numbers in (said["shards"], said["tails"], [said["size"]]):
            if not all(type(n) is int and 0 <= n < 1 << 40 for n in numbers):
                raise ValueError(f"a task speaks of {numbers}")
        return cls(
            Channel(arrival.sock, arrival.key, 0, STALL),
            arrival.hello.place,
            arrival.hello.attempt,
            arrival.sock.getpeername()[0],
            said["key"],
            said["host"],
            said["pid"],
            said["shards"],
            said["size"],
            said["tails"],
            shares=bool(said["key"]),
        )


@dataclass
class Roster:
    """Listens in a thread of its own; everything else happens in the caller's thread.

    bind, public  the address to listen on, and the one that tasks are told
    """

    bind: str
    secret: bytes
    public: str = ""
    run: int = 0
    places: int = 0
    seats: dict[int, Seat] = field(default_factory=dict)
    links: dict[tuple[int, int], socket.socket] = field(default_factory=dict)
    lost: int = 0  # how often a place fell vacant

    def __post_init__(self) -> None:
        self._reserves: dict[int, list[Seat]] = {}
        self._channels: dict[int, Seat] = {}  # by file number, seats and reserves
        self._arrivals: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
        self._bell, self._button = socket.socketpair()
        self._bell.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)
        self._door = Door(self.bind, self.secret)
        self.address = self.public or self._door.address[0], self._door.address[1]
        self._thread = threading.Thread(target=self._listen, name="dpnn-door", daemon=True)
        self._thread.start()

    @property
    def complete(self) -> bool:
        return 0 < self.places == len(self.seats)

    def begin(self, run: int, places: int) -> None:
        """A new run of the job: whoever is of an older one is told to leave."""
        self.dismiss()
        self.run, self.places = run, places

    def wake(self) -> None:
        """End a wait in `frames`, from any thread."""
        with suppress(OSError):  # closed meanwhile
            self._button.send(b"!")

    def frames(self, timeout: float, spin: float = 0.0) -> Iterator[tuple[Seat, Frame]]:
        """What has come within the timeout. Lets newcomers in, notices who is gone.

        spin  seconds that the core is kept awake for it: see `wire.look_out`
        """
        if spin:
            look_out(lambda: self._poll.poll(0), spin)
        for file, _ in self._poll.poll(timeout * 1000):
            if file == self._bell.fileno():
                self._welcome()
                continue
            seat = self._channels.get(file)
            if seat is None:
                continue
            try:
                frame = seat.channel.receive()
            except OSError:
                self.lose(seat)
                continue
            yield seat, frame

    def lose(self, seat: Seat) -> None:
        """Close the connection; a reserve takes the place."""
        if self._channels.pop(seat.channel.sock.fileno(), None) is None:
            return
        self._poll.unregister(seat.channel.sock)
        seat.channel.close()
        reserves = self._reserves.get(seat.place, [])
        if seat in reserves:
            reserves.remove(seat)
        elif self.seats.get(seat.place) is seat:
            self.lost += 1
            del self.seats[seat.place]
            if reserves:
                self.seats[seat.place] = reserves.pop(0)

    def send(self, seat: Seat, frame: Frame) -> None:
        try:
            seat.channel.send(frame)
        except OSError as error:
            self.lose(seat)
            raise Lost(f"task {seat.place} on {seat.host} is gone") from error

    def dismiss(self) -> None:
        """Everyone is told to leave."""
        for seat in list(self._channels.values()):
            with suppress(OSError):  # gone already
                seat.channel.send(Frame(Op.STOP))
            self._poll.unregister(seat.channel.sock)
            seat.channel.close()
        self._channels.clear()
        self.seats.clear()
        self._reserves.clear()
        self.drop_links()

    def drop_links(self) -> None:
        for sock in self.links.values():
            sock.close()
        self.links.clear()

    def close(self) -> None:
        self.dismiss()
        self._door.ring()
        self._thread.join(5.0)
        self._welcome()
        self.dismiss()
        self._poll = select.poll()
        self._bell.close()
        self._button.close()

    def _listen(self) -> None:
        """Thread. Strangers are dealt with here and never hold up a step."""
        while not self._door.closed:
            for arrival in self._door.poll(1.0):
                self._arrivals.put(arrival)
                self.wake()
        self._door.close()

    def _welcome(self) -> None:
        with suppress(OSError):  # nothing there, or closed
            self._bell.recv(4096)
        while not self._arrivals.empty():
            arrival = self._arrivals.get()
            hello = arrival.hello
            if hello.run != self.run or hello.place >= self.places:
                self._refuse(arrival)
            elif hello.role == CONTROL:
                self._seat(arrival)
            else:
                self.links[hello.generation, hello.place] = arrival.sock

    def _refuse(self, arrival: Arrival) -> None:
        if arrival.hello.role == CONTROL:
            with suppress(OSError):  # gone already
                Channel(arrival.sock, arrival.key, 0, 1.0).send(Frame(Op.STOP))
        arrival.sock.close()

    def _seat(self, arrival: Arrival) -> None:
        try:
            seat = Seat.of(arrival)
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            arrival.sock.close()
            return
        present = self.seats.get(seat.place)
        reserves = self._reserves.setdefault(seat.place, [])
        if present is not None and seat.attempt <= present.attempt:
            self._refuse(arrival)
            return
        if present is None:
            self.seats[seat.place] = seat
        elif len(reserves) < RESERVES:
            reserves.append(seat)
        else:
            arrival.sock.close()
            return
        self._channels[seat.channel.sock.fileno()] = seat
        self._poll.register(seat.channel.sock, select.POLLIN)
