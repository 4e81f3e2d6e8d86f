# SPDX-License-Identifier: Apache-2.0
"""The first page in a real browser: live numbers, one traffic light, and what it costs."""

import json
import re
import signal
from statistics import median
from typing import Any

import pytest

from nigiwai.door.records import Flag
from nigiwai.enrol.trouble import REMEDIES, Trouble
from tests.browser.conftest import LANGUAGES, SIZES, Device, MakeDevice, OpenPage
from tests.conftest import PROOF

pytestmark = pytest.mark.browser
SAYS = [
    ("ja", Flag.COVERED, "カメラが覆われています。レンズの前を確認してください。"),
    ("en", Flag.COVERED, "The camera is covered. Look in front of the lens."),
    ("ja", Flag.GATE_AT_EDGE, "ゲートの線が映像の端にあるため、通る人を数えられません。"),
    ("en", Flag.GATE_AT_EDGE, "A gate lies at the edge of the picture, where nobody can be counted."),
]


@pytest.fixture(scope="module")
def device(make_device: MakeDevice) -> Device:
    device = make_device(broker=True)
    for i in range(30):
        device.eye.count(3 + i % 5, i % 4, after_s=180)
    device.eye.settled()
    return device


def number(page: Any, which: str) -> int:
    return int(page.inner_text(f"#{which}").replace(",", ""))


def inked(page: Any, canvas: str) -> set[str]:
    """Which of the two colours cover a part of the chart that an eye sees."""
    page.wait_for_timeout(200)  # drawn with the next frame
    found: list[str] = page.evaluate(
        """(canvas) => {
            const node = document.querySelector(canvas);
            const style = getComputedStyle(node.closest("#curve, .printed"));
            const { data } = node.getContext("2d").getImageData(0, 0, node.width, node.height);
            return ["entered", "left"].filter((name) => {
                const hex = parseInt(style.getPropertyValue(`--${name}`).trim().slice(1), 16);
                let n = 0;
                for (let i = 0; i < data.length; i += 4)
                    n += data[i] === hex >> 16 && data[i + 1] === (hex >> 8 & 255) && data[i + 2] === (hex & 255);
                return n > 100;
            });
        }""",
        canvas,
    )
    return set(found)


def test_without_the_chart_library_there_is_the_table(device: Device, open_page: OpenPage) -> None:
    page = open_page("about:blank")
    page.route("**/vendor/uplot.js", lambda route: route.fulfill(status=404))
    page.goto(f"{device.url}/?lang=en")
    page.wait_for_selector("#curve-table[open] #quarters tr")
    assert page.is_hidden("#curve")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_numbers_come_by_themselves(device: Device, open_page: OpenPage, size: str, language: str) -> None:
    page = open_page(f"{device.url}/?lang={language}", size)
    page.wait_for_selector("#lights li")
    before = number(page, "entered")

    device.eye.count(2, 1)

    page.wait_for_selector(f'#entered:text-is("{before + 2}")')
    assert number(page, "inside") == number(page, "entered") - number(page, "left")
    page.wait_for_selector("#curve canvas")
    assert inked(page, "#curve canvas") == {"entered", "left"}, "bars of both colours"
    assert page.get_attribute("#curve", "role") == "img"
    assert page.get_attribute("#curve", "aria-label")
    assert page.locator("#quarters tr").count() > 0, "the same as a table"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing hangs over the side"
    assert page.get_attribute("html", "lang") == language
    numbers, lights = (page.locator(".column").nth(i).bounding_box() for i in (0, 1))
    verdict = page.locator("#verdict").bounding_box()
    assert 0 < numbers["y"] - verdict["y"] - verdict["height"] < 20, "the numbers come right below the light"
    if size == "desktop":
        assert numbers["x"] < lights["x"]
        assert numbers["y"] == lights["y"], "side by side"
    else:
        assert numbers["y"] + numbers["height"] < lights["y"], "one below the other"


@pytest.mark.parametrize(("language", "flag", "says"), SAYS)
def test_what_blinds_a_gate_turns_the_light_red_and_says_what_to_do(
    device: Device, open_page: OpenPage, language: str, flag: Flag, says: str
) -> None:
    page = open_page(f"{device.url}/?lang={language}")
    try:
        device.eye.flags = (flag,)
        # Of this cause: a page that has waited long for an answer is red for a moment, too.
        page.wait_for_selector(f'#verdict[data-state="bad"] #verdict-text:text-matches("^{re.escape(says)}")')
    finally:
        device.eye.flags = ()
    page.wait_for_selector('#verdict:not([data-state="bad"])')


