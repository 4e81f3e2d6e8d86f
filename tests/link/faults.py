# SPDX-License-Identifier: Apache-2.0
"""A bad network: a real TCP proxy that delays, stalls, cuts within a packet, or loses one direction."""

import contextlib
import random
import socket
import threading
import time
from enum import StrEnum


class Fault(StrEnum):
    """What becomes of one connection."""

    NONE = "none"
    SLOW = "slow"
    """A few bytes at a time, each piece late."""
    CUT = "cut"
    """Reset in mid-packet after a random number of bytes from either side."""
    DEAF = "deaf"
    """What the broker answers is lost from some moment on; what is sent still arrives: records come twice."""
    HOLE = "hole"
    """Both directions are swallowed from some moment on, and nobody is told."""


class BadNetwork:
    """Listens on a port of its own; each connection to `port` gets the next fault, and may be ended at any time."""

    def __init__(self, port: int, seed: int) -> None:
        self._to = port
        self._chance = random.Random(seed)  # noqa: S311
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.connections: dict[Fault, int] = dict.fromkeys(Fault, 0)
        self.calm = False
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                fault = Fault.NONE if self.calm else self._chance.choice(list(Fault)[1:])
                self.connections[fault] += 1
                try:
                    far = socket.create_connection(("127.0.0.1", self._to))
                except OSError:
                    near.close()
                    continue
                self._sockets += [near, far]
                for one, other, down in ((near, far, False), (far, near, True)):
                    limit = self._chance.randint(150, 6_000)
                    self._threads.append(
                        threading.Thread(target=self._pass_on, args=(one, other, fault, limit), kwargs={"down": down})
                    )
                    self._threads[-1].start()

    def _pass_on(self, one: socket.socket, other: socket.socket, fault: Fault, limit: int, *, down: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while chunk := one.recv(64 if fault is Fault.SLOW else 65_536):
                if fault is Fault.SLOW:
                    time.sleep(0.005)
                if passed + len(chunk) > limit and fault is Fault.CUT:
                    other.sendall(chunk[: limit - passed])
                    _reset(one, other)
                    return
                passed += len(chunk)
                lost = passed > limit and (fault is Fault.HOLE or (fault is Fault.DEAF and down))
                if not lost:
                    other.sendall(chunk)
            other.shutdown(socket.SHUT_WR)

    def end_connections(self) -> None:
        """Every connection is reset, as when an access point is switched off."""
        ended, self._sockets = self._sockets, []
        _reset(*ended)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.end_connections()
        for thread in self._threads:
            thread.join(10)


def _reset(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            end.shutdown(socket.SHUT_RDWR)
        end.close()
