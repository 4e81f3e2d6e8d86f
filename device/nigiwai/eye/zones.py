# SPDX-License-Identifier: Apache-2.0
"""Areas of the floor: how many are there, how long they stayed, how many queue. Pure; only sums ever leave.

A person is in a zone whose feet are in its polygon, and leaves it when the feet are out for LEAVE_S: a wobbling box at
the border is neither a visit nor its end. Who hardly moved for QUEUE_S while in the zone queues.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from nigiwai.clock import BootNs
from nigiwai.door.zones import CLASSES, DWELL_EDGES_S, EVERY_S, MOST_VISITS, ZoneStats, ZoneSums
from nigiwai.eye.types import Track
from nigiwai.geometry import Point
from nigiwai.settings import Zone

LEAVE_S = 1.0
LEAST_VISIT_S = 1.0
"""A shorter stay is walking across a corner."""

QUEUE_S = 3.0
QUEUE_STEP = 0.35
"""Whoever moved less than this many body sizes within QUEUE_S stands: 0.2 m/s, the pace of a queue that shuffles on."""


@dataclass(frozen=True, slots=True)
class ZoneView:
    """One zone at one time: people in it, those of them who queue, and how many ended visits fell into each class."""

    name: str
    occupancy: int
    queue: int
    dwell: tuple[int, ...]


@dataclass(slots=True)
class _Visit:
    since: BootNs
    last_in: BootNs
    still_since: BootNs
    still_at: tuple[float, float]


@dataclass(slots=True)
class _Area:
    zone: Zone
    corners: tuple[Point, ...]
    visits: dict[int, _Visit] = field(default_factory=dict)
    dwell: list[int] = field(default_factory=lambda: [0] * CLASSES)


class Zones:
    """All zones of one view."""

    def __init__(self, zones: Sequence[Zone], size: tuple[int, int]) -> None:
        self._areas = [_Area(z, tuple(Point(x * size[0], y * size[1]) for x, y in z.corners)) for z in zones]
        self._at: BootNs | None = None

    def update(self, tracks: Sequence[Track], at: BootNs) -> tuple[ZoneView, ...]:
        """Every zone after this frame; times that do not go forward change nothing."""
        if self._at is None or at > self._at:
            self._at = at
            for area in self._areas:
                _follow(area, tracks, at)
        return tuple(self._view(area) for area in self._areas)

    def _view(self, area: _Area) -> ZoneView:
        now = self._at or BootNs(0)
        there = [v for v in area.visits.values() if now - v.since >= LEAST_VISIT_S * 1e9]
        queue = sum(now - v.still_since >= QUEUE_S * 1e9 for v in there)
        return ZoneView(area.zone.name, len(there), queue, tuple(area.dwell))


def _follow(area: _Area, tracks: Sequence[Track], at: BootNs) -> None:
    """Begins, continues and ends the visits of one zone; somebody hidden for a moment stays where they were."""
    here = {t.number for t in tracks}
    for track in tracks:
        visit = area.visits.get(track.number)
        if visit is not None and not track.seen:
            visit.last_in = at
        elif track.seen and contains(area.corners, Point(*track.foot)):
            if visit is None:
                visit = area.visits[track.number] = _Visit(at, at, at, track.foot)
            _stand_or_move(visit, track, at)
            visit.last_in = at
    for number, visit in list(area.visits.items()):
        if number not in here or at - visit.last_in > LEAVE_S * 1e9:
            _end(area, area.visits.pop(number))


def _stand_or_move(visit: _Visit, track: Track, at: BootNs) -> None:
    dx, dy = track.foot[0] - visit.still_at[0], track.foot[1] - visit.still_at[1]
    size = max(track.height_px, 2 * (track.xyxy[2] - track.xyxy[0]))
    allowed_s = max(1.0, (at - visit.still_since) / 1e9 / QUEUE_S)
    if (dx * dx + dy * dy) ** 0.5 > QUEUE_STEP * size * allowed_s:
        visit.still_since, visit.still_at = at, track.foot


def _end(area: _Area, visit: _Visit) -> None:
    stayed_s = (visit.last_in - visit.since) / 1e9
    if stayed_s >= LEAST_VISIT_S:
        area.dwell[sum(stayed_s > edge for edge in DWELL_EDGES_S)] += 1


def contains(corners: Sequence[Point], p: Point) -> bool:
    """Whether `p` lies in the polygon, however it winds (even-odd rule)."""
    inside = False
    for a, b in zip(corners, (*corners[1:], corners[0]), strict=True):
        if (a.y > p.y) != (b.y > p.y) and p.x < a.x + (p.y - a.y) / (b.y - a.y) * (b.x - a.x):
            inside = not inside
    return inside


class ZoneKeeper:
    """The zones of one camera over changes of its frames' size, and when to tell of them."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        self._zones = zones
        self._size: tuple[int, int] | None = None
        self._followed: Zones | None = None
        self._before = {zone.name: (0,) * CLASSES for zone in zones}
        self._most = {zone.name: 0 for zone in zones}
        self._views: tuple[ZoneView, ...] = ()
        self._told_at: BootNs | None = None

    def change(self, zones: Sequence[Zone], at: BootNs) -> None:
        """Other zones from here on. Visits under way end; those of the same name go on with their sums."""
        self._end_visits(at)
        self._zones, self._followed, self._views = zones, None, ()
        self._before = {zone.name: self._before.get(zone.name, (0,) * CLASSES) for zone in zones}
        self._most = {zone.name: 0 for zone in zones}

    def see(self, tracks: Sequence[Track], at: BootNs, size: tuple[int, int]) -> None:
        """Takes note of one frame that the detector saw; visits under way end where the frames' size changes."""
        if self._followed is None or size != self._size:
            self._end_visits(at)
            self._followed, self._size = Zones(self._zones, size), size
        self._views = self._followed.update(tracks, at)
        self._most = {v.name: max(self._most[v.name], v.occupancy) for v in self._views}

    def maybe_stats(self, at: BootNs) -> ZoneStats | None:
        """What to tell now; None until EVERY_S have passed, and where there is no zone."""
        if not self._views or (self._told_at is not None and at - self._told_at < EVERY_S * 1e9):
            return None
        self._told_at = at
        sums = tuple(
            ZoneSums(zone=v.name, people=v.occupancy, queue=v.queue, most=self._most[v.name], dwell=self._dwell(v))
            for v in self._views
        )
        self._most = {v.name: v.occupancy for v in self._views}
        return ZoneStats(at_ms=at // 1_000_000, zones=sums)

    def _dwell(self, view: ZoneView) -> tuple[int, ...]:
        return tuple(min(a + b, MOST_VISITS) for a, b in zip(self._before[view.name], view.dwell, strict=True))

    def _end_visits(self, at: BootNs) -> None:
        if self._followed is not None:
            self._before |= {view.name: self._dwell(view) for view in self._followed.update((), at)}
