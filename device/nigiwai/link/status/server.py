# SPDX-License-Identifier: Apache-2.0
"""Serves the page from a thread of its own, as long as link runs."""

import asyncio
import errno
import logging
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn
from pydantic import SecretStr

from nigiwai.errors import PageError, SettingsError
from nigiwai.link.status.app import build_app
from nigiwai.link.status.board import Board
from nigiwai.link.status.desk import Desk
from nigiwai.link.status.greeter import Greeter
from nigiwai.link.status.porter import Porter
from nigiwai.link.status.sessions import PIN_PATTERN
from nigiwai.link.status.staff import Staff
from nigiwai.settings import Page, Settings, read_secret

log = logging.getLogger(__name__)

_STOP_S = 3.0


@contextmanager
def serving(settings: Settings, board: Board, desk: Desk) -> Iterator[str]:
    """Serves until the block ends; gives the page's address.

    Raises PageError where it cannot listen or the certificate is no good, SettingsError where the PIN is none.
    """
    staff = Staff(settings, _pin(settings.page), desk)
    context = _tls(settings.page)
    listening = listen(settings.page)
    config = uvicorn.Config(
        build_app(board, settings.device.language, staff),
        loop="asyncio",
        http=Porter if context is None else partial(Greeter, context, set()),  # type: ignore[arg-type] # as it is used
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        limit_concurrency=256,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=16_384,
    )
    server = _Server(config, board)
    thread = threading.Thread(target=server.serve_on, args=(listening,), name="page", daemon=True)
    thread.start()
    host, port = listening.getsockname()[:2]
    scheme = "http" if settings.page.cert_file is None else "https"
    log.info("page: %s://%s:%d/", scheme, host, port)
    try:
        yield f"{scheme}://{host}:{port}/"
    finally:
        board.close()
        server.should_exit = True
        thread.join(_STOP_S)
        listening.close()


class _Server(uvicorn.Server):
    """uvicorn in a thread: it leaves the signals alone and tells the board which loop it runs in."""

    def __init__(self, config: uvicorn.Config, board: Board) -> None:
        super().__init__(config)
        self._board = board

    def serve_on(self, listening: socket.socket) -> None:
        asyncio.run(self._serve_attached(listening))

    async def _serve_attached(self, listening: socket.socket) -> None:
        self._board.attach(asyncio.get_running_loop())
        await self._serve([listening])


def _pin(page: Page) -> SecretStr | None:
    """The staff's PIN. Raises SettingsError that does not show it."""
    if page.pin_file is None:
        return None
    pin = read_secret(page.pin_file, "page.pin_file")
    if not re.fullmatch(PIN_PATTERN, pin.get_secret_value()):
        raise SettingsError(f"page.pin_file = {str(page.pin_file)!r}: its first line must be 6 to 12 digits, 0-9")
    return pin


def _tls(page: Page) -> ssl.SSLContext | None:
    """How the page speaks TLS; None without a certificate. Raises PageError where that is no good."""
    if page.cert_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(page.cert_file, page.key_file)
    except (OSError, ssl.SSLError) as e:
        raise PageError(
            f"page.cert_file = {str(page.cert_file)!r}, page.key_file = {str(page.key_file)!r}: cannot be used"
            f" ({getattr(e, 'reason', None) or e.strerror or e}); they must exist and belong together"
        ) from None
    return context


def listen(page: Page) -> socket.socket:
    """A socket that listens where the settings say. Raises PageError that names the port and what to do."""
    family = socket.AF_INET6 if ":" in page.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((page.host, page.port))
        listening.listen(64)
        listening.setblocking(False)
    except OSError as e:
        listening.close()
        raise PageError(_explain(page, e)) from None
    return listening


def _explain(page: Page, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"page.port = {page.port!r}: taken by another program; stop that program or set another port"
    if error.errno == errno.EACCES:
        return f"page.port = {page.port!r}: ports below 1024 need a right that link does not have; set 1024 or higher"
    return (
        f"page.host = {page.host!r}: cannot listen there ({error.strerror or error});"
        ' use "127.0.0.1", "0.0.0.0" or an address of this machine'
    )
