# SPDX-License-Identifier: Apache-2.0
"""The routes that need the PIN. Every change needs a session, its CSRF token and JSON from this very page."""

import asyncio
import hmac
import ipaddress
import logging
import re
import secrets
import sys
import time
from dataclasses import dataclass
from json import JSONDecodeError
from typing import Any

from pydantic import SecretStr, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nigiwai.enrol.trouble import Trouble
from nigiwai.link.notice.words import assessment
from nigiwai.link.status import pages
from nigiwai.link.status.deeds import READS, STAFF, ReadDay, ReadNotice, SignIn
from nigiwai.link.status.desk import Answer, Desk
from nigiwai.link.status.sessions import HOUR_S, PIN_PATTERN, Opened, Session, Sessions, client_of, csrf_matches
from nigiwai.settings import Gate, Page, Settings, Zone

log = logging.getLogger(__name__)

COOKIE = "nigiwai_staff"
MARK = "nigiwai_phone"
MARK_S = 30 * 86_400
POSTER_S = 60.0
_STATUS = {
    "busy": 503,
    "signed_out": 401,
    "wrong_pin": 401,
    "wait": 429,
    "csrf": 403,
    "insecure": 403,
    "no_pin": 403,
    "malformed": 400,
    "conflict": 409,
}


@dataclass
class Staff:
    """The handlers. `pin` is None where none is set: then nothing can be changed on the page at all."""

    settings: Settings
    pin: SecretStr | None
    desk: Desk

    def __post_init__(self) -> None:
        self.page = self.settings.page
        self._printing = asyncio.Lock()
        self._sessions = Sessions(self.pin, mark_secret(self.page))
        self._trying: set[str] = set()

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/api/staff", self.standing),
            Route("/api/staff/sign-in", self.sign_in, methods=["POST"]),
            Route("/api/staff/sign-out", self.sign_out, methods=["POST"]),
            Route("/api/staff/do", self.do, methods=["POST"]),
            Route("/api/staff/day.csv", self.day_csv),
            Route("/api/staff/poster-{size}.pdf", self.poster),
            Route("/api/staff/assessment.txt", self.assessment),
            Route("/api/staff/{read}", self.read),
        ]

    async def standing(self, request: Request) -> Response:
        """Whether somebody is signed in, or may."""
        session = self._session(request)
        body = {"signed_in": session is not None, "csrf": session.csrf if session else "", "error": ""}
        if session is not None:
            return JSONResponse(body)
        body["error"] = self._why_not(request)
        answer = JSONResponse(body)
        if not body["error"]:
            mark = self._sessions.meet(_network(request), request.cookies.get(MARK, ""), time.monotonic())
            if mark is not None:
                _set_cookie(answer, request, MARK, mark, int(HOUR_S))
        return answer

    async def sign_in(self, request: Request) -> Response:
        """Opens a session with the PIN."""
        if why := self._why_not(request):
            return refuse(why)
        typed = await _json(request)
        pin = typed.get("pin") if typed else None
        if not isinstance(pin, str) or not re.fullmatch(PIN_PATTERN, pin):
            return refuse("malformed")
        mark = request.cookies.get(MARK, "")
        # Each client has one attempt under way at most, so that nobody can queue in front of the others.
        client = self._sessions.key_of(_network(request), mark, time.monotonic())
        wait_s = self._sessions.wait_s(_network(request), mark, time.monotonic())
        if wait_s or client in self._trying:
            return refuse("wait", wait_s=round(max(1.0, wait_s), 1))
        self._trying.add(client)
        try:
            await asyncio.sleep(self._sessions.slow_s(mark, time.monotonic()))
            opened = self._sessions.try_pin(pin, _network(request), mark, time.monotonic())
        finally:
            self._trying.discard(client)
        if not isinstance(opened, Opened):
            if opened.wrong:
                log.warning("%s: somebody typed a wrong PIN on the page", Trouble.PIN)
                await self.desk.ask(SignIn(outcome="wrong"), "-")
            return refuse("wrong_pin" if opened.wrong else "wait", wait_s=round(opened.wait_s, 1))
        session = self._sessions.find(opened.cookie, time.monotonic())
        await self.desk.ask(SignIn(outcome="ok"), session.who if session else "-")
        answer = JSONResponse({"signed_in": True, "csrf": session.csrf if session else ""})
        _set_cookie(answer, request, COOKIE, opened.cookie, None)
        _set_cookie(answer, request, MARK, opened.mark, MARK_S)
        return answer

    async def sign_out(self, request: Request) -> Response:
        """Ends the session."""
        session = self._session(request)
        if session is None or not csrf_matches(session, request.headers.get("x-nigiwai-csrf", "")):
            return refuse("signed_out" if session is None else "csrf")
        self._sessions.close(request.cookies.get(COOKIE, ""))
        answer = JSONResponse({"signed_in": False})
        answer.delete_cookie(COOKIE)
        return answer

    async def do(self, request: Request) -> Response:
        """Something that changes or is noted."""
        session = self._session(request)
        if session is None:
            return refuse("signed_out")
        if not csrf_matches(session, request.headers.get("x-nigiwai-csrf", "")):
            return refuse("csrf")
        asked = await _json(request)
        try:
            deed = STAFF.validate_python(asked, strict=False)
        except ValidationError as e:
            where = sorted({".".join(str(p) for p in err["loc"][1:]) for err in e.errors()})
            return refuse("malformed", fields=where[:4])
        return _answered(await self.desk.ask(deed, session.who))

    async def read(self, request: Request) -> Response:
        """Something that only staff may see."""
        session = self._session(request)
        if session is None:
            return refuse("signed_out")
        kind = READS.get(request.path_params["read"])
        if kind is None:
            return JSONResponse({"error": "malformed"}, 404)
        return _answered(await self.desk.ask(kind(), session.who))

    async def day_csv(self, request: Request) -> Response:
        """The day as a file that a spreadsheet opens with its Japanese letters whole."""
        session = self._session(request)
        if session is None:
            return refuse("signed_out")
        answer = await self.desk.ask(ReadDay(), session.who)
        if answer.error:
            return refuse(answer.error)
        name = f"nigiwai-{answer.body['device']}-{answer.body['day']}.csv"
        return Response(
            pages.day_csv(answer.body).encode("utf-8-sig"),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": f'attachment; filename="{name}"'},
        )

    async def poster(self, request: Request) -> Response:
        """The notice as a PDF."""
        size = request.path_params["size"]
        session = self._session(request)
        if session is None:
            return refuse("signed_out")
        if size not in ("a4", "a3"):
            return JSONResponse({"error": "malformed"}, 404)
        settings, _ = await self._in_force(session)
        async with self._printing:
            made = await make_poster(settings, size)
        return _file(made, "application/pdf", f"poster-{size}.pdf") if made else refuse("no_notice")

    async def assessment(self, request: Request) -> Response:
        """The draft of the privacy impact assessment."""
        session = self._session(request)
        if session is None:
            return refuse("signed_out")
        text = assessment(*await self._in_force(session))
        return _file(text.encode("utf-8-sig"), "text/plain; charset=utf-8", "assessment.txt")

    async def _in_force(self, session: Session) -> tuple[Settings, str]:
        """The settings with what was drawn over them, and the day of the notice."""
        answer = await self.desk.ask(ReadNotice(), session.who)
        if answer.error:
            return self.settings, self.settings.notice.since
        drawn = {
            "gate": tuple(Gate(**g) for g in answer.body["gate"]),
            "zone": tuple(Zone(**z) for z in answer.body["zone"]),
        }
        return self.settings.model_copy(update=drawn), answer.body["since"]

    def _session(self, request: Request) -> Session | None:
        cookie = request.cookies.get(COOKIE)
        return self._sessions.find(cookie, time.monotonic()) if cookie else None

    def _why_not(self, request: Request) -> str:
        """Why nobody can sign in from there, or nothing."""
        if self.pin is None:
            return "no_pin"
        address = request.client.host if request.client else ""
        return "" if safe_way(self.page, request.url.scheme, address) else "insecure"


