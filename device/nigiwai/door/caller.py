# SPDX-License-Identifier: Apache-2.0
"""Eye's end of the door: keeps what was counted until link has it, and connects again whenever link comes back.

Never blocks and never raises for a link that is away: eye goes on counting. Call `update` often, at least every second.
"""

import logging
import os
import select
import socket
from pathlib import Path

from nigiwai.door.buffer import BinBuffer
from nigiwai.door.codec import decode_to_eye, encode
from nigiwai.door.field import Order, Reported
from nigiwai.door.records import MAX_PACKET_BYTES, Ack, Bin, Hello, Record, Vitals
from nigiwai.door.tables import EventOver, TableTaken, TraitTable
from nigiwai.door.zones import ZoneStats
from nigiwai.errors import DoorError

log = logging.getLogger(__name__)

RETRY_S = 0.5
"""Between attempts to connect; link starts within seconds, and a failed attempt costs microseconds."""

MOST_TABLES = 24
"""Released tables kept for link: three hours of both directions at the least, and what a restart can carry over."""

_MOST_ORDERS = 256
"""Orders kept until eye takes them, which it does with every frame."""


class Caller:
    """Eye's connection to link at `path`. `hello` introduces this run on every new connection."""

    def __init__(self, path: Path, hello: Hello, buffer: BinBuffer | None = None) -> None:
        self._path = path
        self._hello = hello
        self._buffer = buffer or BinBuffer()
        self._socket: socket.socket | None = None
        self._retry_at_s = 0.0
        self._was_away = False
        self._orders: list[Order | EventOver] = []
        self._tables: list[TraitTable] = []
        self._under_way: set[tuple[str, int]] = set()

    @property
    def run(self) -> str:
        """The id of this run, which its bins carry."""
        return self._hello.run

    @property
    def unacknowledged(self) -> int:
        """Bins that link has not committed yet."""
        return len(self._buffer)

    @property
    def lost(self) -> int:
        """Bins that a full buffer had to drop; 0 unless something is badly wrong."""
        return self._buffer.lost

    def add(self, counted: Bin) -> None:
        """Keeps a closed bin until link has committed it."""
        self._buffer.add(counted)

    @property
    def tables(self) -> tuple[TraitTable, ...]:
        """The tables that link has not committed yet, oldest first."""
        return tuple(self._tables)

    def add_table(self, table: TraitTable) -> None:
        """Keeps a released table until link has committed it; beyond MOST_TABLES the oldest is given up."""
        self._tables = [*self._tables, table][-MOST_TABLES:]

    def update(self, now_s: float) -> None:
        """Connects if needed, reads acknowledgements, sends what is due. `now_s` is any clock that does not jump."""
        if self._socket is None and now_s >= self._retry_at_s:
            self._retry_at_s = now_s + RETRY_S
            self._connect()
        self._read_acks()
        self._send_bins()
        self._send_tables()

    def tell(self, news: Vitals | ZoneStats | Reported) -> None:
        """Sends it if link is there; it is not kept, the next one says more."""
        self._send(news)

    def take_orders(self) -> list[Order | EventOver]:
        """What link has asked since the last call, oldest first."""
        taken, self._orders = self._orders, []
        return taken

    def wait(self, timeout_s: float) -> None:
        """Returns when link has said something, at the latest after `timeout_s`."""
        if self._socket is not None:
            select.select([self._socket], [], [], timeout_s)

    def close(self) -> None:
        """Ends the connection."""
        self._hang_up()

    def _connect(self) -> None:
        calling = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        calling.setblocking(False)
        try:
            calling.connect(os.fspath(self._path))
        except OSError as e:
            calling.close()
            if not self._was_away:
                log.warning("door: link is away (%s); counting goes on and is kept", e.strerror or e)
            self._was_away = True
            return
        self._socket = calling
        self._buffer.unsend()
        if self._send(self._hello):
            log.info("door: connected to link")
            self._was_away = False

    def _read_acks(self) -> None:
        while self._socket is not None:
            try:
                packet = self._socket.recv(MAX_PACKET_BYTES + 1)
                if not packet:
                    self._hang_up()
                    return
                heard = decode_to_eye(packet)
            except BlockingIOError:
                return
            except (OSError, DoorError):
                self._hang_up()
                return
            if isinstance(heard, Ack):
                self._buffer.acknowledge(heard.run, heard.sequence)
            elif isinstance(heard, TableTaken):
                self._tables = [t for t in self._tables if (t.run, t.number) != (heard.run, heard.number)]
            elif len(self._orders) < _MOST_ORDERS:
                self._orders.append(heard)

    def _send_bins(self) -> None:
        if self._socket is None:
            return
        while (ready := self._buffer.next_unsent()) is not None and self._send(ready):
            self._buffer.sent(ready)

    def _send_tables(self) -> None:
        for table in self._tables:
            key = (table.run, table.number)
            if key not in self._under_way and self._send(table):
                self._under_way.add(key)

    def _send(self, record: Record) -> bool:
        """Whether it went out. A full socket means link is slow: later, then."""
        if self._socket is None:
            return False
        try:
            self._socket.send(encode(record))
        except BlockingIOError:
            return False
        except OSError:
            self._hang_up()
            return False
        return True

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._buffer.unsend()
            self._under_way.clear()
