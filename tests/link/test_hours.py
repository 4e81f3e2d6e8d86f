# SPDX-License-Identifier: Apache-2.0
"""Sums per local hour, as a reader of the messages makes them, are right over everything a clock and a calendar do.

Each hour has its own number of passages, so that one that is put into another hour shows.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from nigiwai.link.ledger import Ledger
from nigiwai.link.report import Reporter
from nigiwai.link.zone import load_zone
from nigiwai.settings import parse
from tests.link.harness import BRANCH, records_of, reference_consumer
from tests.link.world import Eye, S, World, everything, opened, utc_ns

HOUR_S = 3_600


def _play(ledger: Ledger, eye: Eye, truth: Counter[int], hours: int, heard: Callable[[], None]) -> None:
    """Hours of quarter-hour bins; each hour's passages grow by one. The truth is kept by the hour since 1970."""
    world = eye.world
    for _ in range(4 * hours):
        hour = world.true_utc_ns // S // HOUR_S
        entered = hour % 24 + 1
        ledger.commit([eye.bin(entered, 0)])
        truth[hour] += entered
        world.forward(895)
        ledger.tick(world.now(), 895 * S)
        heard()


CLOCKS: dict[str, tuple[int, bool, int, int]] = {
    # wrong by, synchronised, hours before it is set, wrong by from then on
    "right all day": (0, True, 1, 0),
    "three years back, set after an hour": (-3 * 365 * 86_400, False, 1, 0),
    "three years ahead, set after an hour": (3 * 365 * 86_400, False, 1, 0),
    "an hour back": (-HOUR_S, True, 2, 0),
    "an hour ahead": (HOUR_S, True, 2, 0),
}
CALENDARS = {
    "Tokyo, leap day": ("Asia/Tokyo", "2028-02-28T10:00:00"),
    "Berlin, 23 hours": ("Europe/Berlin", "2026-03-28T20:00:00"),
    "Berlin, 25 hours": ("Europe/Berlin", "2026-10-24T20:00:00"),
    "New York, leap year's eve": ("America/New_York", "2027-12-31T22:00:00"),
    "half an hour off": ("Asia/Kolkata", "2026-11-23T08:00:00"),
}


@pytest.mark.parametrize("calendar", CALENDARS)
@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("trust_system", [True, False])
def test_sums_per_local_hour_are_right(tmp_path: Path, calendar: str, clock: str, *, trust_system: bool) -> None:
    zone, begin = CALENDARS[calendar]
    wrong_s, synchronised, hours, then_s = CLOCKS[clock]
    world = World(true_boot_utc_ns=utc_ns(begin), wrong_ns=wrong_s * S, synchronised=synchronised)
    reporter = Reporter(parse({"device": {"site": "ward", "name": "gate-1"}}), load_zone(zone))
    eye, ledger = Eye(world), opened(tmp_path, world, trust_system=trust_system)
    ledger._db.execute("PRAGMA synchronous = OFF")
    ledger.greet(eye.hello())
    truth: Counter[int] = Counter()
    consumer: Any = reference_consumer().Consumer(":memory:", lambda *_: None)

    def hear() -> None:
        new = everything(ledger)
        for record in new:
            consumer.take(f"nigiwai/v1/{BRANCH}/counts", reporter.counts(record, late=False).to_json())
        ledger.acknowledge([r.key for r in new], world.now().utc_ns)

    _play(ledger, eye, truth, hours, hear)
    world.wrong_ns, world.synchronised = then_s * S, True
    ledger.tick(world.now(), 0)
    hear()
    _play(ledger, eye, truth, 14, hear)
    ledger.finish()
    hear()

    told: Counter[str] = Counter()
    for message in records_of(consumer, BRANCH):
        told[_local_hour(message["start"])] += message["gates"].get("door", {"in": 0})["in"]
    expected: Counter[str] = Counter()
    for hour, entered in truth.items():  # quarters, since half-hour zones cut hours in two
        for quarter in range(4):
            at = datetime.fromtimestamp(hour * HOUR_S + 900 * quarter, ZoneInfo(zone))
            expected[_local_hour(at.isoformat())] += entered // 4
    assert {k: v for k, v in told.items() if v} == dict(expected)
    corrected = [m for m in records_of(consumer, BRANCH) if m["clock"] == "corrected"]
    assert bool(corrected) == (wrong_s != then_s)
    assert all("restamped" in m["flags"] for m in corrected) or not trust_system
    consumer.db.close()
    ledger.close()


def _local_hour(stamp: str) -> str:
    """The hour and its offset: the one that comes twice in autumn is two."""
    at = datetime.fromisoformat(stamp)
    return (at - timedelta(minutes=at.minute, seconds=at.second, microseconds=at.microsecond)).isoformat()
