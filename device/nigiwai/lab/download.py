# SPDX-License-Identifier: Apache-2.0
"""Fetches one file over HTTPS, bounded in size and time. What it holds is the caller's to check by its hash."""

import http.client
import ipaddress
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from email.message import Message
from typing import IO

from nigiwai.errors import ModelError

SIZE_MAX_BYTES = 64 * 2**20
"""Ten times the largest detector that a board of this class can run."""

_SILENCE_MAX_S = 30.0
"""How long the other side may say nothing."""

_TIME_MAX_S = 900.0
"""For everything: 64 MiB at 600 kbit/s, the slowest mobile uplink worth waiting for."""

_CHUNK_BYTES = 64 * 1024


def is_address(text: str) -> bool:
    """True for what is an address to fetch rather than a file's path."""
    return text.lower().startswith(("http://", "https://"))


def fetch(url: str, *, size_max: int = SIZE_MAX_BYTES, clock: Callable[[], float] = time.monotonic) -> bytes:
    """The bytes behind an https address; http is taken only from this computer itself.

    Raises ModelError where the address is refused, cannot be reached, answers with an error, is cut off, or gives more
    than `size_max` bytes.
    """
    _demand_safe(url)
    try:
        with urllib.request.build_opener(_SafeRedirects).open(url, timeout=_SILENCE_MAX_S) as answer:
            return _read(url, answer, size_max, clock() + _TIME_MAX_S, clock)
    except urllib.error.HTTPError as e:
        e.close()
        raise ModelError(f"{url}: the server answers {e.code} {e.reason}; check the address, {_INSTEAD}") from None
    except urllib.error.URLError as e:
        raise ModelError(f"{url}: {_meaning(e.reason)}; {_INSTEAD}") from None
    except (OSError, http.client.HTTPException) as e:
        raise ModelError(f"{url}: {_meaning(e)}; {_INSTEAD}") from None


_INSTEAD = "or fetch the file elsewhere and give it with --from FILE"


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection only to where the first address could have led."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        _demand_safe(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _demand_safe(url: str) -> None:
    """Raises ModelError for an address that is neither https nor this computer's own."""
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise ModelError(f"{url}: not an address; write https://SERVER/PATH") from None
    if not host or parts.scheme not in ("https", "http"):
        raise ModelError(f"{url}: not an address that can be fetched; write https://SERVER/PATH")
    if parts.scheme == "http" and not _is_own(host):
        raise ModelError(f"{url}: http is not private; write https://, {_INSTEAD}")


def _is_own(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(url: str, answer: http.client.HTTPResponse, size_max: int, until: float, clock: Callable[[], float]) -> bytes:
    """The whole answer. Raises ModelError where it is too long, too slow or shorter than announced."""
    announced = answer.length
    data = bytearray()
    while chunk := answer.read(_CHUNK_BYTES):
        data += chunk
        if max(len(data), announced or 0) > size_max:
            raise ModelError(f"{url}: more than {size_max:,} bytes, which is no detector for this board; not taken")
        if clock() > until:
            raise ModelError(f"{url}: not here after {_TIME_MAX_S / 60:.0f} minutes; try again later, {_INSTEAD}")
    if announced is not None and len(data) < announced:
        raise ModelError(f"{url}: cut off after {len(data):,} of {announced:,} bytes; try again")
    return bytes(data)


def _meaning(reason: object) -> str:
    """What a failed connection means for the operator."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate is not trusted here ({reason.verify_message}); check the clock and the address"
        )
    if isinstance(reason, TimeoutError):
        return f"no answer within {_SILENCE_MAX_S:.0f} s; check the network"
    if isinstance(reason, http.client.IncompleteRead):
        return "the connection was cut off; try again"
    detail = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return f"cannot be reached ({detail}); check that this device has a way to the internet"
