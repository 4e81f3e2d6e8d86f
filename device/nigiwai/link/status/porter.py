# SPDX-License-Identifier: Apache-2.0
"""One visitor cannot take the page away from the others: connections are shared out, and idlers are shown the door.

uvicorn answers 503 to everybody once too many connections stand, and waits for ever for a request that has begun. So
before that many stand, the client with the most of them loses its oldest; and a request has WHOLE_S to arrive.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from nigiwai.link.status.sessions import client_of

MOST = 192
"""Connections that may stand; uvicorn itself refuses from 256 on."""

WHOLE_S = 10.0
LOOK_S = 2.0


class Porter(H11Protocol):
    """A connection to the page."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.begun_s = time.monotonic()
        self.who = ""
        self._since_s: float | None = self.begun_s
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Takes the connection; where too many stand, one of the client with the most of them ends."""
        super().connection_made(transport)
        self.who = client_of(self.client[0] if self.client else "")
        self._timer = self.loop.call_later(LOOK_S, self._look)
        standing = [c for c in self.connections if isinstance(c, Porter) and not c.transport.is_closing()]
        if len(standing) > MOST:
            make_room(standing)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets it."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Notes when a request begins and when it is whole."""
        if self._since_s is None:
            self._since_s = time.monotonic()
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._since_s = None

    def _look(self) -> None:
        """Ends a connection whose request does not come to its end."""
        if self._since_s is not None and time.monotonic() - self._since_s > WHOLE_S:
            self.transport.abort()
            return
        self._timer = self.loop.call_later(LOOK_S, self._look)


class Standing(Protocol):
    """A connection of somebody's."""

    who: str
    begun_s: float
    transport: asyncio.Transport


def make_room(standing: Sequence[Standing]) -> None:
    """Ends the oldest connection of the client with the most of them."""
    most = Counter(c.who for c in standing).most_common(1)[0][0]
    min((c for c in standing if c.who == most), key=lambda c: c.begun_s).transport.abort()
