# SPDX-License-Identifier: Apache-2.0
"""Takes the pictures of docs/field-guide.*.md: `python -m tests.browser.pictures docs/img`. Not a test.

The machine must have run for two hours, or believe so: `unshare --time --boottime 100000 --fork python -m ...`.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from nigiwai.door.records import Flag
from nigiwai.lab.broker import free_port
from nigiwai.lab.demo import Part
from nigiwai.settings import load
from tests.browser.conftest import ARGUMENTS, CHROMIUM, PIN, SETTINGS, SIZES, StaffedEye, sign_in
from tests.link.harness import Broker, wait_for

NOTICE = '[notice]\noperator = "桜区 地域振興課"\ncontact = "電話 00-0000-0000"'


def main(out: Path) -> None:
    """Every picture, in both languages."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pin").write_text(PIN + "\n")
        broker, port = Broker(folder), free_port()
        settings = folder / "nigiwai.toml"
        settings.write_text(
            SETTINGS.format(
                folder=folder, page_port=port, page="", more=NOTICE, mqtt=f'host = "127.0.0.1"\nport = {broker.port}'
            )
        )
        link = Part("link", settings)
        wait_for((folder / "door.sock").exists, "link")
        eye = StaffedEye(folder / "door.sock", load(settings).gate[0])
        try:
            for i in range(36):
                eye.count(2 + i * 7 % 5, i * 3 % 4, after_s=190)
            eye.settled()
            with sync_playwright() as running:
                browser = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
                for language in ("ja", "en"):
                    _all(browser, f"http://127.0.0.1:{port}", language, eye, out)
                browser.close()
        finally:
            eye.close()
            link.close()
            broker.stop()


def _all(browser: Any, url: str, language: str, eye: StaffedEye, out: Path) -> None:
    def save(page: Any, name: str) -> None:
        page.screenshot(path=out / f"page-{name}.{language}.jpg", type="jpeg", quality=60)

    for size, (width, height) in SIZES.items():
        context = browser.new_context(viewport={"width": width, "height": height}, timezone_id="Asia/Tokyo")
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.goto(f"{url}/?lang={language}")
        page.wait_for_selector("#lights li")
        page.wait_for_selector("#curve canvas")
        save(page, f"now-{size}")
        if size == "phone":
            _phone(page, url, language, eye, save)
        context.close()


def _phone(page: Any, url: str, language: str, eye: StaffedEye, save: Any) -> None:
    eye.flags = (Flag.COVERED,)
    page.wait_for_selector('#verdict[data-state="bad"]')
    save(page, "covered")
    eye.flags = ()
    page.goto(f"{url}/sent?lang={language}")
    page.wait_for_selector("#messages section")
    save(page, "sent")
    page.goto(f"{url}/staff?lang={language}")
    page.wait_for_selector("#sign-in:not([hidden])")
    save(page, "sign-in")
    sign_in(page)
    page.wait_for_selector("#tab-hand:not([hidden])")
    save(page, "hand")
    _check(page, eye, save)
    _aim(page, eye, save)
    page.click('[data-tab="notice"]')
    page.wait_for_selector("#notice-standing:not([hidden])")
    save(page, "notice")


def _check(page: Any, eye: StaffedEye, save: Any) -> None:
    page.click('[data-tab="check"]')
    page.click("#start-check button")
    page.wait_for_selector("#check-running:not([hidden])")
    page.wait_for_selector("#check-result:not([hidden])")  # eye has the check
    for i in range(16):
        direction = "in" if i % 3 else "out"
        if i % 8:
            eye.cross(direction)
        page.click(f"#tap-{direction}")
        page.wait_for_timeout(130)
    page.wait_for_selector('#check-rows tr:last-child td:nth-child(2):text-is("16")')
    save(page, "check")
    page.click("#end-check")
    page.wait_for_selector("#check-start:not([hidden])", timeout=30_000)
    page.locator("#check-result").scroll_into_view_if_needed()
    page.evaluate("document.getElementById('check-result').scrollIntoView()")
    save(page, "result")


def _aim(page: Any, eye: StaffedEye, save: Any) -> None:
    page.click('[data-tab="aim"]')
    page.wait_for_selector('[data-handle="0:0"]')
    page.click("#zone-add")
    page.click("#aim-on")
    end = time.monotonic() + 8
    step = 0
    while time.monotonic() < end:
        step += 1
        eye.walk(0.15 + 0.7 * (step * 7 % 40) / 40, 0.5 + 0.2 * (step % 10) / 10)
        page.wait_for_timeout(250)
    page.evaluate("document.getElementById('tab-aim').scrollIntoView()")
    save(page, "aim")
    page.click("#aim-off")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
