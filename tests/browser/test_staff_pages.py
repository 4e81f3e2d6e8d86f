# SPDX-License-Identifier: Apache-2.0
"""What staff do, in a real browser: sign in, note by hand, check the accuracy, aim, move a gate."""

import contextlib
import sqlite3
import threading
from typing import Any

import pytest

from tests.browser.conftest import PIN, VIEWS, Device, MakeDevice, OpenPage, say, sign_in
from tests.browser.test_now import inked
from tests.link.harness import wait_for

pytestmark = pytest.mark.browser
View = tuple[str, str]


@pytest.fixture(scope="module", params=VIEWS, ids="-".join)
def view(request: pytest.FixtureRequest) -> View:
    """The language and size of the phone or computer; each has a device of its own."""
    found: View = request.param
    return found


@pytest.fixture(scope="module")
def device(make_device: MakeDevice, view: View) -> Device:
    device = make_device(broker=True)
    for i in range(20):
        device.eye.count(4 + i % 3, 1 + i % 3, after_s=240)
    device.eye.settled()
    return device


@pytest.fixture
def staff(device: Device, open_page: OpenPage, view: View) -> Any:
    """The staff's page, signed in."""
    language, size = view
    page = open_page(f"{device.url}/staff?lang={language}", size)
    sign_in(page)
    return page


def wait_done(page: Any, key: str, **values: object) -> None:
    page.wait_for_selector(f'#done-text:text-is("{say(page, key, **values)}")')


def tab(page: Any, name: str) -> None:
    page.click(f'[data-tab="{name}"]')
    page.wait_for_selector(f"#tab-{name}:not([hidden])")


def audited(device: Device) -> list[str]:
    with contextlib.closing(sqlite3.connect(f"file:{device.folder}/ledger.db?mode=ro", uri=True)) as db:
        return [row[0] for row in db.execute("SELECT command FROM audit WHERE source = 'page' ORDER BY id")]


def test_a_wrong_pin_is_refused_and_the_right_one_opens(device: Device, open_page: OpenPage, view: View) -> None:
    language, size = view
    page = open_page(f"{device.url}/staff?lang={language}", size)
    page.fill("#pin", "000000")
    page.click("#sign-in button")
    page.wait_for_selector("#problem:not([hidden])")
    assert page.inner_text("#problem-text") == say(page, "error-wrong_pin")
    assert page.input_value("#pin") == ""
    sign_in(page)
    page.reload()
    page.wait_for_selector("#signed-in:not([hidden])")
    page.click("#sign-out")
    page.wait_for_selector("#sign-in:not([hidden])")


def test_hand_work_is_done_shown_and_audited(device: Device, staff: Any, open_page: OpenPage) -> None:
    staff.fill("#inside", "123")
    staff.click("#set-inside button")
    wait_done(staff, "done-inside", n=123)
    staff.select_option("#topic", "weather")
    staff.fill("#text", "雨で入口が混雑 <script>alert(1)</script>")
    staff.click("#incident button")
    wait_done(staff, "done-noted")
    staff.fill("#staff-in", "3")
    staff.fill("#staff-out", "2")
    staff.click("#staff-passages button")
    wait_for(lambda: audited(device)[-3:] == ["set_inside", "incident", "staff_passages"], "the audit log")

    now = open_page(f"{device.url}/?lang=en")
    now.wait_for_selector('#inside:text-is("123")')

    staff.evaluate("window.print = () => { window.printed = true }")
    staff.click("#print")
    staff.wait_for_selector("#sheet table")
    sheet = staff.inner_text("#sheet")
    assert "<script>alert(1)</script>" in sheet, "shown as text"
    assert f"{say(staff, 'entered')} 3 / {say(staff, 'left')} 2" in sheet
    assert staff.evaluate("window.printed") is True
    with staff.expect_download() as download:
        staff.click('a[href="/api/staff/day.csv"]')
    assert download.value.path().read_bytes().startswith(b"\xef\xbb\xbf")


def test_the_day_prints_on_one_page(device: Device, staff: Any) -> None:
    staff.evaluate("window.print = () => {}")
    staff.click("#print")
    staff.wait_for_selector("#sheet table")
    pdf = staff.pdf(prefer_css_page_size=True)
    assert pdf.count(b"/Type /Page\n") == 1
    assert inked(staff, "#sheet canvas") == {"entered", "left"}
    assert staff.evaluate("document.querySelector('#sheet canvas').width") >= 1_800, "fine enough for paper"


