# SPDX-License-Identifier: Apache-2.0
"""A real Chromium before a real link, and eye's real answers to staff behind it."""

import re
import secrets
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nigiwai import clock
from nigiwai.clock import BootNs
from nigiwai.door.caller import Caller
from nigiwai.door.records import Bin, CameraKind, Flag, GateCount, Hello, Vitals
from nigiwai.eye.orders import Orders
from nigiwai.eye.types import Crossing, Direction, Track
from nigiwai.lab.broker import free_port
from nigiwai.lab.demo import Part
from nigiwai.settings import Gate, load
from tests.conftest import PROOF
from tests.link.harness import Broker, wait_for
from tests.link.test_page import words_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
VIEWS = [("ja", "phone"), ("en", "desktop"), ("en", "phone"), ("ja", "desktop")][: 4 if PROOF else 2]
"""Languages and sizes in which every flow is gone through."""

WORDS = {
    language: {**words_of("words.js")[language], **words_of("words-staff.js")[language]} for language in ("ja", "en")
}
SIZES = {"phone": (390, 844), "desktop": (1280, 800)}
LANGUAGES = ("ja", "en")
PIN = "314159"
SIZE = (640, 360)
HISTORY_MS = 7_200_000
"""How far back the counts of a test begin."""

SETTINGS = """\
[device]
site = "sakura-hall"
name = "east-door"
[door]
socket = "{folder}/door.sock"
[ledger]
path = "{folder}/ledger.db"
interval_s = 5
[page]
port = {page_port}
pin_file = "{folder}/pin"
{page}
[[gate]]
name = "door"
line = [[0.1, 0.6], [0.9, 0.6]]
inside = [0.5, 0.9]
[mqtt]
{mqtt}
{more}
"""


class StaffedEye:
    """Eye without a camera: its end of the door, its bins, and its real answers to what staff ask."""

    def __init__(self, socket: Path, gate: Gate) -> None:
        self.orders = Orders((gate,), 256)
        self.flags: tuple[Flag, ...] = ()
        self._caller = Caller(
            socket,
            Hello(
                run=secrets.token_hex(16),
                boot=clock.boot_id(),
                version="0.1.0",
                model="nigiwai-person",
                model_sha256="0" * 64,
                settings_sha256="0" * 64,
                camera=CameraKind.RECORDING,
            ),
        )
        self._sequence = 0
        self._history = min(1.0, clock.boot_ns() / 1e6 / HISTORY_MS)
        self._start_ms = round(clock.boot_ns() / 1e6 - self._history * HISTORY_MS)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._vitals_s = 0.0
        self._frames = 0
        self.tracks: tuple[Track, ...] = ()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def count(self, entered: int, left: int, after_s: float = 0.0) -> None:
        """One bin, `after_s` seconds after the one before; less where this machine has not run for two hours."""
        with self._lock:
            self._sequence += 1
            self._start_ms += round(after_s * 1_000 * self._history)
            names = [g.name for g in self.orders.gates]
            gates = tuple(
                GateCount(gate=n, entered=entered if n == names[0] else 0, left=left if n == names[0] else 0)
                for n in names
            )
            self._caller.add(
                Bin(
                    run=self._caller.run,
                    sequence=self._sequence,
                    first_sequence=self._sequence,
                    start_ms=self._start_ms,
                    length_ms=5_000,
                    blind_ms=0,
                    gates=gates,
                    flags=(),
                )
            )
            self._start_ms += 5_000

    def settled(self) -> None:
        """Waits until link has every bin."""
        wait_for(lambda: self._caller.unacknowledged == 0, "link to take the bins")

    def cross(self, direction: str) -> None:
        """Somebody crosses the gate, as the gates would say it."""
        now = clock.boot_ns()
        with self._lock:
            self.orders.see([Crossing("door", Direction(direction), now)], (), SIZE, now)

    def walk(self, x: float, y: float, number: int = 1) -> None:
        """Somebody stands there: foot in parts of the picture."""
        w, h = SIZE
        box = ((x - 0.04) * w, (y - 0.4) * h, (x + 0.04) * w, y * h)
        with self._lock:
            self.tracks = (Track(number, box, (x * w, y * h), 1.0, True),)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        self._caller.close()

    def _live(self) -> None:
        while not self._stop.wait(0.05):
            now = clock.boot_ns()
            with self._lock:
                self._caller.update(now / 1e9)
                for order in self._caller.take_orders():
                    self.orders.take(order, now)
                self.orders.see((), self.tracks, SIZE, now)
                for told in self.orders.due(now):
                    self._caller.tell(told)
                if now / 1e9 > self._vitals_s:
                    self._vitals_s = now / 1e9 + 1.0
                    self._tell_vitals(now)

    def _tell_vitals(self, now: BootNs) -> None:
        self._frames += 15
        self._caller.tell(
            Vitals(
                at_ms=now // 1_000_000,
                frames=self._frames,
                dropped=0,
                inferred=self._frames,
                fps_milli=15_000,
                latency_median_ms=60,
                latency_p95_ms=90,
                memory_kib=120_000,
                unacknowledged=0,
                lost_bins=0,
                flags=self.flags,
            )
        )


