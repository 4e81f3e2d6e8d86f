# SPDX-License-Identifier: Apache-2.0
"""The enrolment desk: signs the requests of devices that show a good one-time code, or their own valid certificate.

    POST /enrol    {"device", "request", "proof"}   a new device; the proof needs the code
    POST /renew    {"device", "request"}            over TLS with the certificate that is to be followed

Both answer {"certificate": PEM} or {"error": words}. HTTPS only, with a certificate of the site's own CA, so that a
device knows whom it talks to. It runs at headquarters while devices are put up, and for renewals.
"""

import json
import logging
import re
import ssl
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from nigiwai.errors import EnrolmentError
from nigiwai.site import giving, work
from nigiwai.site.folder import SiteFolder, utc_now

log = logging.getLogger(__name__)

_LARGEST = 8_192
_PATIENCE_S = 20
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


class Desk(ThreadingHTTPServer):
    """The desk of one site."""

    daemon_threads = True

    def __init__(self, folder: SiteFolder, address: tuple[str, int]) -> None:
        self.folder = folder
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(folder.broker / "server.crt", folder.broker / "server.key")
        context.load_verify_locations(folder.ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
        self._context = context
        super().__init__(address, _Caller)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Greets the caller in its own thread, so that one who is silent holds up nobody."""
        request.settimeout(_PATIENCE_S)
        try:
            with self._context.wrap_socket(request, server_side=True) as wrapped:
                super().finish_request(wrapped, client_address)
        except (OSError, ssl.SSLError) as e:
            log.info("a caller went away: %s", type(e).__name__)


class _Caller(BaseHTTPRequestHandler):
    """One request at the desk."""

    server: Desk

    def do_POST(self) -> None:
        """Answers /enrol and /renew."""
        try:
            asked = self._body()
            device, request = asked["device"], asked["request"].encode()
            if not _NAME.fullmatch(device):
                raise EnrolmentError("device: a-z, 0-9, - and _, at most 32 characters")
            if self.path == "/enrol":
                certificate = self._enrol(device, request, asked["proof"])
            elif self.path == "/renew":
                certificate = self._renew(device, request)
            else:
                return self._answer(HTTPStatus.NOT_FOUND, {"error": "ask /enrol or /renew"})
        except (ValueError, KeyError, AttributeError, TypeError):
            return self._answer(HTTPStatus.BAD_REQUEST, {"error": "not a request of nigiwai enrol"})
        except EnrolmentError as e:
            log.warning("refused: %s", e)
            return self._answer(HTTPStatus.FORBIDDEN, {"error": str(e)})
        log.info("signed: %s", device)
        return self._answer(HTTPStatus.OK, {"certificate": certificate})

    def _enrol(self, device: str, request: bytes, shown: str) -> str:
        folder = self.server.folder
        with folder.register() as register:
            now = utc_now()
            giving.redeem(register, device, request, shown, now)
            certificate = giving.sign(folder, register, device, request, now)
        if (folder.device(device) / "pin").exists():
            log.info("%s: print this label, it has the device's own fingerprint", work.make_label(folder, device))
        return certificate.public_bytes(Encoding.PEM).decode()

    def _renew(self, device: str, request: bytes) -> str:
        folder = self.server.folder
        shown: Any = self.connection.getpeercert()  # an SSLSocket, see finish_request
        if not shown:
            raise EnrolmentError(f"{device}: a renewal needs the certificate that is to be followed")
        names = [value for part in shown["subject"] for key, value in part if key == "commonName"]
        if names != [f"{folder.site().name}/{device}"]:
            raise EnrolmentError(f"{device}: the certificate shown is that of {names[0] if names else 'nobody'}")
        with folder.register() as register:
            if giving.revoked_serial(register, int(shown["serialNumber"], 16)):
                raise EnrolmentError(f"{device}: the certificate shown was revoked")
            return giving.sign(folder, register, device, request, utc_now()).public_bytes(Encoding.PEM).decode()

    def _body(self) -> dict[str, Any]:
        length = int(self.headers.get("Content-Length", "0"))
        if not 0 < length <= _LARGEST:
            raise ValueError("no body, or too long")
        body = json.loads(self.rfile.read(length))
        if not isinstance(body, dict):
            raise ValueError("not a table")
        return body

    def _answer(self, status: HTTPStatus, what: dict[str, str]) -> None:
        data = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's own name
        """Callers' addresses are not written down; what was signed or refused is, above."""


def serve(folder: Path, host: str, stop: threading.Event) -> None:
    """Keeps the desk open until asked to stop. Raises EnrolmentError where it cannot be opened."""
    site_folder = SiteFolder(folder)
    port = site_folder.site().desk_port
    try:
        desk = Desk(site_folder, (host, port))
    except (OSError, ssl.SSLError) as e:
        raise EnrolmentError(f"the desk cannot be opened on {host}:{port} ({e})") from None
    serving = threading.Thread(target=desk.serve_forever, name="desk", daemon=True)
    serving.start()
    log.info("the desk is open on port %d; Ctrl-C closes it", port)
    stop.wait()
    desk.shutdown()
    desk.server_close()