def test_the_start_of_an_event_asks_first(device: Device, staff: Any, open_page: OpenPage) -> None:
    staff.fill("#inside", "77")
    staff.click("#set-inside button")
    now = open_page(f"{device.url}/")
    now.wait_for_selector('#inside:text-is("77")')
    before = len(audited(device))

    for refuse in ("#sure-no", "Escape"):
        staff.click('#event button[value="start"]')
        staff.wait_for_selector("#sure[open]")
        assert staff.inner_text("#sure-text") == say(staff, "sure-start-inside", n=77)
        assert staff.inner_text("#sure-yes") == say(staff, "event-start")
        assert staff.inner_text("#sure-no") == say(staff, "sure-no")
        assert staff.evaluate("document.activeElement.id") == "sure-no", "Enter by mistake starts nothing"
        staff.keyboard.press("Escape") if refuse == "Escape" else staff.click(refuse)
        staff.wait_for_selector("#sure:not([open])", state="attached")
    staff.wait_for_timeout(1_500)
    assert now.inner_text("#inside") == "77"
    assert len(audited(device)) == before, "nothing was asked of link"

    staff.click('#event button[value="start"]')
    staff.click("#sure-yes")
    now.wait_for_selector('#inside:text-is("0")')
    wait_for(lambda: audited(device)[before:] == ["event"], "the audit log")
    staff.click('#event button[value="end"]')
    wait_for(lambda: audited(device)[before:] == ["event", "event"], "the audit log")


def test_an_event_starts_at_nobody(device: Device, staff: Any, open_page: OpenPage) -> None:
    staff.click('#event button[value="start"]')
    staff.click("#sure-yes")
    wait_done(staff, "done-start")
    open_page(f"{device.url}/?lang=en").wait_for_selector('#inside:text-is("0")')
    staff.click('#event button[value="end"]')
    wait_done(staff, "done-end")


def test_a_check_from_the_first_tap_to_the_stamp(device: Device, staff: Any, open_page: OpenPage) -> None:
    tab(staff, "check")
    staff.click("#start-check button")
    staff.wait_for_selector("#check-running:not([hidden])")
    staff.wait_for_selector("#check-result:not([hidden])")  # eye has the check, and counts who passes from now on
    for i in range(12):
        device.eye.cross("in")
        staff.click("#tap-in" if i < 11 else "#tap-out")  # the last one was no entry: taken back
        staff.wait_for_timeout(130)  # a finger's pace: faster is taken for a bounce
    staff.click("#take-back")
    staff.wait_for_selector(f'#tapped:text-is("{say(staff, "tapped", n=11)}")')
    staff.wait_for_selector('#check-rows tr:first-child td:nth-child(2):text-is("11")')
    staff.click("#end-check")
    wait_done(staff, "check-done")

    cells = staff.locator("#check-rows tr:first-child td").all_inner_texts()
    assert cells == ["11", "12", "0", "1"]
    undecided = say(staff, "verdict-open").split("{n}")[0]
    assert undecided in staff.inner_text("#check-verdict-text"), "eleven passages decide nothing"
    assert staff.locator("#check-shrinking tr").count() == 5
    now = open_page(f"{device.url}/?lang={staff.get_attribute('html', 'lang')}")
    stamp = say(staff, "accuracy-open").split("{at} ")[1].split("{error}")[0].strip(" ,")
    now.wait_for_selector(f"#details dd:has-text('{stamp}')")
    assert now.inner_text("#range").startswith(say(staff, "range").split("{low}")[0].strip())


def test_a_check_that_eyes_restart_ended_is_said_to_be_lost(device: Device, staff: Any) -> None:
    tab(staff, "check")
    staff.click("#start-check button")
    staff.wait_for_selector("#check-running:not([hidden])")
    with device.eye._lock:
        device.eye._caller._hang_up()  # link hears a hello again, as after a restart
    staff.wait_for_selector("#check-start:not([hidden])", timeout=30_000)
    assert staff.inner_text("#problem-text") == say(staff, "error-check_lost")


