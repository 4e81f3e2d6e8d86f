# SPDX-License-Identifier: Apache-2.0
"""The page's routes that everybody may use. They only read; nothing comes from outside this device."""

import gzip
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from nigiwai.link.status.board import Board
from nigiwai.link.status.guard import Guard
from nigiwai.link.status.sessions import client_of
from nigiwai.link.status.staff import Staff

STATIC = Path(__file__).with_name("static")
MAX_STREAMS = 96
MOST_PER_CLIENT = 32
"""Streams of one address; a router may stand before a whole team."""
KEEP_ALIVE_S = 15.0

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_LEAST_GZIP_BYTES = 1_000
_PAGES = {"/": "index.html", "/sent": "sent.html", "/staff": "staff.html"}


def build_app(board: Board, language: str, staff: Staff) -> Starlette:
    """The page as an ASGI application; `language` is what it opens in where the browser asks for neither."""
    page = _Page(board, language)
    routes = [
        *(Route(path, page.html) for path in _PAGES),
        Route("/api/now", page.now),
        Route("/api/sent", page.sent),
        Route("/api/events", page.events),
        Route("/healthz", page.healthz),
        Route("/static/{name:path}", page.static),
        *staff.routes(),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, names=staff.page.names)])


class _Page:
    """The handlers, and how many streams are open."""

    def __init__(self, board: Board, language: str) -> None:
        self._board = board
        self._language = language
        self._streams: Counter[str] = Counter()
        self._html = {path: (STATIC / name).read_text(encoding="utf-8") for path, name in _PAGES.items()}
        found = [p for p in STATIC.rglob("*") if p.suffix in _TYPES]
        self._files = {p.relative_to(STATIC).as_posix(): p.read_bytes() for p in found}
        self._small = {
            name: gzip.compress(file, mtime=0) for name, file in self._files.items() if len(file) >= _LEAST_GZIP_BYTES
        }

    async def html(self, request: Request) -> Response:
        """A page in the language that was asked for; the first with the latest snapshot, so that its view is whole."""
        language = choose_language(
            request.query_params.get("lang", ""), request.headers.get("accept-language", ""), self._language
        )
        number, text = self._board.latest
        first = text.replace("<", "\\u003c") if number else "null"
        html = self._html[request.url.path].replace("{lang}", language).replace("{first}", first)
        return HTMLResponse(html)

    async def static(self, request: Request) -> Response:
        """A file of the page, made small once at the start. It holds nothing of anybody: its length tells nothing."""
        name = request.path_params["name"]
        if name not in self._files:
            return PlainTextResponse("not found\n", 404)
        headers = {"vary": "accept-encoding"}
        body = self._files[name]
        if name in self._small and "gzip" in request.headers.get("accept-encoding", ""):
            body = self._small[name]
            headers["content-encoding"] = "gzip"
        return Response(body, media_type=_TYPES[Path(name).suffix], headers=headers)

    async def sent(self, _request: Request) -> Response:
        """The messages last sent, as they were sent."""
        return JSONResponse(self._board.sent())

    async def now(self, _request: Request) -> Response:
        """The latest snapshot."""
        return Response(self._board.latest[1], media_type="application/json")

    async def healthz(self, _request: Request) -> Response:
        """Whether link's loop has shown anything."""
        ready = self._board.latest[0] > 0
        return JSONResponse({"ok": ready}, 200 if ready else 503)

    async def events(self, request: Request) -> Response:
        """The snapshots as they come, by server-sent events."""
        who = client_of(request.client.host if request.client else "")
        if self._streams.total() >= MAX_STREAMS or self._streams[who] >= MOST_PER_CLIENT:
            return PlainTextResponse("too many streams; try again later\n", 503)
        return StreamingResponse(self._stream(who), media_type="text/event-stream")

    async def _stream(self, who: str) -> AsyncIterator[str]:
        self._streams[who] += 1
        try:
            seen = 0
            yield "retry: 2000\n\n"
            while not self._board.closed:
                number, text = self._board.latest
                if number > seen:
                    seen = number
                    yield f"id: {number}\ndata: {text}\n\n"
                elif not await self._board.wait(seen, KEEP_ALIVE_S):
                    yield ": still here\n\n"
        finally:
            self._streams[who] -= 1
            self._streams += Counter()  # forgets who has none


def choose_language(asked: str, accepted: str, otherwise: str) -> str:
    """`ja` or `en`: what was asked for, else what the browser prefers of the two, else the settings'."""
    if asked in ("ja", "en"):
        return asked
    for part in accepted.lower().split(","):
        language = part.split(";")[0].strip()[:2]
        if language in ("ja", "en"):
            return language
    return otherwise
