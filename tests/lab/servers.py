# SPDX-License-Identifier: Apache-2.0
"""Small web servers on this computer, for what fetches."""

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    """Gives the files of `directory` and logs nothing."""

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def serving(
    handler: Callable[..., http.server.BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serves on a free port of 127.0.0.1 and yields the address; ended and joined afterwards."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