def test_a_view_that_is_not_fed_says_so_and_comes_back_by_itself(device: Device, open_page: OpenPage) -> None:
    """Sleep, and a network that is gone: link is stopped, and the phone's clock goes on by half a minute."""
    page = open_page("about:blank")
    page.clock.install()
    page.goto(f"{device.url}/?lang=en")
    page.wait_for_selector("#lights li")
    device.link.process.send_signal(signal.SIGSTOP)
    try:
        page.clock.fast_forward(30_000)
        page.wait_for_selector("body.stale")
        assert "not up to date" in page.inner_text("#verdict-text")
    finally:
        device.link.process.send_signal(signal.SIGCONT)
    device.eye.count(1, 0)
    page.clock.fast_forward(7_000)

    page.wait_for_selector("body:not(.stale)")
    assert "not up to date" not in page.inner_text("#verdict-text")


@pytest.fixture(scope="module")
def secure(make_device: MakeDevice, certificate: str) -> Device:
    device = make_device(page=certificate)
    for i in range(30):
        device.eye.count(3 + i % 5, i % 4, after_s=180)
    device.eye.settled()
    return device


USABLE = """
new MutationObserver((_, observer) => {
    if (!document.querySelector("#lights li")) return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => { window.usableMs = performance.now(); }, 0));
}).observe(document, { childList: true, subtree: true });
"""
"""Notes when numbers and lights have been painted: the test's own way to the browser takes no part in it."""


@pytest.mark.parametrize("which", ["device", "secure"], ids=["http", "https"])
def test_the_first_view_is_small_and_soon_usable_on_a_slow_phone(
    request: pytest.FixtureRequest, open_page: OpenPage, which: str
) -> None:
    """4x slower processor, 3G (400 ms round trip, 1.6 Mbit/s): usable within 2 s, at most 150 kB over the wire.

    The two seconds are judged by `make proof` alone, by the median of seven views. The browser delays each request
    by the round trip, but not the handshakes of TCP and TLS.
    """
    device: Device = request.getfixturevalue(which)
    views = [_first_view(open_page("about:blank"), device.url) for _ in range(7 if PROOF else 1)]
    print("; ".join(f"usable after {ms:.0f} ms, {size:.0f} bytes" for ms, size, _ in views))  # noqa: T201
    assert max(size for _, size, _ in views) <= 150_000
    if PROOF:
        assert median(ms / slack for ms, _, slack in views) <= 2_000, views


def _first_view(page: Any, url: str) -> tuple[float, float, float]:
    """Milliseconds until it is usable, bytes over the wire with the chart, and how much too slow the machine is."""
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    wire.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 400, "downloadThroughput": 200_000, "uploadThroughput": 93_750},
    )
    received: list[float] = []
    wire.on("Network.loadingFinished", lambda e: received.append(e["encodedDataLength"]))
    page.add_init_script(USABLE)
    page.goto(f"{url}/?lang=ja", wait_until="commit")
    page.wait_for_selector("#lights li")
    page.wait_for_function("window.usableMs > 0")
    page.wait_for_selector("#curve canvas")
    found: tuple[float, float, float] = (page.evaluate("window.usableMs"), sum(received), machine_slack(page))
    page.context.close()
    return found


def machine_slack(page: Any) -> float:
    """How much slower this machine is just now than one that adds ten million numbers in 0.2 s under the throttle."""
    took_ms: float = page.evaluate(
        "() => { const t = performance.now(); let s = 0; for (let i = 0; i < 1e7; i++) s += i % 7;"
        " return performance.now() - t + 0 * s; }"
    )
    return max(1.0, took_ms / 200)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_trouble_is_told_with_the_labels_code_and_words(device: Device, open_page: OpenPage, language: str) -> None:
    page = open_page("about:blank")

    def with_trouble(route: Any) -> None:
        answer = route.fetch()
        japanese, english = REMEDIES[Trouble.OLDER]
        told = json.dumps([{"code": "E22", "ja": japanese, "en": english}], ensure_ascii=False)
        body = re.sub(r'"troubles": ?\[\]', lambda _: f'"troubles": {told}', answer.text())
        route.fulfill(response=answer, body=body)

    page.route(re.compile(r"/\?lang="), with_trouble)
    page.route("**/api/events", lambda route: route.fulfill(content_type="text/event-stream", body=""))
    page.goto(f"{device.url}/?lang={language}")
    page.wait_for_selector("#troubles li")
    shown = page.inner_text("#troubles")
    assert "E22" in shown
    assert REMEDIES[Trouble.OLDER][language == "en"] in shown

    page.unroute("**/api/events")
    page.unroute(re.compile(r"/\?lang="))
    page.goto(f"{device.url}/?lang={language}")
    page.wait_for_selector("#lights li")
    assert not page.is_visible("#troubles")
