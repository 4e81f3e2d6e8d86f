# SPDX-License-Identifier: Apache-2.0
"""A wire tap: a real TCP proxy that writes down every byte both ways, and a reader of the MQTT packets in them.

The reader follows the MQTT 5.0 standard, chapter 2 and 3; it shares no code with the device or its library.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 4, 8, 12, 14


class Tap:
    """Listens on a port of its own and passes everything on to `port`."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.up: list[bytes] = []
        self.down: list[bytes] = []
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets += [near, far]
                for one, other, written in ((near, far, self.up), (far, near, self.down)):
                    self._threads.append(threading.Thread(target=_pass_on, args=(one, other, written)))
                    self._threads[-1].start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for each in self._sockets:
            each.close()


def _pass_on(one: socket.socket, other: socket.socket, written: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        while chunk := one.recv(65_536):
            written.append(chunk)
            other.sendall(chunk)
        other.shutdown(socket.SHUT_WR)


@dataclass(frozen=True)
class Packet:
    """One control packet: its kind, the flags of its first byte, and what follows the length."""

    kind: int
    flags: int
    body: bytes


def packets(stream: bytes) -> Iterator[Packet]:
    """Every packet of a stream. Raises ValueError if a byte is left over."""
    at = 0
    while at < len(stream):
        first = stream[at]
        length, body = _length(stream, at + 1)
        if body + length > len(stream):
            raise ValueError("a packet is cut off")
        yield Packet(first >> 4, first & 0x0F, stream[body : body + length])
        at = body + length


def _length(stream: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer, and where it ends."""
    value, shift = 0, 0
    while True:
        byte = stream[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
        if shift > 21:
            raise ValueError("a length of more than four bytes")


@dataclass(frozen=True)
class Published:
    """A PUBLISH packet of MQTT 5."""

    topic: str
    payload: bytes
    properties: bytes
    qos: int
    retain: bool


def read_publish(packet: Packet) -> Published:
    """What a PUBLISH packet says."""
    end = 2 + int.from_bytes(packet.body[:2], "big")
    topic = packet.body[2:end].decode()
    qos = packet.flags >> 1 & 3
    end += 2 if qos else 0
    length, at = _length(packet.body, end)
    return Published(topic, packet.body[at + length :], packet.body[at : at + length], qos, bool(packet.flags & 1))
