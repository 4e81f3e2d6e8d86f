# SPDX-License-Identifier: Apache-2.0
"""The routes that need the PIN, from what a browser or an attacker may send to what the ledger holds of it."""

import asyncio
import contextlib
import csv
import io
import json
import math
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from nigiwai.door.codec import encode
from nigiwai.door.field import Gauge, GaugeState, Order, SetGates, Tap, Tried, Untap, WidthOf
from nigiwai.link.clerk import Clerk, World
from nigiwai.link.clock import Reading
from nigiwai.link.ledger import Ledger, Rules
from nigiwai.link.report import Tallier
from nigiwai.link.status.app import build_app
from nigiwai.link.status.board import Board
from nigiwai.link.status.deeds import READS
from nigiwai.link.status.desk import Desk
from nigiwai.link.status.guard import MAX_BODY_BYTES
from nigiwai.link.status.staff import Staff, mark_secret, safe_way
from nigiwai.link.zone import load_zone
from nigiwai.settings import Page, Settings, parse

PIN = "314159"
VIEW = {"height_m": 2.6, "tilt_deg": 30.0, "fov_deg": 66.0}
NOW = 1_790_000_000_000_000_000
GATE = {"name": "door", "line": [[0.1, 0.6], [0.9, 0.6]], "inside": [0.5, 0.9]}


class Bench:
    """The page's application, with link's loop behind it in a thread, and a browser that keeps its cookies."""

    def __init__(self, folder: Path, pin: str | None = PIN, client: str = "127.0.0.1") -> None:
        self.settings: Settings = parse({"gate": [GATE], "mqtt": {"enabled": False}})
        zone = load_zone("Asia/Tokyo")
        self.path = folder / "ledger.db"
        self.ledger = Ledger(self.path, Rules(60_000_000_000, True), Reading("0" * 32, 0, NOW, True))
        self.told: list[Order] = []
        self.inside: list[int] = []
        self.closed: list[int] = []
        self.eye_there = True
        desk = Desk()
        tallier = Tallier(zone, ("door",))
        world = World(lambda: tallier.tally(self.ledger, NOW, None), self._set, self.closed.append, self._tell)
        self.clerk = Clerk(self.settings, self.ledger, desk, zone, world)
        self._stop = threading.Event()
        self._loop = threading.Thread(target=self._serve, daemon=True)
        self._loop.start()
        staff = Staff(self.settings, SecretStr(pin) if pin else None, desk)
        self.app = build_app(Board(), "ja", staff)
        self.client = client
        self.cookies: dict[str, str] = {}
        self.csrf = ""

    def _set(self, inside: int, now_ns: int) -> None:
        assert now_ns == NOW
        self.inside.append(inside)

    def _tell(self, order: Order) -> bool:
        encode(order)  # as the door does, which takes no record that is too long
        if self.eye_there:
            self.told.append(order)
        return self.eye_there

    def _serve(self) -> None:
        while not self._stop.wait(0.005):
            self.clerk.serve(NOW)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, client=(self.client, 1))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://device", cookies=self.cookies
            ) as browser:
                return await browser.request(method, path, **options)

        answer = asyncio.run(asked())
        self.cookies |= dict(answer.cookies)
        return answer

    def sign_in(self, pin: str = PIN) -> httpx.Response:
        answer = self.ask("POST", "/api/staff/sign-in", json={"pin": pin})
        self.csrf = answer.json().get("csrf", "")
        return answer

    def do(self, **deed: Any) -> httpx.Response:
        return self.ask("POST", "/api/staff/do", json=deed, headers={"x-nigiwai-csrf": self.csrf})

    def audit(self) -> list[tuple[str, str, str]]:
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            return db.execute("SELECT command, detail, outcome FROM audit WHERE source = 'page' ORDER BY id").fetchall()

    def close(self) -> None:
        self._stop.set()
        self._loop.join(5)
        self.ledger.close()


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def build(**options: Any) -> Bench:
        made.append(Bench(tmp_path, **options))
        return made[-1]

    yield build
    for bench in made:
        bench.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


