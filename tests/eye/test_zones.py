# SPDX-License-Identifier: Apache-2.0
"""Zones: who is in, how long, who queues."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nigiwai.clock import BootNs
from nigiwai.door.codec import decode_from_eye, encode
from nigiwai.door.zones import MOST_VISITS, ZoneStats, ZoneSums
from nigiwai.eye.types import Track
from nigiwai.eye.zones import ZoneKeeper, Zones, contains
from nigiwai.geometry import Point
from nigiwai.settings import Zone

SIZE = (1000, 1000)
HALL = Zone(name="hall", corners=((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)))
S = 1_000_000_000


def person(foot: tuple[float, float], number: int = 1, seen: bool = True) -> Track:
    x, y = foot
    return Track(number, (x - 40, y - 200, x + 40, y), foot, 1.0, seen)


def stay(zones: Zones, spots: list[tuple[float, float] | None], start: int = 0, number: int = 1) -> None:
    for i, spot in enumerate(spots):
        zones.update([] if spot is None else [person(spot, number)], BootNs((start + i) * S // 5))


def test_a_visit_is_occupancy_then_dwell() -> None:
    zones = Zones([HALL], SIZE)
    stay(zones, [(500 + 20 * i, 500) for i in range(10)])
    assert zones.update([person((700, 500))], BootNs(2 * S))[0].occupancy == 1
    view = zones.update([], BootNs(3 * S))[0]
    assert (view.occupancy, sum(view.dwell), view.dwell[0]) == (0, 1, 1)


def test_crossing_a_corner_is_no_visit() -> None:
    zones = Zones([HALL], SIZE)
    stay(zones, [(150, 250), (210, 210), (250, 150), None])
    assert sum(zones.update([], BootNs(9 * S))[0].dwell) == 0


def test_wobbling_on_the_border_is_one_visit() -> None:
    zones = Zones([HALL], SIZE)
    stay(zones, [(500, 795 if i % 2 else 805) for i in range(100)])
    view = zones.update([], BootNs(60 * S))[0]
    assert view.dwell[2] == 1
    assert sum(view.dwell) == 1


def test_who_stands_queues_and_who_walks_does_not() -> None:
    zones = Zones([HALL], SIZE)
    for i in range(30):
        crowd = [person((400, 500), 1), person((420 + i * 0.5, 600), 2), person((250 + 15 * i, 400), 3)]
        view = zones.update(crowd, BootNs(i * S // 5))[0]
    assert (view.occupancy, view.queue) == (3, 2)


def test_somebody_hidden_stays_in() -> None:
    zones = Zones([HALL], SIZE)
    stay(zones, [(500, 500)] * 10)
    for i in range(10, 30):
        view = zones.update([person((500, 500), seen=False)], BootNs(i * S // 5))[0]
    assert view.occupancy == 1


@pytest.mark.parametrize(
    ("corners", "why"),
    [
        (((0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)), "edges cross"),
        (((0.1, 0.1), (0.9, 0.9), (0.1, 0.1)), "three different points"),
    ],
)
def test_polygons_that_are_none_are_refused(corners: tuple[tuple[float, float], ...], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Zone(name="hall", corners=corners)


@given(st.floats(0, 1), st.floats(0, 1))
def test_winding_does_not_matter(x: float, y: float) -> None:
    corners = [Point(0.1, 0.1), Point(0.9, 0.2), Point(0.5, 0.5), Point(0.8, 0.9), Point(0.2, 0.7)]
    assert contains(corners, Point(x, y)) == contains(corners[::-1], Point(x, y))


def test_sums_are_told_every_ten_seconds_and_only_grow() -> None:
    """Somebody stays for six seconds; then the camera changes its size, and somebody else stays as long."""
    keeper = ZoneKeeper([HALL])
    told = []
    for i in range(200):
        at = BootNs((10 + i) * S // 5)
        size = SIZE if i < 100 else (500, 500)
        foot = (size[0] / 2, size[1] / 2)
        tracks = [person(foot, number=i // 100)] if 10 <= i % 100 < 41 else []
        keeper.see(tracks, at, size)
        if (stats := keeper.maybe_stats(at)) is not None:
            told.append((i, stats))
    assert [i for i, _ in told] == [0, 50, 100, 150]
    assert [stats.zones[0].most for _, stats in told] == [0, 1, 0, 1]
    assert [sum(stats.zones[0].dwell) for _, stats in told] == [0, 1, 1, 2]
    assert told[-1][1].zones[0].dwell[1] == 2  # 5 to 15 s
    assert decode_from_eye(encode(told[-1][1])) == told[-1][1]


def test_without_zones_nothing_is_told() -> None:
    keeper = ZoneKeeper([])
    keeper.see([person((500, 500))], BootNs(S), SIZE)
    assert keeper.maybe_stats(BootNs(S)) is None


def test_the_largest_record_of_zones_fits_the_door() -> None:
    full = ZoneSums(zone="z" * 32, people=10_000, queue=10_000, most=10_000, dwell=(MOST_VISITS,) * 9)
    names = [f"{i}{'z' * 31}" for i in range(8)]
    stats = ZoneStats(at_ms=2**47, zones=tuple(full.model_copy(update={"zone": n}) for n in names))
    assert decode_from_eye(encode(stats)) == stats
