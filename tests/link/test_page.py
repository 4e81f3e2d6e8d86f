# SPDX-License-Identifier: Apache-2.0
"""The page's routes, headers and words."""

import asyncio
import hashlib
import json
import re
from typing import Any

import httpx
import pytest

from nigiwai.door.field import GaugeState, Hint
from nigiwai.link.messages import SENT, Cause, Light, Subject
from nigiwai.link.mqtt.discovery import discovery
from nigiwai.link.mqtt.sparkplug import Metric, Type, encode, readable
from nigiwai.link.status.app import STATIC, build_app, choose_language
from nigiwai.link.status.board import Board
from nigiwai.link.status.desk import Desk
from nigiwai.link.status.staff import Staff
from nigiwai.link.topics import Topics
from nigiwai.settings import Settings
from tests.conftest import ROOT

SNAPSHOT = {"site": "ward", "in": 3, "note": "</script><script>alert(1)</script>"}


@pytest.fixture
def board() -> Board:
    board = Board()
    board.show(SNAPSHOT)
    return board


class Client:
    """A browser without a network."""

    def __init__(self, board: Board) -> None:
        self._app = build_app(board, "ja", Staff(Settings(), None, Desk()))

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://device") as browser:
                return await browser.request(method, path, headers=headers)

        return asyncio.run(asked())

    def get(self, path: str) -> httpx.Response:
        return self.ask("GET", path)


@pytest.fixture
def client(board: Board) -> Client:
    return Client(board)


def test_the_first_view_holds_the_latest_snapshot_and_no_inline_code(client: Client) -> None:
    answer = client.get("/")

    assert answer.status_code == 200
    assert '<html lang="ja">' in answer.text
    (first,) = re.findall(r'<script type="application/json" id="first">(.*?)</script>', answer.text)
    assert json.loads(first) == SNAPSHOT
    scripts = re.findall(r"<script([^>]*)>", answer.text)
    assert all("src=" in s or "application/json" in s for s in scripts)
    assert not re.search(r"\son\w+=|style=|javascript:", answer.text)


@pytest.mark.parametrize(
    "path", ["/", "/api/now", "/healthz", "/static/page.js", "/static/nothing", "/static/..%2fapp.py"]
)
def test_every_answer_is_strict(client: Client, path: str) -> None:
    answer = client.get(path)

    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/static/..%2f..%2fapp.py", "/static/nothing", "/etc/passwd", "/static/"])
