# SPDX-License-Identifier: Apache-2.0
"""What link takes of the zones that eye tells."""

from nigiwai.door.zones import CLASSES, ZoneStats, ZoneSums
from nigiwai.link.telling import ZoneNews


def stats(name: str, people: int, most: int) -> ZoneStats:
    return ZoneStats(at_ms=1, zones=(ZoneSums(zone=name, people=people, queue=0, most=most, dwell=(0,) * CLASSES),))


def test_the_most_people_of_all_records_since_the_last_message_are_told() -> None:
    news = ZoneNews()
    for people, most in ((2, 5), (3, 3)):
        news.see(stats("hall", people, most), ("hall",))
    assert news.take() == (stats("hall", 3, 3), {"hall": 5})
    assert news.take() is None, "told once"


def test_zones_that_nobody_configured_are_not_told() -> None:
    news = ZoneNews()
    news.see(stats("hall", 2, 2), ())
    assert news.take() is None