@dataclass
class Device:
    """A whole device at work."""

    url: str
    folder: Path
    link: Part
    eye: StaffedEye


MakeDevice = Callable[..., Device]


@pytest.fixture(scope="module")
def make_device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeDevice]:
    """Starts devices, and ends them whatever becomes of the tests."""
    closing: list[Callable[[], object]] = []

    def made(*, broker: bool = False, page: str = "", more: str = "") -> Device:
        folder = tmp_path_factory.mktemp("device")
        (folder / "pin").write_text(PIN + "\n")
        mqtt = "enabled = false"
        if broker:
            running = Broker(folder)
            closing.append(running.stop)
            mqtt = f'host = "127.0.0.1"\nport = {running.port}'
        settings = folder / "nigiwai.toml"
        port = free_port()
        settings.write_text(SETTINGS.format(folder=folder, page_port=port, page=page, mqtt=mqtt, more=more))
        link = Part("link", settings)
        closing.append(link.close)
        wait_for(lambda: (folder / "door.sock").exists() or link.process.poll() is not None, "link to start")
        assert link.process.poll() is None, link.why_it_ended()
        eye = StaffedEye(folder / "door.sock", load(settings).gate[0])
        closing.append(eye.close)
        eye.count(0, 0)
        eye.settled()
        scheme = "https" if "cert_file" in page else "http"
        return Device(f"{scheme}://127.0.0.1:{port}", folder, link, eye)

    yield made
    for close in reversed(closing):
        close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page's settings for HTTPS, with a certificate of the device's own."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (apt install openssl)")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
         "-subj", "/CN=nigiwai", "-keyout", str(folder / "key"), "-out", str(folder / "cert")],
        check=True, capture_output=True,
    )  # fmt: skip
    return f'cert_file = "{folder}/cert"\nkey_file = "{folder}/key"'


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser; the tests are skipped where there is none.

    Ended with its module: while it runs, nobody else in this thread can run a loop of asyncio.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt install chromium)")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


OpenPage = Callable[..., Any]


@pytest.fixture
def open_page(chromium: Any) -> Iterator[OpenPage]:
    """Opens a page of a size in a fresh context; anything on its console that is an error fails the test."""
    contexts: list[Any] = []
    errors: list[str] = []

    def opened(url: str, size: str = "phone", **options: Any) -> Any:
        width, height = SIZES[size]
        context = chromium.new_context(
            viewport={"width": width, "height": height}, timezone_id="Asia/Tokyo", ignore_https_errors=True, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" and not expected(m.text) else None)
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not errors, errors


def expected(error: str) -> bool:
    """A refusal, and a network that the test itself took away."""
    return "status of 4" in error or "ERR_INTERNET_DISCONNECTED" in error


def say(page: Any, key: str, **values: object) -> str:
    """What the page says under that key in its language."""
    text = WORDS[page.get_attribute("html", "lang")][key]
    return re.sub(r"\{(\w+)\}", lambda blank: str(values.get(blank[1], blank[0])), text)


def sign_in(page: Any, pin: str = PIN) -> None:
    """Types the PIN."""
    page.fill("#pin", pin)
    page.click("#sign-in button")
    page.wait_for_selector("#signed-in:not([hidden])")