def test_nothing_else_is_served(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_nothing_can_be_written(client: Client) -> None:
    assert client.ask("POST", "/api/now").status_code == 405
    assert client.ask("DELETE", "/").status_code == 405


def test_not_ready_before_the_first_snapshot() -> None:
    client = Client(Board())

    assert client.get("/healthz").status_code == 503
    assert ">null<" in client.get("/").text


@pytest.mark.parametrize(
    ("asked", "accepted", "chosen"),
    [
        ("", "", "ja"),
        ("en", "ja", "en"),
        ("ja", "en", "ja"),
        ("", "en-GB,en;q=0.9,ja;q=0.8", "en"),
        ("", "fr-FR,fr", "ja"),
        ("<script>", "*", "ja"),
    ],
)
def test_the_language_is_what_was_asked_for(asked: str, accepted: str, chosen: str) -> None:
    assert choose_language(asked, accepted, "ja") == chosen


def test_events_end_when_the_board_closes(board: Board, client: Client) -> None:
    board.close()

    assert "data:" not in client.get("/api/events").text


def words_of(name: str = "words.js", table: str = "words") -> dict[str, dict[str, str]]:
    """A table of words by language, as the page has it."""
    text = (STATIC / name).read_text(encoding="utf-8")
    body = text[text.index("{", text.index(f"const {table} =")) :]
    body = body[: body.index("\n};") + 2]
    quoted = re.sub(r'(^|[{,])(\s*)(\w+):(?= ["{])', r'\1\2"\3":', body, flags=re.M)
    return dict(json.loads(re.sub(r",(\s*})", r"\1", quoted)))


TABLES = [("words.js", "words"), ("words-staff.js", "words"), ("words-sent.js", "words"), ("words-sent.js", "fields")]


@pytest.mark.parametrize(("name", "table"), TABLES)
def test_both_languages_say_the_same_things(name: str, table: str) -> None:
    words = words_of(name, table)

    assert words["ja"].keys() == words["en"].keys()
    assert all(text.strip() for key, text in words["ja"].items())
    for key in words["ja"]:
        blanks = [set(re.findall(r"\{(\w+)\}", words[language][key])) for language in ("ja", "en")]
        assert blanks[0] == blanks[1], key


def test_there_is_a_sentence_for_every_light() -> None:
    words = words_of()
    needed = {c.value for c in Cause if c is not Cause.NONE} | {s.value for s in Subject} | {v.value for v in Light}
    needed |= {f"{s}.{light}" for s in Subject for light in (Light.OK, Light.UNKNOWN)}
    assert needed <= words["ja"].keys()


def test_there_is_a_sentence_for_every_hint_and_refusal() -> None:
    words = words_of("words-staff.js")["ja"]
    assert {f"hint-{h}" for h in Hint} <= words.keys()
    assert {f"gauge-{s}" for s in GaugeState} <= words.keys()
    source = "".join(p.read_text(encoding="utf-8") for p in STATIC.parents[1].rglob("*.py"))
    refusals = set(re.findall(r'(?:Answer|refuse|_error)\((?:\d+, )?"(\w+)"', source))
    assert {"conflict", "eye_away", "csrf"} <= refusals
    assert {f"error-{word}" for word in (*refusals, "insecure", "no_pin", "wrong_pin", "wait", "away")} <= words.keys()


def test_every_word_that_a_page_asks_for_is_there() -> None:
    known = set(words_of()["ja"]) | set(words_of("words-staff.js")["ja"]) | set(words_of("words-sent.js")["ja"])
    for path in STATIC.glob("*.html"):
        asked = set(re.findall(r'data-word(?:-label)?="([\w-]+)"', path.read_text(encoding="utf-8")))
        assert asked <= known, path
    for path in STATIC.glob("*.js"):
        asked = set(re.findall(r'say\("([\w-]+)"', path.read_text(encoding="utf-8")))
        assert asked <= known, path


def test_every_field_of_every_message_is_explained() -> None:
    explained = words_of("words-sent.js", "fields")["ja"].keys()
    for kind in SENT:
        assert _fields(kind.model_json_schema(by_alias=True)) <= explained | {s.value for s in Subject}, kind


def test_the_messages_of_home_assistant_and_sparkplug_are_explained_too() -> None:
    """A word may be explained for its family alone, as the page looks it up."""
    explained = words_of("words-sent.js", "fields")["ja"].keys()
    announced = json.loads(discovery(Topics("ward", "gate-1"), ("door",), gone=("old",)))
    announced["components"] = list(announced["components"].values())
    metrics = [Metric("a", Type.UINT64, 1, 5), Metric("b", Type.STRING, None, 5, historical=True)]
    told = json.loads(readable(encode(metrics, 5, 0)))
    for family, message in (("homeassistant", announced), ("sparkplug", told)):
        assert {f"{family}.{key}" for key in _keys(message)} <= explained, family
    kinds = {"homeassistant", "nbirth", "ndata", "ndeath", *(kind.__name__.lower() for kind in SENT)}
    words = words_of("words-sent.js")["ja"].keys()
    assert {f"kind-{kind}{more}" for kind in kinds for more in ("", "-text")} <= words


def test_what_a_sparkplug_message_says_is_all_that_is_in_it() -> None:
    metrics = [
        Metric("Occupancy", Type.UINT64, 2**40, 7),
        Metric("Health/Temperature", Type.DOUBLE, None, 7),
        Metric("Health/Frame Rate", Type.DOUBLE, 7.5, 7),
        Metric("Lights/Camera", Type.STRING, "ok", 7, historical=True),
        Metric("Node Control/Rebirth", Type.BOOLEAN, False, 7),
    ]
    assert json.loads(readable(encode(metrics, 9, 3))) == {
        "timestamp": 9,
        "seq": 3,
        "metrics": [
            {"name": "Occupancy", "timestamp": 7, "datatype": "uint64", "value": 2**40},
            {"name": "Health/Temperature", "timestamp": 7, "datatype": "double", "value": None},
            {"name": "Health/Frame Rate", "timestamp": 7, "datatype": "double", "value": 7.5},
            {"name": "Lights/Camera", "timestamp": 7, "datatype": "string", "value": "ok", "is_historical": True},
            {"name": "Node Control/Rebirth", "timestamp": 7, "datatype": "boolean", "value": False},
        ],
    }
    assert "seq" not in json.loads(readable(encode([], 9, None)))


def _keys(value: object) -> set[str]:
    if isinstance(value, list):
        return {key for item in value for key in _keys(item)}
    return {*value, *(key for inner in value.values() for key in _keys(inner))} if isinstance(value, dict) else set()


def _fields(schema: dict[str, Any]) -> set[str]:
    parts = [schema, *schema.get("$defs", {}).values()]
    return {name for part in parts for name in part.get("properties", {})}


def test_the_first_view_is_small(client: Client) -> None:
    first = ["page.css", "page.js", "common.js", "curve.js", "words.js", "icon.svg", "vendor/uplot.js"]
    answers = [client.get(f"/static/{name}") for name in first]
    assert [a.headers.get("content-encoding") for a in answers] == ["gzip"] * 5 + [None, "gzip"]
    assert all(a.content == (STATIC / name).read_bytes() for a, name in zip(answers, first, strict=True))
    assert sum(int(a.headers["content-length"]) for a in answers) <= 65_000


def test_a_browser_without_gzip_gets_the_files_as_they_are(client: Client) -> None:
    answer = client.ask("GET", "/static/page.js", {"accept-encoding": "identity"})
    assert "content-encoding" not in answer.headers
    assert answer.content == (STATIC / "page.js").read_bytes()


def test_the_chart_library_is_the_one_that_the_notices_name() -> None:
    notices = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
    digest = hashlib.sha256((STATIC / "vendor" / "uplot.js").read_bytes()).hexdigest()
    assert digest in notices
    assert "Leon Sorokin" in (STATIC / "vendor" / "uplot.LICENSE.txt").read_text(encoding="utf-8")


def test_nothing_comes_from_elsewhere() -> None:
    for path in (p for p in STATIC.rglob("*") if p.suffix in (".js", ".css", ".html", ".svg")):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        if path.parent.name == "vendor":
            text = re.sub(r"(?://|\*) .*", "", text)  # what its comments refer to
        assert not re.search(r"https?://|//cdn|@import|url\(", text), path


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _contrast(a: str, b: str) -> float:
    light, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_has_the_contrast_that_wcag_aa_asks_for() -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    css = (STATIC / "page.css").read_text(encoding="utf-8")
    for theme in re.findall(r":root \{(.*?)\}", css, flags=re.S):
        colour = dict(re.findall(r"--([\w-]+): (#\w{6})", theme))
        pairs = [("ink", "ground"), ("ink", "card"), ("soft", "ground"), ("soft", "card"), ("entered", "ground")]
        pairs += [("left", "ground"), *((s, f"{s}-ground") for s in ("ok", "warn", "bad", "unknown"))]
        pairs += [(s, "card") for s in ("ok", "warn", "bad", "unknown")]
        for text, ground in pairs:
            assert _contrast(colour[text], colour[ground]) >= 4.5, (text, ground)


def test_no_way_for_a_picture() -> None:
    """The chart's canvas is filled with bars; nothing on the page can put a picture into it."""
    for path in (p for p in STATIC.rglob("*") if p.is_file()):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<img|<video|<canvas|drawImage|putImageData|data:image|createObjectURL", text), path
