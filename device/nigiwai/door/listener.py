# SPDX-License-Identifier: Apache-2.0
"""Link's end of the door: one UNIX seqpacket socket that eye connects to.

Rates are held by not reading: a connection whose allowance of a record kind is used up is left alone until the
allowance has grown again, so nothing is lost and the door's capacity stays what capacity.py states. A malformed record
ends its connection and is counted; eye connects again and sends what was not acknowledged.
"""

import contextlib
import fcntl
import logging
import os
import selectors
import socket
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from nigiwai.door.allowance import Allowance, fresh_allowances
from nigiwai.door.codec import FromEye, decode_from_eye, encode
from nigiwai.door.field import Order
from nigiwai.door.records import MAX_PACKET_BYTES, Ack, Hello
from nigiwai.door.tables import EventOver, TableTaken
from nigiwai.errors import DoorError

log = logging.getLogger(__name__)

Received = tuple[int, FromEye]


@dataclass
class _Connection:
    """One eye. `held` is the record that came before its kind's allowance had room for it."""

    number: int
    socket: socket.socket
    held: FromEye | None = None
    greeted: bool = False


class Listener:
    """Listens at `path`, and speaks with the eye that connected last; an older connection is closed.

    Raises DoorError if it cannot listen there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listening, self._lock = _listen(path)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._eye: _Connection | None = None
        self._allowances: dict[str, Allowance] = fresh_allowances()
        self._numbers = 0
        self.refused = 0

    @property
    def connected(self) -> bool:
        """Whether an eye is connected and has said who it is."""
        return self._eye is not None and self._eye.greeted

    def poll(self, timeout_s: float) -> list[Received]:
        """The records that have come, each with its connection's number, waiting up to `timeout_s` for the first."""
        received = self._take_held()
        for key, _ in self._selector.select(0 if received else self._patience(timeout_s)):
            if key.fileobj is self._listening:
                self._accept()
            elif self._eye is not None:
                received += self._drain(self._eye)
        return received

    def tell(self, order: Order | EventOver) -> bool:
        """Sends to the eye that is there; whether one is."""
        eye = self._eye
        if eye is None or not eye.greeted:
            return False
        self.send(eye.number, order)
        return self._eye is eye

    def send(self, connection: int, record: Ack | TableTaken | EventOver | Order) -> None:
        """Sends to that connection if it still stands; eye asks again for what it misses."""
        eye = self._eye
        if eye is None or eye.number != connection:
            return
        try:
            eye.socket.send(encode(record))
        except BlockingIOError:
            self._end("it does not read what it is sent")
        except OSError:
            self._end("it went away")

    def close(self) -> None:
        """Ends the connection and removes the socket's file."""
        if self._eye is not None:
            self._end("link stops")
        self._selector.close()
        self._listening.close()
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._lock)

    def _accept(self) -> None:
        accepted, _ = self._listening.accept()
        accepted.setblocking(False)
        if self._eye is not None:
            self._end("another eye connected")
        self._numbers += 1
        self._eye = _Connection(self._numbers, accepted)
        self._selector.register(accepted, selectors.EVENT_READ)

    def _drain(self, eye: _Connection) -> list[Received]:
        received: deque[Received] = deque()
        while self._eye is eye and eye.held is None:
            record = self._receive(eye)
            if record is None:
                break
            eye.held = record
            received.extend(self._take_held())
        return list(received)

    def _receive(self, eye: _Connection) -> FromEye | None:
        try:
            packet = eye.socket.recv(MAX_PACKET_BYTES + 1)
            if not packet:
                self._end("it went away")
                return None
            record = decode_from_eye(packet)
            if not eye.greeted and not isinstance(record, Hello):
                raise DoorError(f"a {record.kind} before its hello")
        except BlockingIOError:
            return None
        except OSError:
            self._end("it went away")
            return None
        except DoorError as e:
            self.refused += 1
            self._end(str(e))
            return None
        eye.greeted = True
        return record

    def _take_held(self) -> list[Received]:
        """The held record, once its allowance has room; the connection is read again from then on."""
        eye = self._eye
        if eye is None or eye.held is None:
            return []
        if not self._allowances[eye.held.kind].take(time.monotonic()):
            self._listen_to(eye, reading=False)
            return []
        record, eye.held = eye.held, None
        self._listen_to(eye, reading=True)
        return [(eye.number, record)]

    def _listen_to(self, eye: _Connection, *, reading: bool) -> None:
        registered = eye.socket in self._selector.get_map()
        if reading and not registered:
            self._selector.register(eye.socket, selectors.EVENT_READ)
        if not reading and registered:
            self._selector.unregister(eye.socket)

    def _patience(self, timeout_s: float) -> float:
        eye = self._eye
        if eye is None or eye.held is None:
            return timeout_s
        return min(timeout_s, self._allowances[eye.held.kind].wait_s(time.monotonic()))

    def _end(self, why: str) -> None:
        eye, self._eye = self._eye, None
        if eye is None:
            return
        log.warning("door: connection to eye ended: %s", why)
        self._listen_to(eye, reading=False)
        eye.socket.close()


def _locked(path: Path) -> int:
    """A descriptor that holds the lock beside the socket; the kernel frees it when this process dies."""
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise DoorError(f"door.socket = {str(path)!r}: another link listens there; stop it first") from None
    return lock


def _listen(path: Path) -> tuple[socket.socket, int]:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _locked(path)
        path.unlink(missing_ok=True)  # left over from a link that was killed
        listening.bind(os.fspath(path))
        path.chmod(0o660)
        listening.listen(2)
        listening.setblocking(False)
    except DoorError:
        listening.close()
        raise
    except OSError as e:
        listening.close()
        raise DoorError(
            f"door.socket = {str(path)!r}: cannot listen there ({e.strerror or e}); choose a folder that link may"
            " write to and a path of at most 107 bytes"
        ) from None
    return listening, lock
