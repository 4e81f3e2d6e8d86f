# SPDX-License-Identifier: Apache-2.0
"""What link takes of the zones that eye tells."""

from types import SimpleNamespace

from nigiwai.door.zones import CLASSES, ZoneStats, ZoneSums
from nigiwai.link.keeper import Keeper
from nigiwai.settings import parse

HALL = {"name": "hall", "corners": [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]}


def stats(name: str, people: int, most: int) -> ZoneStats:
    return ZoneStats(at_ms=1, zones=(ZoneSums(zone=name, people=people, queue=0, most=most, dwell=(0,) * CLASSES),))


def keeper_with(table: dict[str, object]) -> Keeper:
    """A keeper without its house: what takes in the zones needs the settings only."""
    keeper = Keeper.__new__(Keeper)
    keeper._settings, keeper._zones, keeper._most = parse(table), None, {}
    drawn = SimpleNamespace(zone_names=tuple(z.name for z in keeper._settings.zone))
    keeper._clerk = SimpleNamespace(aiming=drawn)  # type: ignore[assignment]
    return keeper


def test_the_most_people_of_all_records_since_the_last_message_are_told() -> None:
    keeper = keeper_with({"zone": [HALL]})
    for people, most in ((2, 5), (3, 3)):
        keeper._see_zones(stats("hall", people, most))
    assert keeper._zones == stats("hall", 3, 3)
    assert keeper._most == {"hall": 5}


def test_zones_that_nobody_configured_are_not_told() -> None:
    keeper = keeper_with({})
    keeper._see_zones(stats("hall", 2, 2))
    assert keeper._zones is None