DEEDS: list[dict[str, Any]] = [
    {"what": "set_inside", "inside": 42},
    {"what": "incident", "topic": "crowding", "text": "雨のため入口が混雑"},
    {"what": "event", "action": "start"},
    {"what": "staff_passages", "gate": "door", "entered": 3, "left": 2},
    {"what": "notice_up", "since": "2026-04-01"},
    {"what": "start_check", "gate": "door", "minutes": 10},
    {"what": "aim_on"},
    {"what": "save_gates", "version": 0, "gates": [{**GATE, "inside": [0.5, 0.8]}]},
]


@pytest.mark.parametrize("deed", DEEDS, ids=lambda d: d["what"])
def test_what_staff_do_is_done_and_audited(bench: Bench, deed: dict[str, Any]) -> None:
    bench.sign_in()
    answer = bench.do(**deed)
    assert answer.status_code == 200, answer.text
    assert [(c, o) for c, _, o in bench.audit()] == [("sign_in", "ok"), (deed["what"], "asked")]


@pytest.mark.parametrize("deed", DEEDS, ids=lambda d: d["what"])
def test_nothing_is_done_without_a_session_or_its_token(bench: Bench, deed: dict[str, Any]) -> None:
    assert bench.do(**deed).json() == {"error": "signed_out"}
    bench.sign_in()
    bench.csrf = "another"
    assert bench.do(**deed).json() == {"error": "csrf"}
    bench.cookies = {"nigiwai_staff": "guessed"}
    assert bench.do(**deed).status_code == 401
    assert [c for c, _, _ in bench.audit()] == ["sign_in"]
    assert (bench.told, bench.inside) == ([], [])


@pytest.mark.parametrize("path", ["/api/staff/day", "/api/staff/day.csv", "/api/staff/check", "/api/staff/aim"])
def test_nothing_of_the_staffs_is_shown_without_a_session(bench: Bench, path: str) -> None:
    assert bench.ask("GET", path).status_code == 401
    bench.sign_in()
    assert bench.ask("GET", path).status_code == 200


def test_cookies_are_closed_to_scripts_and_other_sites(bench: Bench) -> None:
    answer = bench.sign_in()
    for cookie in answer.headers.get_list("set-cookie"):
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
    assert PIN not in answer.text


def test_no_answer_holds_a_secret(bench: Bench) -> None:
    """Neither the PIN nor a cookie stands in the body of any answer, before or after signing in."""
    paths = ["/", "/sent", "/staff", "/api/now", "/api/sent", "/api/staff", "/healthz", "/static/staff.js"]
    paths += [f"/api/staff/{read}" for read in (*READS, "day.csv", "assessment.txt", "poster-a4.pdf")]
    before = [bench.ask("GET", path) for path in paths]
    bench.sign_in()
    answers = before + [bench.ask("GET", path) for path in paths] + [bench.do(what="set_inside", inside=1)]
    secrets = [PIN, *(cookie for cookie in bench.cookies.values())]
    assert len(secrets) >= 3, "the PIN, the session and the phone's mark"
    for answer in answers:
        assert not any(secret.encode() in answer.content for secret in secrets), answer.url


def test_signing_out_ends_the_session(bench: Bench) -> None:
    bench.sign_in()
    assert bench.ask("POST", "/api/staff/sign-out", json={}).status_code == 403
    bench.ask("POST", "/api/staff/sign-out", json={}, headers={"x-nigiwai-csrf": bench.csrf})
    assert bench.do(what="set_inside", inside=1).status_code == 401


