# SPDX-License-Identifier: Apache-2.0
"""People inside over the day: begun anew by schedule, set by hand, closed with a balance; how well they are known."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nigiwai.errors import SettingsError
from nigiwai.link.accuracy import Estimate, Watched, inside_bounds
from nigiwai.link.checking import Checking
from nigiwai.link.ledger import Ledger
from nigiwai.link.occupancy import Occupancy, balance
from nigiwai.link.report import Mark, Reporter, Tallier, Tally
from nigiwai.link.status.pages import day_csv
from nigiwai.link.zone import load_zone, reset_ns, stamp
from nigiwai.settings import parse
from tests.link.world import Eye, World, opened, run_minutes, utc_ns

TOKYO = load_zone("Asia/Tokyo")


class Hall:
    """A ledger that is fed, and the number of people inside."""

    def __init__(self, folder: Path, begin: str, reset_at: str) -> None:
        self.world = World(true_boot_utc_ns=utc_ns(begin))
        self.eye, self.ledger = Eye(self.world), opened(folder, self.world)
        self.ledger.greet(self.eye.hello())
        self.reset_at, self.path = reset_at, folder / "ledger.db"
        self.tallier = Tallier(TOKYO, ("door",), reset_at)
        self.occupancy = Occupancy(self.ledger, self.tally)
        self.step()

    @property
    def now_ns(self) -> int:
        place = self.ledger.place
        return place.utc_ns(self.world.boot_ns) if place else self.world.now().utc_ns

    def tally(self) -> Tally:
        return self.tallier.tally(self.ledger, self.now_ns, self.occupancy.mark)

    def step(self) -> None:
        self.occupancy.step(TOKYO, self.reset_at, ("door",), self.now_ns)

    def minutes(self, *counts: tuple[int, int]) -> None:
        run_minutes(self.ledger, self.eye, counts)
        self.step()

    def sleep(self, hours: float) -> None:
        self.world.forward(3_600 * hours)
        self.ledger.tick(self.world.now(), 0)

    def closings(self) -> list[dict[str, Any]]:
        """Without the time, which one test looks at."""
        return [
            {key: value for key, value in n.body.items() if key != "since_ns"}
            for n in self.ledger.hand_since(0)
            if n.kind == "closing"
        ]

    def audited(self) -> list[tuple[str, str]]:
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as db:
            return db.execute("SELECT source, command FROM audit ORDER BY id").fetchall()


@pytest.mark.parametrize(
    ("now", "at", "begun"),
    [
        ("2026-11-23T10:00:00+09:00", "00:00", "2026-11-23T00:00:00+09:00"),
        ("2026-11-23T10:00:00+09:00", "04:00", "2026-11-23T04:00:00+09:00"),
        ("2026-11-23T03:59:59+09:00", "04:00", "2026-11-22T04:00:00+09:00"),
        ("2026-11-23T04:00:00+09:00", "04:00", "2026-11-23T04:00:00+09:00"),
        ("2026-03-01T00:10:00+09:00", "23:45", "2026-02-28T23:45:00+09:00"),
    ],
)
def test_when_the_number_begins_anew(now: str, at: str, begun: str) -> None:
    assert stamp(reset_ns(utc_ns(now), TOKYO, at), TOKYO) == begun


def test_who_came_before_midnight_is_inside_until_the_reset(tmp_path: Path) -> None:
    """23:00 to 05:00 in Tokyo; begun anew at 04:00."""
    hall = Hall(tmp_path, "2026-11-23T14:00:00", "04:00")
    hall.minutes((30, 0), (12, 2))
    hall.sleep(1.5)
    hall.minutes((0, 10))
    tally = hall.tally()
    assert (tally.day, tally.today, tally.inside) == ("2026-11-24", {"door": (0, 10)}, 30)
    hall.sleep(4)
    hall.minutes((5, 0))
    tally = hall.tally()
    assert (tally.today, tally.inside) == ({"door": (5, 10)}, 5)
    assert hall.closings() == [{"why": "schedule", "began": 0, "entered": 42, "left": 12, "remaining": 30}]
    assert hall.audited() == [("schedule", "reset_occupancy")]


def test_at_midnight_unless_said_otherwise(tmp_path: Path) -> None:
    hall = Hall(tmp_path, "2026-11-23T14:30:00", "00:00")
    hall.minutes((30, 0))
    hall.sleep(1)
    hall.minutes((1, 4))
    assert hall.tally().inside == 0
    assert [c["remaining"] for c in hall.closings()] == [30]


def test_what_was_set_holds_over_a_restart_and_until_the_reset(tmp_path: Path) -> None:
    hall = Hall(tmp_path, "2026-11-23T12:00:00", "04:00")
    hall.minutes((30, 0))
    hall.occupancy.set_inside(100, hall.now_ns)
    hall.minutes((5, 25))
    assert hall.tally().inside == 80
    hall.occupancy = Occupancy(hall.ledger, hall.tally)
    assert hall.tally().inside == 80
    hall.sleep(5)
    hall.step()
    assert hall.tally().inside == 80, "02:00: not begun anew at midnight"
    hall.sleep(2)
    hall.step()
    assert hall.tally().inside == 0
    assert hall.closings() == [{"why": "schedule", "began": 100, "entered": 5, "left": 25, "remaining": 80}]


def test_a_reset_while_link_was_off_is_made_up_for(tmp_path: Path) -> None:
    hall = Hall(tmp_path, "2026-11-23T14:00:00", "04:00")
    hall.minutes((7, 2))
    hall.ledger.close()
    hall.world.forward(6 * 3_600)
    hall.ledger = Ledger(hall.path, hall.ledger._rules, hall.world.now())
    hall.ledger.tick(hall.world.now(), 0)
    hall.occupancy = Occupancy(hall.ledger, hall.tally)
    hall.step()
    hall.step()
    assert [c["remaining"] for c in hall.closings()] == [5]


def test_a_clock_that_is_set_later_loses_nobody_inside(tmp_path: Path) -> None:
    """Started without a clock: the passages move to where they belong, and count for the period they belong to."""
    hall = Hall(tmp_path, "2026-11-23T02:00:00", "04:00")
    hall.world.wrong_ns, hall.world.synchronised = -400 * 86_400 * 10**9, False
    hall.minutes((50, 3))
    hall.world.wrong_ns, hall.world.synchronised = 0, True
    hall.minutes((1, 0), (0, 0))
    assert hall.tally().inside == 48


def test_the_end_of_an_event_is_closed_with_what_the_count_cannot_explain(tmp_path: Path) -> None:
    hall = Hall(tmp_path, "2026-11-23T02:00:00", "00:00")
    hall.minutes((9, 0))
    hall.occupancy.set_inside(0, hall.now_ns)
    hall.minutes((120, 0), (3, 125))
    hall.occupancy.close(hall.now_ns)
    body = {"why": "event", "began": 0, "entered": 123, "left": 125, "remaining": -2}
    assert hall.closings() == [body]
    day = {"site": "s", "device": "d", "day": "2026-11-23", "at": "2026-11-23T12:00:00+09:00", "in": 1, "out": 0}
    day |= {"inside": 0, "inside_low": None, "inside_high": None, "blind_s": 0, "gates": [], "quarters": []}
    day |= {"staff": {"in": 0, "out": 0}, "noted": [{"at": "12:00", "kind": "closing", "body": body}], "check": None}
    assert "開始時 began 0 + 入場 in 123 - 退場 out 125 = 残り remaining -2" in day_csv(day)


def test_the_number_says_since_when_it_is_counted_and_the_closing_says_so_too(tmp_path: Path) -> None:
    reporter = Reporter(parse({"device": {"site": "ward", "name": "gate-1"}}), TOKYO)
    hall = Hall(tmp_path, "2026-11-23T02:00:00", "04:00")
    hall.minutes((9, 0))
    told = reporter.totals(hall.tally(), "0" * 8, hall.now_ns).occupancy
    assert (told.since, told.began, told.now) == ("2026-11-23T04:00:00+09:00", 0, 9)
    hall.occupancy.set_inside(100, hall.now_ns)
    hall.minutes((5, 2))
    told = reporter.totals(hall.tally(), "0" * 8, hall.now_ns).occupancy
    assert (told.since, told.began, told.now) == ("2026-11-23T11:01:00+09:00", 100, 103)
    hall.occupancy.close(hall.now_ns)
    closed = hall.occupancy.closed
    assert closed is not None
    said = reporter.closing(closed.at_ns, closed.body)
    assert (said.since, said.at, said.why) == (told.since, "2026-11-23T11:02:00+09:00", "event")
    assert (said.began, said.entered, said.left, said.remaining) == (100, 5, 2, 103)
    assert Occupancy(hall.ledger, hall.tally).closed == closed, "known after a restart"


def test_a_closing_of_an_earlier_version_does_not_know_since_when() -> None:
    reporter = Reporter(parse({"device": {"site": "ward", "name": "gate-1"}}), TOKYO)
    body = {"why": "schedule", "began": 0, "entered": 2, "left": 3, "remaining": -1}
    assert (reporter.closing(NOON_NS, body).since, reporter.closing(NOON_NS, body).remaining) == (None, -1)


NOON_NS = utc_ns("2026-11-23T12:00:00+09:00")


@pytest.mark.parametrize(
    ("before", "period", "remaining"),
    [
        ((50, 3), (52, 4), 11),  # two came and one left since
        ((50, 3), (50, 3), 10),
        ((50, 3), (2, 1), 10),  # a clock that was set moved those before the mark out of the period
        ((50, 3), (2, 9), 4),  # six more left since, whoever came
        ((0, 0), (0, 12), -2),  # more left than are known to have come
    ],
)
def test_totals_and_closing_cannot_disagree(
    tmp_path: Path, before: tuple[int, int], period: tuple[int, int], remaining: int
) -> None:
    hall = Hall(tmp_path, "2026-11-23T02:00:00", "00:00")
    hall.minutes(period)
    hall.occupancy.mark = Mark(hall.tally().period_ns, 10, {"door": before}, hall.now_ns)
    tally = hall.tally()
    assert balance(tally, "event")["remaining"] == remaining
    assert tally.inside == max(0, remaining)
    found = balance(tally, "event")
    assert found["began"] + found["entered"] - found["left"] == remaining


def test_before_a_check_the_bounds_are_assumed_and_say_so(tmp_path: Path) -> None:
    hall = Hall(tmp_path, "2026-11-23T02:00:00", "04:00")
    checking = Checking(parse({}), hall.ledger, TOKYO, lambda _: True)
    hall.minutes((200, 0), (200, 100))
    tally = checking.bounded(hall.tally(), hall.now_ns)
    assert tally.basis == "assumed"
    assert (tally.low, tally.inside, tally.high) == (261, 300, 346)
    # 10 % of those who came and of those who left, and seven hours past the gate: below by
    # sqrt((400 - 400 / 1.1)^2 + (100 / 0.9 - 100)^2 + 1.96^2 7) = 38.4, above by 45.6 likewise.
    assert tally.checked == (None, None), "the page shows an interval only where somebody has checked"
    hall.sleep(16)
    later = checking.bounded(hall.tally(), hall.now_ns)
    assert (later.high or 0) - (later.low or 0) > 346 - 261, "grows with time"


def test_a_mark_of_an_earlier_version_is_left_aside(tmp_path: Path) -> None:
    hall = Hall(tmp_path, "2026-11-23T02:00:00", "00:00")
    hall.ledger.write_note("occupancy", json.dumps({"day": "2026-11-23", "inside": 5, "gates": {}}))
    assert Occupancy(hall.ledger, hall.tally).mark is None


@pytest.mark.parametrize("at", ["24:00", "4:00", "04:10", "noon", ""])
def test_a_reset_that_is_no_quarter_of_an_hour_is_refused(at: str) -> None:
    with pytest.raises(SettingsError, match=r"occupancy\.reset_at"):
        parse({"occupancy": {"reset_at": at}})


EXACT = Estimate(0.0, 0.0, 0.0)


def width(watched: Watched, passed: int = 100) -> int:
    low, high = inside_bounds(500, passed, passed, EXACT, EXACT, watched)
    assert low <= 500 <= high
    return high - low


def test_the_interval_grows_with_time_though_nobody_passes() -> None:
    widths = [width(Watched(h, 0.0), 0) for h in (0.0, 1.0, 4.0, 9.0)]
    assert widths == sorted(set(widths))
    assert widths[0] == 0
    # 1.96 * sqrt(9 hours * 1 an hour) = 5.9 each way.
    assert widths[-1] == 12


def test_the_interval_grows_with_what_nobody_watched() -> None:
    seen, blind = width(Watched(2.0, 0.0)), width(Watched(2.0, 1.0))
    assert blind >= seen + 2 * 100, "as many may have passed in the hour that was not watched as in the other"
    assert width(Watched(1.0, 1.0)) < 10, "nothing was watched: the number was set and nothing is known beyond"
