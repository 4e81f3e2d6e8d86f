# SPDX-License-Identifier: Apache-2.0
"""WCAG 2.2 AA by axe-core in the browser: every page, both sizes and languages, light and dark; and the keyboard."""

from typing import Any

import pytest

from tests.browser.conftest import PIN, Device, MakeDevice, OpenPage, sign_in
from tests.conftest import PROOF

pytestmark = pytest.mark.browser
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}
VIEWS = [("ja", "phone", "light"), ("en", "desktop", "dark"), ("en", "phone", "light"), ("ja", "desktop", "dark")]


@pytest.fixture(scope="module")
def device(make_device: MakeDevice) -> Device:
    device = make_device(broker=True)
    for i in range(8):
        device.eye.count(3 + i, i, after_s=600)
    device.eye.settled()
    return device


def violations(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    found = axe.Axe().run(page, options=RULES).response["violations"]
    return [f"{v['id']}: {[n['html'][:100] for n in v['nodes']]}" for v in found]


@pytest.mark.parametrize(("language", "size", "scheme"), VIEWS if PROOF else VIEWS[:2])
def test_no_page_violates_a_rule(device: Device, open_page: OpenPage, language: str, size: str, scheme: str) -> None:
    page = open_page(f"{device.url}/?lang={language}", size, color_scheme=scheme)
    page.wait_for_selector("#curve canvas")
    found = {"now": violations(page)}
    page.goto(f"{device.url}/sent?lang={language}")
    page.wait_for_selector("#messages section")
    found["sent"] = violations(page)
    page.goto(f"{device.url}/staff?lang={language}")
    found["sign-in"] = violations(page)
    sign_in(page)
    for name in ("hand", "check", "aim", "notice"):
        page.click(f'[data-tab="{name}"]')
        page.wait_for_selector(f"#tab-{name}:not([hidden])")
        if name == "aim":
            page.wait_for_selector("#floor svg .gate", state="attached")
        found[name] = violations(page)
    found |= _at_work(page)
    assert {name: v for name, v in found.items() if v} == {}


def _at_work(page: Any) -> dict[str, list[str]]:
    """The pages while something goes on: a zone and a trial, a refusal, taps and a result."""
    found = {}
    page.click('[data-tab="aim"]')
    page.click("#aim-on")
    page.click("#zone-add")
    page.click("#gate-try")
    page.wait_for_selector("#trial:not([hidden])")
    found["trial"] = violations(page)
    page.click("#aim-off")
    page.click('[data-tab="check"]')
    page.click("#start-check button")
    page.wait_for_selector("#check-running:not([hidden])")
    page.click("#tap-in")
    page.wait_for_selector("#check-result:not([hidden])")
    found["tapping"] = violations(page)
    page.click("#end-check")
    page.wait_for_selector("#check-start:not([hidden])", timeout=30_000)
    page.click('[data-tab="hand"]')
    page.click('#event button[value="start"]')
    page.wait_for_selector("#sure[open]")
    found["sure"] = violations(page)
    page.click("#sure-no")
    page.context.clear_cookies()
    page.fill("#inside", "1")
    page.click("#set-inside button")
    page.wait_for_selector("#problem:not([hidden])")
    found["signed out"] = violations(page)
    return found


def test_everything_is_reached_by_keyboard(device: Device, open_page: OpenPage) -> None:
    page = open_page(f"{device.url}/staff?lang=en")
    page.wait_for_selector("#sign-in:not([hidden])")
    _tab_to(page, "pin")
    page.keyboard.type(PIN)
    page.keyboard.press("Enter")
    page.wait_for_selector("#signed-in:not([hidden])")
    _tab_to(page, "inside")
    page.keyboard.type("17")
    page.keyboard.press("Enter")
    page.wait_for_selector('#done-text:text-is("People inside set to 17.")')
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus can be seen"


def _tab_to(page: Any, name: str) -> None:
    for _ in range(60):
        if page.evaluate("document.activeElement.id") == name:
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{name} is not reached by the tab key")


@pytest.mark.parametrize(("language", "size"), [view[:2] for view in (VIEWS if PROOF else VIEWS[:2])])
def test_nothing_hangs_over_the_side_and_fingers_fit(
    device: Device, open_page: OpenPage, language: str, size: str
) -> None:
    page = open_page(f"{device.url}/staff?lang={language}", size)
    sign_in(page)
    for name in ("hand", "check", "aim", "notice"):
        page.click(f'[data-tab="{name}"]')
        page.wait_for_selector(f"#tab-{name}:not([hidden])")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert page.evaluate(f"document.getElementById('tab-{name}').clientWidth >= Math.min(600, innerWidth - 40)"), (
            name
        )
        assert page.evaluate("[...document.querySelectorAll('.tabs')].every(t => t.scrollWidth <= t.clientWidth)"), name
        small = page.evaluate(
            "[...document.querySelectorAll('button, input:not([type=checkbox]), select, .button, nav a')]"
            ".filter(e => e.offsetParent !== null && e.getBoundingClientRect().height < 40)"
            ".map(e => e.outerHTML.slice(0, 80))"
        )
        assert small == [], name