def test_an_answer_that_a_start_overtook_ends_no_check(device: Device, staff: Any) -> None:
    late: list[tuple[Any, Any]] = []

    def hold(route: Any) -> None:
        if late:
            route.continue_()
        else:
            late.append((route, route.fetch()))

    staff.route("**/api/staff/check", hold)
    with staff.expect_request("**/api/staff/check"):
        tab(staff, "check")
    staff.click("#start-check button")
    staff.wait_for_selector("#check-running:not([hidden])")
    assert late, "the first answer waits"
    with staff.expect_response("**/api/staff/check"):
        late[0][0].fulfill(response=late[0][1])
    assert staff.is_visible("#check-running")
    with staff.expect_response("**/api/staff/check"):  # the next one goes through
        pass
    assert staff.is_hidden("#done"), "the page did not take the check for over"
    staff.click("#end-check")
    staff.wait_for_selector("#check-start:not([hidden])", timeout=30_000)


def test_answers_that_come_in_another_order_show_no_old_state(device: Device, staff: Any) -> None:
    """The first look at the notice is answered after the second, which was asked for when its day had been recorded."""
    held: list[Any] = []

    def hold(route: Any) -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    staff.route("**/api/staff/notice", hold)
    tab(staff, "notice")
    wait_for(lambda: held or staff.wait_for_timeout(50), "the first look to be on its way")
    staff.fill("#since", "2026-03-01")
    staff.click("#notice-up button")
    staff.wait_for_selector("#notice-standing-text:has-text('2026-03-01')")
    route, answer = held[0]
    route.fulfill(response=answer)
    staff.wait_for_timeout(500)
    assert "2026-03-01" in staff.inner_text("#notice-standing-text")


def test_aiming_shows_boxes_and_advice_and_never_a_picture(device: Device, staff: Any) -> None:
    tab(staff, "aim")
    staff.wait_for_selector("#floor svg .gate", state="attached")
    assert staff.locator("#floor .box").count() == 0
    staff.click("#aim-on")
    stop = threading.Event()
    walker = threading.Thread(target=_walk, args=(device, stop), daemon=True)
    walker.start()
    try:
        staff.wait_for_selector("#floor .box")
        staff.wait_for_selector("#floor .heat", timeout=30_000)
        staff.wait_for_selector("#advice li", timeout=30_000)
        staff.wait_for_selector("#advice li:has-text('camera.fov_deg')", timeout=30_000)  # no metres, and why
    finally:
        stop.set()
        walker.join()
    assert staff.locator("img, canvas, video, picture").count() == 0
    staff.click("#aim-off")
    staff.wait_for_selector("#aim-on:not([hidden])")
    staff.wait_for_selector("#floor .box", state="detached")


def test_a_handle_stays_what_it_is_while_people_walk(device: Device, staff: Any) -> None:
    """A finger on its way, the focus and a screen reader all hold on to the very element, where it was."""
    tab(staff, "aim")
    handle = staff.wait_for_selector('[data-handle="0:0"]')
    handle.focus()
    place = "e => e.getBoundingClientRect().top + window.scrollY"
    before_it_began = handle.evaluate(place)
    staff.click("#aim-on")
    staff.wait_for_selector("#aim-left:not(:empty)")
    while_waiting = handle.evaluate(place)
    for x in (0.3, 0.6):
        before = staff.evaluate("document.querySelector('#floor .box')?.getAttribute('x') ?? null")
        device.eye.walk(x, 0.6)
        staff.wait_for_function(
            "before => ![null, before].includes(document.querySelector('#floor .box')?.getAttribute('x') ?? null)",
            arg=before,
        )
    assert handle.evaluate("e => e.isConnected")
    assert (while_waiting, handle.evaluate(place)) == (before_it_began, before_it_began)
    staff.click("#aim-off")


def _walk(device: Device, stop: threading.Event) -> None:
    step = 0
    while not stop.wait(0.25):
        step += 1
        device.eye.walk(0.15 + 0.7 * (step * 7 % 40) / 40, 0.5 + 0.2 * (step % 10) / 10)


def test_a_gate_is_dragged_tried_undone_and_saved(device: Device, staff: Any) -> None:
    tab(staff, "aim")
    staff.wait_for_selector('[data-handle="0:0"]')
    floor = staff.locator("#floor svg").bounding_box()
    before = device.eye.orders.gates[0].line

    def drag() -> None:
        staff.locator("#floor").scroll_into_view_if_needed()
        box = staff.locator('[data-handle="0:0"]').bounding_box()
        staff.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        staff.mouse.down()
        staff.mouse.move(box["x"] + floor["width"] * 0.1, box["y"] - floor["height"] * 0.1, steps=5)
        staff.mouse.up()

    drag()
    assert staff.is_enabled("#gate-save")
    staff.click("#gate-undo")
    assert staff.is_disabled("#gate-save")
    assert device.eye.orders.gates[0].line == before
    drag()
    staff.click("#gate-save")
    wait_done(staff, "done-gates")
    wait_for(lambda: device.eye.orders.gates[0].line != before, "eye to take the gate")
    (x, y), _ = device.eye.orders.gates[0].line
    assert x > before[0][0]
    assert y < before[0][1]


