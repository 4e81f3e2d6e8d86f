# SPDX-License-Identifier: Apache-2.0
"""A connection over TLS until both sides have agreed on their keys; from then on it is a Porter's.

A server that leaves this to asyncio waits a minute for each client that connects and says nothing, and for as many of
them as there are file descriptors. Here a handshake has GREET_S, and where too many are under way, the client with the
most of them loses its oldest.
"""

import asyncio
import ssl
import time
from typing import Any

from nigiwai.link.status.porter import Porter, make_room
from nigiwai.link.status.sessions import client_of

MOST_GREETING = 64
"""Handshakes under way at once. One takes two round trips, so that sixty phones may come in the same second."""

GREET_S = 8.0
"""A phone on a bad 3G network needs two seconds."""

FAREWELL_S = 3.0
"""How long a client may take to say goodbye."""


class Greeter(asyncio.Protocol):
    """A connection whose handshake is under way. `greeting` holds all of them."""

    def __init__(self, context: ssl.SSLContext, greeting: "set[Greeter]", **options: Any) -> None:
        self._context, self._greeting, self._options = context, greeting, options
        self._held = b""
        self._task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport
        self.begun_s = time.monotonic()
        self.who = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins the handshake; where too many are under way, one of the client with the most of them ends."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 # it is a stream
        transport.pause_reading()  # what the client says first is for the handshake
        self.transport = transport
        self.who = client_of((transport.get_extra_info("peername") or ("",))[0])
        self._greeting.add(self)
        standing = [g for g in self._greeting if not g.transport.is_closing()]
        if len(standing) > MOST_GREETING:
            make_room(standing)
        self._task = asyncio.get_running_loop().create_task(self._greet())

    def data_received(self, data: bytes) -> None:
        """Keeps what came together with the handshake's end."""
        self._held += data

    async def _greet(self) -> None:
        try:
            secure = await asyncio.get_running_loop().start_tls(
                self.transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=GREET_S,
                ssl_shutdown_timeout=FAREWELL_S,
            )
        except OSError:  # it speaks no TLS, took too long, or went away; ssl.SSLError is one
            self.transport.abort()
            return
        finally:
            self._greeting.discard(self)
        if secure is None or secure.is_closing():
            return
        porter = Porter(**self._options)
        secure.set_protocol(porter)
        porter.connection_made(secure)
        if self._held:
            porter.data_received(self._held)