async def make_poster(settings: Settings, size: str) -> bytes:
    """The poster, from a process of its own; empty where the settings do not allow one, which the journal explains."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "nigiwai.link.notice", size,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        made, why = await asyncio.wait_for(process.communicate(settings.model_dump_json().encode()), POSTER_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return b""
    if process.returncode:
        log.warning("notice: %s", why.decode(errors="replace").strip().splitlines()[-1:])
        return b""
    return made


def _file(content: bytes, kind: str, name: str) -> Response:
    return Response(content, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'})


def mark_secret(page: Page) -> bytes:
    """Signs the marks of phones: made of the device's own TLS key, which stays and never leaves it; without one, new at
    each start (then the page is in the device's own Wi-Fi, where no two phones share an address).
    """
    if page.key_file is None:
        return secrets.token_bytes(32)
    try:
        return hmac.digest(page.key_file.read_bytes(), b"nigiwai: marks of phones", "sha256")
    except OSError:  # the server says so, with the file's name
        return secrets.token_bytes(32)


def _set_cookie(answer: Response, request: Request, name: str, value: str, age_s: int | None) -> None:
    """A cookie that no script and no other site sees."""
    secure = request.url.scheme == "https"
    answer.set_cookie(name, value, max_age=age_s, httponly=True, samesite="strict", secure=secure)


def safe_way(page: Page, scheme: str, address: str) -> bool:
    """Whether a PIN may travel: over HTTPS, within the device, or on the device's own access point."""
    if scheme == "https":
        return True
    try:
        host = ipaddress.ip_address(address)
    except ValueError:
        return False
    if host.is_loopback:
        return True
    return page.access_point is not None and host in ipaddress.ip_network(page.access_point)


def refuse(word: str, **more: Any) -> JSONResponse:
    """A refusal: the page has a sentence for its word."""
    return JSONResponse({"error": word, **more}, _STATUS.get(word, 409))


def _answered(answer: Answer) -> Response:
    return refuse(answer.error, **answer.body) if answer.error else JSONResponse(answer.body)


async def _json(request: Request) -> dict[str, Any] | None:
    """The body as an object, if it is JSON and says so; a form of another site cannot say so."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return None
    try:
        found = await request.json()
    except (JSONDecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _network(request: Request) -> str:
    return client_of(request.client.host if request.client else "")