def test_a_finger_drags_a_gate_out_of_the_view_and_is_told_what_comes_of_it(
    make_device: MakeDevice, open_page: OpenPage, view: View
) -> None:
    """Real touches: the line follows to the view's edge and no further; once saved, the device says what is wrong."""
    language, size = view
    device = make_device()
    page = open_page(f"{device.url}/staff?lang={language}#aim", size, has_touch=True)
    sign_in(page)
    page.wait_for_selector('[data-handle="0:0"]')
    page.click("#aim-on")
    touch = page.context.new_cdp_session(page)

    def drag_down(handle: str) -> None:
        page.locator("#floor").scroll_into_view_if_needed()
        box = page.locator(f'[data-handle="{handle}"]').bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        for step in range(1, 6):
            point = {"x": x, "y": y + step * 60}
            touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    for handle in ("0:0", "0:1"):
        drag_down(handle)
        page.wait_for_selector(f'[data-handle="{handle}"] .handle[cy="18"]')
    page.click("#gate-save")
    wait_done(page, "done-gates")
    wait_for(lambda: [y for _, y in device.eye.orders.gates[0].line] == [1.0, 1.0], "eye to take the gate")
    told = say(page, "hint-gate_at_edge", gate="door", have=0, need=3)
    page.wait_for_selector(f'#advice li:has-text("{told}")', timeout=30_000)


def test_a_gate_moves_by_keyboard_and_stays_in_view(device: Device, staff: Any) -> None:
    tab(staff, "aim")
    staff.wait_for_selector('[data-handle="0:1"]')
    staff.focus('[data-handle="0:1"]')
    for _ in range(30):
        staff.keyboard.press("ArrowRight")
    assert staff.evaluate("document.activeElement.dataset.handle") == "0:1", "the focus stays on the handle"
    assert float(staff.get_attribute('[data-handle="0:1"] .handle', "cx")) == 32.0, "at the edge, not beyond"


def test_somebody_else_drew_first(device: Device, staff: Any, open_page: OpenPage) -> None:
    other = open_page(f"{device.url}/staff?lang=ja#aim", "desktop")
    sign_in(other)
    for page in (staff, other):
        if page is staff:
            tab(staff, "aim")
        page.wait_for_selector('[data-handle="0:-1"]')
        page.focus('[data-handle="0:-1"]')
        page.keyboard.press("ArrowUp" if page is staff else "ArrowLeft")
    staff.click("#gate-save")
    wait_done(staff, "done-gates")
    other.click("#gate-save")
    other.wait_for_selector("#problem:not([hidden])")
    assert other.inner_text("#problem-text") == say(other, "error-conflict")


def test_anybody_can_read_what_is_sent(device: Device, open_page: OpenPage, view: View) -> None:
    language, size = view
    page = open_page(f"{device.url}/sent?lang={language}", size)
    page.wait_for_selector("#messages section pre")
    wait_for(lambda: "nigiwai/v1/sakura-hall/east-door/totals" in page.inner_text("#messages"), "the totals")
    shown = page.locator("#messages pre").all_inner_texts()
    assert all(text.startswith("{") for text in shown)
    page.click("#messages details >> nth=0")
    assert page.locator("#messages details[open] dd").count() > 3


def test_an_expired_session_says_so(device: Device, staff: Any) -> None:
    staff.context.clear_cookies()
    staff.fill("#inside", "5")
    staff.click("#set-inside button")
    staff.wait_for_selector("#sign-in:not([hidden])")
    assert staff.inner_text("#problem-text") == say(staff, "error-signed_out")


def test_https_with_the_devices_own_certificate(make_device: MakeDevice, certificate: str, open_page: OpenPage) -> None:
    device = make_device(page=certificate)
    page = open_page(f"{device.url}/staff?lang=ja")
    sign_in(page, PIN)
    assert all(c["secure"] for c in page.context.cookies())


