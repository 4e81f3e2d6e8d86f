# SPDX-License-Identifier: Apache-2.0
"""What every request passes: bounded headers and body, no other origin, strict headers on every answer."""

import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 16_384
MAX_HEADERS = 64
MAX_HEADER_BYTES = 8_192
LOCAL = (".local", ".lan", ".home.arpa", ".internal", ".localdomain")
"""Endings that no public name has (RFC 6762, RFC 8375, ICANN 2024 for .internal; .lan and .localdomain by custom)."""

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


class Guard:
    """Refuses what is too large or comes from elsewhere, before any route sees it."""

    def __init__(self, app: ASGIApp, names: Sequence[str] = ()) -> None:
        """names: further names of this device that a browser may ask for."""
        self._app, self._names = app, frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 # ASGI
        if scope["type"] != "http":
            return

        async def send_strict(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = _refusal(scope, self._names)
        if refusal is not None:
            await refusal(scope, receive, send_strict)
            return
        if scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send_strict)
            return
        body = await _read(receive)
        if body is None:
            await _error(413, "too_large")(scope, receive, send_strict)
            return
        await self._app(scope, _replay(body, receive), send_strict)


def _refusal(scope: Scope, names: frozenset[str]) -> JSONResponse | None:
    headers = Headers(scope=scope)
    size = sum(len(name) + len(value) for name, value in scope["headers"])
    if len(scope["headers"]) > MAX_HEADERS or size > MAX_HEADER_BYTES:
        return _error(431, "too_large")
    if not is_local(headers.get("host", ""), names):
        return _error(421, "elsewhere")
    elsewhere = headers.get("sec-fetch-site") in ("cross-site", "same-site")
    if elsewhere and headers.get("sec-fetch-mode") != "navigate":
        return _error(403, "elsewhere")
    if scope["method"] in ("GET", "HEAD"):
        return None
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        return _error(403, "elsewhere")
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BODY_BYTES:
        return _error(413, "too_large")
    return None


def is_local(host: str, names: frozenset[str] = frozenset()) -> bool:
    """Whether a browser that asks for this host means this device: an address, a name without dots, a local one, or one
    of `names`. A public name that somebody lets point here (DNS rebinding) would make their page of the same origin.
    """
    name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    name = name.lower().rstrip(".")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(LOCAL) or name in names
    return True


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None as soon as it is too long, however it says it is."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _error(status: int, word: str) -> JSONResponse:
    return JSONResponse({"error": word}, status, headers={"connection": "close"} if status == 413 else None)