def test_twenty_wrong_pins_from_several_phones(
    make_bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    bench = make_bench()
    for phone in range(4):
        bench.client = f"127.0.0.{phone + 2}"
        answers = [bench.sign_in("000000") for _ in range(5)]
        assert [a.status_code for a in answers] == [401, 401, 401, 429, 429]
        assert answers[-1].json()["wait_s"] > 0
    bench.client = "127.0.0.77"
    assert bench.sign_in().status_code == 200, "staff get in all the same"
    assert [o for _, _, o in bench.audit()] == ["wrong"] * 12 + ["ok"]
    assert all("000000" not in d for _, d, _ in bench.audit()), "what was typed is not kept"
    said = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert said == ["E24: somebody typed a wrong PIN on the page"] * 12, "with the label's code, without an address"


def test_a_visitor_behind_the_staffs_router_does_not_lock_them_out(make_bench: Callable[..., Bench]) -> None:
    """All with one address: a visitor's phone, a program without cookies, and a staff phone that was never here."""
    bench = make_bench()
    phones: dict[str, dict[str, str]] = {"visitor": {}, "program": {}, "staff": {}}
    for name, cookies in phones.items():
        bench.cookies = cookies
        if name != "program":
            bench.ask("GET", "/api/staff")
    for name in ("visitor", "program"):
        bench.cookies = phones[name]
        assert [bench.sign_in("000000").status_code for _ in range(4)] == [401, 401, 401, 429]

    bench.cookies = phones["staff"]
    assert bench.sign_in("000001").status_code == 401, "a slip of the finger"
    assert bench.sign_in().status_code == 200


def test_a_phone_that_signed_in_is_known_to_the_next_link(tmp_path: Path) -> None:
    """The mark is signed with a key made of the device's own TLS key; the key itself is in no cookie."""
    key = tmp_path / "key"
    key.write_text("-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\n-----END PRIVATE KEY-----\n")
    page = Page(cert_file=tmp_path / "cert", key_file=key)
    assert mark_secret(page) == mark_secret(page)
    assert mark_secret(page) != mark_secret(Page(cert_file=tmp_path / "cert", key_file=tmp_path / "gone"))
    assert mark_secret(Page()) != mark_secret(Page())
    assert key.read_bytes()[28:40] not in mark_secret(page)


@pytest.mark.parametrize(
    ("scheme", "address", "safe"),
    [
        ("https", "192.0.2.7", True),
        ("http", "127.0.0.1", True),
        ("http", "::1", True),
        ("http", "10.42.0.7", True),  # the device's own access point
        ("http", "10.43.0.7", False),
        ("http", "192.0.2.7", False),
        ("http", "2001:db8::1", False),
        ("http", "", False),
    ],
)
def test_the_pin_travels_on_safe_ways_only(scheme: str, address: str, safe: bool) -> None:
    assert safe_way(Page(access_point="10.42.0.0/24"), scheme, address) is safe


def test_over_an_open_network_the_pin_is_refused_even_when_right(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(client="192.0.2.7")
    assert bench.ask("GET", "/api/staff").json()["error"] == "insecure"
    assert bench.sign_in().json() == {"error": "insecure"}


def test_without_a_pin_there_is_no_way_in(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(pin=None)
    assert bench.ask("GET", "/api/staff").json() == {"signed_in": False, "csrf": "", "error": "no_pin"}
    assert bench.sign_in().status_code == 403


@pytest.mark.parametrize(
    "pin", ["", "1234", "12345a", "1" * 13, "３１４１５９", None, 314159, ["314159"], "314159\n", "x" * 10_000]
)
def test_what_is_no_pin_is_not_even_tried(bench: Bench, pin: object) -> None:
    answer = bench.ask("POST", "/api/staff/sign-in", json={"pin": pin})
    assert answer.json() == {"error": "malformed"}
    assert bench.audit() == []


@pytest.mark.parametrize(
    "deed",
    [
        {},
        {"what": "format_disk"},
        {"what": "set_inside"},
        {"what": "set_inside", "inside": -1},
        {"what": "set_inside", "inside": 10**9},
        {"what": "set_inside", "inside": 1, "also": "this"},
        {"what": "incident", "topic": "crowding", "text": ""},
        {"what": "incident", "topic": "crowding", "text": "x" * 201},
        {"what": "incident", "topic": "crowding", "text": "a\nb"},
        {"what": "incident", "topic": "<script>", "text": "x"},
        {"what": "staff_passages", "gate": "../../etc", "entered": 1, "left": 1},
        {"what": "tap", "tap": 0, "direction": "in", "age_ms": 0},
        {"what": "tap", "tap": 1, "direction": "sideways", "age_ms": 0},
        {"what": "save_gates", "version": 0, "gates": []},
        {"what": "save_gates", "version": 0, "gates": [{**GATE, "line": [[0.1, 1.2], [0.9, 0.6]]}]},  # out of view
        {"what": "save_gates", "version": 0, "gates": [{**GATE, "name": "<script>alert(1)</script>"}]},
        {"what": "notice_up", "since": "yesterday"},
    ],
)
def test_what_does_not_fit_is_refused_and_names_the_field(bench: Bench, deed: dict[str, Any]) -> None:
    bench.sign_in()
    answer = bench.do(**deed)
    assert answer.status_code == 400
    assert answer.json()["error"] == "malformed"
    assert [c for c, _, _ in bench.audit()] == ["sign_in"]


@pytest.mark.parametrize(
    ("deed", "error"),
    [
        ({"what": "staff_passages", "gate": "window", "entered": 1, "left": 1}, "no_gate"),
        ({"what": "notice_up", "since": "2099-01-01"}, "future"),
        ({"what": "tap", "tap": 1, "direction": "in", "age_ms": 0}, "no_check"),
        ({"what": "end_check"}, "no_check"),
        ({"what": "save_gates", "version": 7, "gates": [GATE]}, "conflict"),
        ({"what": "save_gates", "version": 0, "gates": [{**GATE, "inside": [0.5, 0.6]}]}, "bad_gate"),
        ({"what": "save_gates", "version": 0, "gates": [GATE, GATE]}, "bad_gate"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_word(bench: Bench, deed: dict[str, Any], error: str) -> None:
    bench.sign_in()
    assert bench.do(**deed).json()["error"] == error
    assert bench.told == []


def test_without_eye_what_needs_it_is_refused(bench: Bench) -> None:
    bench.eye_there = False
    bench.sign_in()
    for deed in ({"what": "aim_on"}, {"what": "start_check", "gate": "door", "minutes": 10}):
        assert bench.do(**deed).json()["error"] == "eye_away"


def test_two_people_who_drag_one_gate(bench: Bench) -> None:
    """The second to save sees what the first has drawn, and loses nothing but a drawing that is out of date."""
    bench.sign_in()
    first = bench.do(what="save_gates", version=0, gates=[{**GATE, "inside": [0.5, 0.8]}])
    second = bench.do(what="save_gates", version=0, gates=[{**GATE, "inside": [0.5, 0.7]}])
    assert first.json()["version"] == 1
    assert (second.status_code, second.json()["error"]) == (409, "conflict")
    assert second.json()["gates"][0]["inside"] == [0.5, 0.8]
    assert len(bench.told) == 1


def test_drawn_gates_outlive_a_restart_and_reach_the_next_eye(bench: Bench) -> None:
    bench.sign_in()
    bench.do(what="save_gates", version=0, gates=[{**GATE, "name": "north"}])
    again = Clerk(bench.settings, bench.ledger, Desk(), load_zone("Asia/Tokyo"), bench.clerk._world)
    assert again.aiming.names == ("north",)
    bench.told.clear()
    again.eye_came()
    assert [o.kind for o in bench.told] == ["set_gates"]


ZONE = {"name": "queue", "corners": [[0.1, 0.6], [0.4, 0.6], [0.4, 0.9]]}


def test_zones_are_drawn_and_outlive_a_restart(bench: Bench) -> None:
    bench.sign_in()
    answer = bench.do(what="save_gates", version=0, gates=[GATE], zones=[ZONE])
    assert [z["name"] for z in answer.json()["zones"]] == ["queue"]
    (order,) = bench.told
    assert isinstance(order, SetGates)
    assert order.zones[0].corners == ((100, 600), (400, 600), (400, 900))
    assert bench.clerk.aiming.in_force.sha256 != bench.settings.sha256, "the digest is of what is in force"
    again = Clerk(bench.settings, bench.ledger, Desk(), load_zone("Asia/Tokyo"), bench.clerk._world)
    assert again.aiming.zone_names == ("queue",)
    bench.do(what="save_gates", version=1, gates=[GATE])
    assert bench.clerk.aiming.zone_names == ("queue",), "a save without zones leaves them"
    bench.do(what="save_gates", version=2, gates=[GATE], zones=[])
    assert bench.clerk.aiming.zone_names == ()


@pytest.mark.parametrize(
    ("zones", "error"),
    [
        ([{**ZONE, "corners": [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]}], "bad_zone"),
        ([ZONE, ZONE], "bad_zone"),
        ([{"name": f"z{n}", "corners": [[0.111 + c / 90, 0.222 + (c % 2) / 9] for c in range(16)]} for n in range(8)],
         "bad_zone"),
    ],
)  # fmt: skip
def test_zones_that_are_none_are_refused(bench: Bench, zones: list[dict[str, Any]], error: str) -> None:
    bench.sign_in()
    assert bench.do(what="save_gates", version=0, gates=[GATE], zones=zones).json()["error"] == error
    assert bench.told == []


def test_what_does_not_go_through_the_door_in_one_piece_is_refused(bench: Bench) -> None:
    bench.sign_in()
    line = [[0.1 + n / 20, 0.6 + n / 1000] for n in range(16)]
    gates = [{"name": f"a-gate-with-a-long-name-{n}", "line": line, "inside": [0.5, 0.9]} for n in range(8)]
    around = [[0.5 + 0.3 * math.cos(n / 2.6), 0.5 + 0.3 * math.sin(n / 2.6)] for n in range(16)]
    zones = [{"name": f"zone-{n}", "corners": around} for n in range(8)]
    assert bench.do(what="save_gates", version=0, gates=gates, zones=zones).json()["error"] == "too_many_points"
    assert bench.clerk.aiming.version == 0


def test_a_trial_is_told_to_eye_and_changes_nothing(bench: Bench) -> None:
    bench.sign_in()
    assert bench.do(what="try_gates", gates=[GATE]).json()["error"] == "not_aiming"
    bench.do(what="aim_on")
    assert bench.do(what="try_gates", gates=[{**GATE, "inside": [0.5, 0.6]}]).json()["error"] == "bad_gate"
    assert bench.do(what="try_gates", gates=[{**GATE, "name": "higher"}]).json()["tried"] is None
    bench.clerk.take(Tried(passed=((3, 1),)), NOW)
    standing = bench.ask("GET", "/api/staff/aim").json()
    assert standing["tried"] == {"higher": [3, 1]}
    assert (standing["version"], standing["gates"][0]["name"]) == (0, "door")
    assert [o.kind for o in bench.told] == ["aim_on", "try_gates"]


def test_the_gates_widths_are_shown_while_somebody_aims(bench: Bench) -> None:
    bench.sign_in()
    width = WidthOf(width_cm=214, width_off_cm=13, band_cm=31, band_off_cm=2)
    bench.clerk.take(Gauge(state=GaugeState.LEARNT, looks=80, widths=(width,)), NOW)
    assert bench.ask("GET", "/api/staff/aim").json()["gauge"] is None, "nobody aims"
    bench.do(what="aim_on")
    bench.clerk.take(Gauge(state=GaugeState.LEARNT, looks=80, widths=(width,)), NOW)
    shown = bench.ask("GET", "/api/staff/aim").json()["gauge"]
    told = {"gate": "door", "width_cm": 214, "width_off_cm": 13, "band_cm": 31, "band_off_cm": 2}
    assert shown == {"state": "learnt", "looks": 80, "widths": [told]}
    bench.clerk.take(Gauge(state=GaugeState.GIVEN, looks=0, widths=(width, width)), NOW)
    assert bench.ask("GET", "/api/staff/aim").json()["gauge"]["widths"] == [], "of other gates than are in force"


def test_nobody_is_estimated_before_the_day_of_the_notice_is_recorded(bench: Bench) -> None:
    def told() -> list[str]:
        bench.clerk.serve(NOW)
        return [o.kind for o in bench.told]

    bench.sign_in()
    bench.clerk.eye_came()
    assert told() == []
    standing = bench.ask("GET", "/api/staff/notice").json()
    assert (standing["since"], standing["estimates"]) == ("", "off")
    assert bench.do(what="notice_up", since="2099-01-01").json() == {"error": "future"}
    assert told() == []
    bench.do(what="notice_up", since="2026-04-01")
    assert told() == ["notice_hung"]
    assert bench.ask("GET", "/api/staff/notice").json()["since"] == "2026-04-01"
    bench.clerk.eye_came()
    assert told() == ["notice_hung"] * 2, "each eye is told, once"
    again = Clerk(bench.settings, bench.ledger, Desk(), load_zone("Asia/Tokyo"), bench.clerk._world)
    bench.told.clear()
    again.serve(NOW)
    assert [o.kind for o in bench.told] == ["notice_hung"], "after a restart as well"


@pytest.mark.parametrize(("since", "told"), [("", []), ("2026-04-01", ["notice_hung"]), ("2099-01-01", [])])
def test_the_day_may_stand_in_the_settings(bench: Bench, since: str, told: list[str]) -> None:
    settings = parse({"gate": [GATE], "notice": {"since": since}, "view": VIEW})
    clerk = Clerk(settings, bench.ledger, Desk(), load_zone("Asia/Tokyo"), bench.clerk._world)
    clerk.serve(NOW)
    assert [o.kind for o in bench.told] == told
    assert clerk._estimates(NOW) == ("on" if told else "waiting")


def test_two_phones_and_one_loaded_anew_tap_for_one_check(bench: Bench) -> None:
    bench.sign_in()
    bench.do(what="start_check", gate="door", minutes=10)
    for sheet in (11, 22):
        for tap in (1, 2, 2):  # the last one again: its answer was lost on the way
            bench.do(what="tap", sheet=sheet, tap=tap, direction="in", age_ms=0)
    bench.do(what="take_back", sheet=22, tap=1)
    bench.do(what="take_back", sheet=22, tap=9)
    taps = [o.tap for o in bench.told if isinstance(o, Tap)]
    assert taps == [1, 2, 2, 3, 4, 4]
    assert [o.tap for o in bench.told if isinstance(o, Untap)] == [3]


def test_a_tap_of_before_the_end_may_come_after_it_and_none_of_after(bench: Bench) -> None:
    """Another phone's network was slow while somebody ended the check."""
    bench.sign_in()
    bench.do(what="start_check", gate="door", minutes=10)
    bench.do(what="end_check")

    early = bench.do(what="tap", sheet=2, tap=1, direction="in", age_ms=2_000)
    late = bench.do(what="tap", sheet=2, tap=2, direction="in", age_ms=0)

    assert early.status_code == 200
    assert late.json()["error"] == "no_check"
    assert [o.tap for o in bench.told if isinstance(o, Tap)] == [1]


def test_ten_megabytes_are_refused_unread(bench: Bench) -> None:
    bench.sign_in()
    answer = bench.ask("POST", "/api/staff/do", content=b"x" * 10_000_000, headers={"x-nigiwai-csrf": bench.csrf})
    assert answer.status_code == 413

    async def endless() -> Any:
        for _ in range(10_000):
            yield b"x" * 1_024

    chunked = bench.ask("POST", "/api/staff/do", content=endless(), headers={"x-nigiwai-csrf": bench.csrf})
    assert chunked.status_code == 413
    assert len(json.dumps({"text": "x"})) < MAX_BODY_BYTES


def test_a_flood_of_headers_is_refused(bench: Bench) -> None:
    assert bench.ask("GET", "/", headers={f"x-{i}": "1" for i in range(100)}).status_code == 431


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://elsewhere.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
    ],
)
def test_other_origins_and_their_forms_are_refused(bench: Bench, headers: dict[str, str]) -> None:
    bench.sign_in()
    answer = bench.ask(
        "POST",
        "/api/staff/do",
        content=json.dumps({"what": "set_inside", "inside": 1}),
        headers={"content-type": "application/json", "x-nigiwai-csrf": bench.csrf, **headers},
    )
    assert answer.status_code in (400, 403)
    assert bench.inside == []


def test_other_origins_read_nothing_either(bench: Bench) -> None:
    assert bench.ask("GET", "/api/now", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    linked = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert bench.ask("GET", "/", headers=linked).status_code == 200, "a link to the page may be followed"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 8_000])
def test_what_is_no_json_object_is_refused(bench: Bench, body: bytes) -> None:
    bench.sign_in()
    answer = bench.ask(
        "POST", "/api/staff/do", content=body,
        headers={"content-type": "application/json", "x-nigiwai-csrf": bench.csrf},
    )  # fmt: skip
    assert answer.status_code == 400


def test_the_days_csv_opens_in_a_spreadsheet(bench: Bench) -> None:
    bench.sign_in()
    bench.do(what="incident", topic="other", text="=HYPERLINK(1)")
    bench.do(what="staff_passages", gate="door", entered=3, left=2)
    answer = bench.ask("GET", "/api/staff/day.csv")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert "attachment" in answer.headers["content-disposition"]
    text = answer.content.decode("utf-8-sig")
    assert text.count("\n") == text.count("\r\n"), "lines end as RFC 4180 says"
    rows = list(csv.reader(io.StringIO(text, newline="")))
    cells = {row[0].partition(" / ")[0]: row[1] for row in rows if len(row) == 2}
    assert (int(cells["入場"]), int(cells["退場"])) == (0, 0)
    assert datetime.strptime(cells["出力"], "%Y-%m-%d %H:%M").date().isoformat() == cells["日付"]
    assert "来場者数" in text
    assert ",=HYPERLINK" not in text, "no formula"
    assert "door: 入場 in 3 / 退場 out 2" in text


def test_staffs_own_passages_are_shown_and_subtracted_from_nothing(bench: Bench) -> None:
    bench.sign_in()
    before = bench.ask("GET", "/api/staff/day").json()
    bench.do(what="staff_passages", gate="door", entered=5, left=4)
    after = bench.ask("GET", "/api/staff/day").json()
    assert after["staff"] == {"in": 5, "out": 4}
    assert {k: after[k] for k in ("in", "out", "inside")} == {k: before[k] for k in ("in", "out", "inside")}


def test_the_start_of_an_event_begins_at_nobody(bench: Bench) -> None:
    bench.sign_in()
    bench.do(what="event", action="start")
    assert bench.ledger.event, "an update waits for its end"
    bench.do(what="event", action="end")
    assert not bench.ledger.event
    bench.do(what="set_inside", inside=7)
    assert bench.inside == [0, 7]


def test_positions_are_in_no_audit_line(bench: Bench) -> None:
    bench.sign_in()
    bench.do(what="save_gates", version=0, gates=[{**GATE, "inside": [0.5, 0.8125]}])
    assert all("0.8125" not in detail for _, detail, _ in bench.audit())


def test_the_notice_kit_is_the_staffs_and_needs_a_name(bench: Bench) -> None:
    for path in ("/api/staff/poster-a4.pdf", "/api/staff/assessment.txt"):
        assert bench.ask("GET", path).status_code == 401
    bench.sign_in()
    assert bench.ask("GET", "/api/staff/poster-a4.pdf").json() == {"error": "no_notice"}, "no operator is set"
    assert bench.ask("GET", "/api/staff/poster-b5.pdf").status_code == 404
    assert "評価書" in bench.ask("GET", "/api/staff/assessment.txt").content.decode("utf-8-sig")


def test_every_read_of_the_days_result_is_audited(bench: Bench) -> None:
    bench.sign_in()
    bench.ask("GET", "/api/staff/day.csv")
    assert [c for c, _, _ in bench.audit()] == ["sign_in", "read_day"]


def test_the_assessment_is_of_what_is_in_force(bench: Bench) -> None:
    bench.sign_in()
    bench.do(what="save_gates", version=0, gates=[{**GATE, "name": "north"}], zones=[ZONE])
    bench.do(what="notice_up", since="2026-04-01")
    text = bench.ask("GET", "/api/staff/assessment.txt").content.decode("utf-8-sig")
    assert "ゲート(数える線): north" in text
    assert "区域: queue" in text
    assert "掲示を始めた日: 2026-04-01" in text
    assert bench.clerk.aiming.in_force.sha256[:16] in text