def test_a_zone_is_added_named_and_saved_and_a_gate_is_tried(device: Device, staff: Any) -> None:
    tab(staff, "aim")
    staff.wait_for_selector('[data-handle="0:0"]')
    staff.click("#zone-add")
    assert staff.locator("#floor .zone").count() == 1
    staff.fill("#zone-name-0", "queue")
    staff.press("#zone-name-0", "Enter")
    staff.click("#aim-on")
    staff.click("#gate-try")
    stop = threading.Event()
    walker = threading.Thread(target=_cross, args=(device, stop), daemon=True)
    walker.start()
    try:
        staff.wait_for_selector(f'#trial-list li:text-is("{say(staff, "tried-zone", name="queue", n=1)}")')
        entered = say(staff, "entered").lower()
        nobody, anybody = f"{entered} 0", f"{entered} "
        staff.wait_for_selector(f"#trial-list li:not(:has-text('{nobody}')):has-text('{anybody}')", timeout=40_000)
    finally:
        stop.set()
        walker.join()
    before = device.eye.orders.gates
    staff.click("#trial-end")
    staff.wait_for_selector("#trial", state="hidden")
    assert (device.eye.orders.gates, device.eye.orders.zones) == (before, ()), "a trial changes nothing"
    staff.click("#gate-save")
    wait_done(staff, "done-gates")
    wait_for(lambda: [z.name for z in device.eye.orders.zones] == ["queue"], "eye to take the zone")
    staff.click("#aim-off")


def _cross(device: Device, stop: threading.Event) -> None:
    """Again and again somebody walks in, through the gate and the zone behind it."""
    step = 0
    while not stop.wait(0.1):
        step += 1
        device.eye.walk(0.5, 0.1 + 0.88 * (step % 30) / 29, number=1 + step // 30)


def test_taps_that_still_wait_are_in_the_result_when_the_check_is_ended(device: Device, staff: Any) -> None:
    """A network that takes a second for everything, and a finger that ends the check right after its last tap."""
    tab(staff, "check")
    staff.click("#start-check button")
    staff.wait_for_selector("#check-running:not([hidden])")
    staff.wait_for_selector("#check-result:not([hidden])")

    def slowly(route: Any) -> None:
        staff.wait_for_timeout(700)
        route.continue_()

    staff.route("**/api/staff/do", slowly)
    for _ in range(5):
        device.eye.cross("in")
        staff.evaluate("document.getElementById('tap-in').click()")
        staff.wait_for_timeout(130)
    staff.evaluate("document.getElementById('end-check').click()")
    wait_done(staff, "check-done")

    cells = staff.locator("#check-rows tr:first-child td").all_inner_texts()
    assert cells == ["5", "5", "0", "0"]


def test_taps_outlive_a_reload_and_a_lost_network(device: Device, staff: Any) -> None:
    tab(staff, "check")
    staff.click("#start-check button")
    staff.wait_for_selector("#check-running:not([hidden])")
    for _ in range(3):
        staff.click("#tap-in")
        staff.wait_for_timeout(130)
    staff.wait_for_selector('#check-rows tr:first-child td:nth-child(2):text-is("3")')
    staff.context.set_offline(True)
    for _ in range(2):
        staff.click("#tap-in")
        staff.wait_for_timeout(130)
    staff.wait_for_selector(f"#tapped:has-text('{say(staff, 'unsent', n=2)}')")
    staff.context.set_offline(False)
    staff.wait_for_selector('#check-rows tr:first-child td:nth-child(2):text-is("5")')
    assert staff.is_hidden("#problem"), "that it was away is not said for ever"
    staff.reload()
    staff.wait_for_selector(f'#tapped:text-is("{say(staff, "tapped", n=5)}")')
    staff.click("#tap-in")
    staff.wait_for_selector('#check-rows tr:first-child td:nth-child(2):text-is("6")')
    staff.click("#take-back")
    staff.click("#take-back")  # one from before the reload
    staff.wait_for_selector('#check-rows tr:first-child td:nth-child(2):text-is("4")')
    staff.click("#end-check")
    staff.wait_for_selector("#check-start:not([hidden])", timeout=30_000)


def test_the_day_of_the_notice_is_recorded_and_shown(make_device: MakeDevice, open_page: OpenPage, view: View) -> None:
    device = make_device()
    language, size = view
    staff = open_page(f"{device.url}/staff?lang={language}", size)
    sign_in(staff)
    tab(staff, "notice")
    staff.wait_for_selector(f"#notice-standing-text:has-text('{say(staff, 'notice-not-yet')}')")
    staff.fill("#since", "2026-04-01")
    staff.click("#notice-up button")
    staff.wait_for_selector(f"#notice-standing-text:has-text('{say(staff, 'notice-since', since='2026-04-01')}')")
    assert device.eye.orders.notice_hung
