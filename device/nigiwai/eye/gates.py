# SPDX-License-Identifier: Apache-2.0
"""Who passed which gate: a table of states with hysteresis, once per true passage.

A person counts who was clearly on one side and is then clearly on the other, having passed the line between its ends.
"Clearly" is 25 cm away from the line, measured by the person's own size, so that a wobbling box, somebody waiting on
the line or somebody walking along it is never counted, however long it lasts.

                 outside, clear | outer band : inner band | inside, clear
    person A  -------------------------------*-----------> counted in, at *
    person B  -------------------------*-----*   turns back: not counted
    person C               found here: o-----*-----------> counted in: its foot was seen to pass the line
    person D                     found here:   o ---------> counted in if it came across briskly (see judge_birth)

Within the bands crossings of the line are summed: +1 towards inside, -1 towards outside, 0 beyond the line's ends. Only
that sum decides, so reversing time reverses every count, and turning the picture round changes none. Near the picture's
edge the bands shrink to half of the room there is.

A track that begins or ends within the bands is judged by its motion. Direction comes from `inside` and nothing else.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

import numpy as np

from nigiwai.clock import BootNs
from nigiwai.eye.gate_line import GateLine
from nigiwai.eye.ground import Ground, bands_px
from nigiwai.eye.motion import Floats, size_of, squareness
from nigiwai.eye.types import Crossing, Direction, Track
from nigiwai.geometry import Point
from nigiwai.settings import Gate

HYSTERESIS = 0.147
"""Half the width of the undecided band, in sizes of the person: 25 cm for an adult of 1.7 m seen from the side.
Filtered foot points of still people stray by 2 to 3 % (sd) when the detector's boxes stray by 5 %."""

HYSTERESIS_ABOVE = 0.25
"""The same 25 cm of somebody seen from above, whose size is twice the breadth of the shoulders, 1.0 m."""

CLEAR_M = 0.25
"""The same on the floor: where the view is measured the band is at least as wide as these 25 cm look at the line."""

EDGE_SHARE = 0.5
"""Share of the room between gate and picture's edge that the band may take."""

LEAST_BAND = 0.02
"""The band never gets narrower than this, in sizes of the person."""

END_SLACK = 0.15
"""Who passes this far beside the end of the line, in sizes of the person, still passed through it."""

BRISK_PER_S = 0.35
"""Sizes per second across the line that tell walking through (0.8) from shifting one's weight or a drifting box."""

ALMOST = 0.6
"""Share of the band after which a slow walker, who is then lost, has passed: 2.5 sd of a still foot's straying."""

LEAD_S = 0.6
"""How far a path is prolonged back to the line before its beginning."""

PROVEN = 0.25
"""Whoever is judged by their motion must have come this far across the line, in sizes: 4 sd of the straying between a
first sight, which no filter steadies, and a later one. Flickering boxes move less."""

BIRTH_S = 3.0
"""Who was first seen in the band and stayed there longer than this stood in the doorway: nobody knows from where."""

MEMORY_S = 3.0
"""How long after somebody counted was last seen whoever appears there is taken for them, under another number."""


class Side(Enum):
    """Where a person was last clearly seen; NEW is nowhere yet."""

    NEW = auto()
    OUTSIDE = auto()
    INSIDE = auto()


class Step(Enum):
    """What to do when a person is clearly on a side."""

    STAY = auto()
    JUDGE_BIRTH = auto()
    COUNT = auto()


TABLE: dict[tuple[Side, Side], Step] = {
    (Side.NEW, Side.OUTSIDE): Step.JUDGE_BIRTH,
    (Side.NEW, Side.INSIDE): Step.JUDGE_BIRTH,
    (Side.OUTSIDE, Side.OUTSIDE): Step.STAY,
    (Side.OUTSIDE, Side.INSIDE): Step.COUNT,
    (Side.INSIDE, Side.INSIDE): Step.STAY,
    (Side.INSIDE, Side.OUTSIDE): Step.COUNT,
}
"""(was clearly, is clearly) -> step. Being in the band is no event."""


@dataclass(slots=True)
class Sample:
    """One sight of a person by a gate: when, where, how far inside, their size and the band there (px)."""

    at: BootNs
    foot: tuple[float, float]
    inner: float
    scale: float
    band: float


@dataclass(slots=True)
class Passage:
    """What one gate knows of one person. `net` sums crossings since last clear; `anchor` is a sight 0.3 s or so ago.

    Who is not `sure` to be a person is not judged until they are; what only looks like one never is.
    """

    first: Sample
    last: Sample
    anchor: Sample
    side: Side = Side.NEW
    net: int = 0
    crossed_at: BootNs | None = None
    sure: bool = False


@dataclass(slots=True)
class Counted:
    """Somebody who was counted: which way, under which number, and where they were last seen."""

    number: int
    direction: Direction
    last: Sample


@dataclass(slots=True)
class Lane:
    """One gate and everybody in view of it."""

    name: str
    line: GateLine
    bands: tuple[Floats, Floats] | None = None
    """Points (K, 2) along the line and the band (K,) there, both in px, where the view is measured."""

    people: dict[int, Passage] = field(default_factory=dict)
    counted: deque[Counted] = field(default_factory=lambda: deque(maxlen=64))
    passers: list[int] = field(default_factory=list)
    widest: float = 0.0
    """The widest of the bands, in px."""

    def __post_init__(self) -> None:
        if self.bands is not None:
            self.widest = float(self.bands[1].max())

    def band_at(self, foot: tuple[float, float]) -> float:
        """The band in px of whoever stands there, where the view is measured; 0 elsewhere."""
        if self.bands is None:
            return 0.0
        points, there = self.bands
        return float(there[((points - foot) ** 2).sum(axis=1).argmin()])


class Gates:
    """All gates of one view."""

    def __init__(self, gates: Sequence[Gate], size: tuple[int, int], ground: Ground | None = None) -> None:
        """ground: the view, where it is measured; without, the band goes by the size of each person."""
        lines = [(g.name, GateLine.of(g.line, g.inside, size)) for g in gates]
        self._lanes = [Lane(name, line, _bands(line, ground)) for name, line in lines]
        self._at: BootNs | None = None
        self._passers: tuple[int, ...] = ()

    @property
    def passers(self) -> tuple[int, ...]:
        """The tracks of the last update's crossings, in their order; for the sums of traits, and never out of eye."""
        return self._passers

    def update(self, tracks: Sequence[Track], at: BootNs) -> tuple[Crossing, ...]:
        """The passages that became certain with this frame; `at` must be later than before, or nothing happens.

        A Crossing's own `at` lies earlier, where the foot met the line.
        """
        self._passers = ()
        if self._at is not None and at <= self._at:
            return ()
        self._at = at
        crossings = tuple(c for lane in self._lanes for c in _update(lane, tracks, at))
        self._passers = tuple(n for lane in self._lanes for n in lane.passers)
        return crossings


def _update(lane: Lane, tracks: Sequence[Track], at: BootNs) -> list[Crossing]:
    """The passages of one gate."""
    lane.passers.clear()
    crossings: list[Crossing] = []
    seen = [t for t in tracks if t.seen]
    for track, sample in zip(seen, _samples(lane, seen, at), strict=True):
        passage = lane.people.get(track.number)
        if passage is None:
            passage = lane.people[track.number] = _first_sight(lane, track, sample)
        passage.sure = track.sure
        crossings += _advance(lane, track.number, passage, sample)
    here = {t.number for t in tracks}
    for number in [n for n in lane.people if n not in here]:
        gone = lane.people.pop(number)
        for counted in lane.counted:
            if counted.number == number:
                counted.last = gone.last
        crossings += _judge_end(lane, number, gone)
    return crossings


def _bands(line: GateLine, ground: Ground | None) -> tuple[Floats, Floats] | None:
    """The band along the line where the view is measured."""
    return None if ground is None else bands_px(ground.view, np.array(line.corners), CLEAR_M)


def _samples(lane: Lane, tracks: Sequence[Track], at: BootNs) -> list[Sample]:
    """What the gate sees of each track.

    The band is only measured for those whom the widest one may hold; whoever is beyond that is clear of all.
    """
    feet = [t.foot for t in tracks]
    scales = [size_of(t.xyxy) for t in tracks]
    samples = [
        Sample(at, foot, inner, scale, max(HYSTERESIS_ABOVE * scale, lane.widest))
        for foot, inner, scale in zip(feet, lane.line.inners(feet), scales, strict=True)
    ]
    for track, sample in zip(tracks, samples, strict=True):
        if abs(sample.inner) < sample.band:
            _measure_band(lane, track, sample)
    return samples


def _measure_band(lane: Lane, track: Track, sample: Sample) -> None:
    """Sets the band of somebody near the line, by how they look and where they are."""
    share = HYSTERESIS + (HYSTERESIS_ABOVE - HYSTERESIS) * squareness(track.xyxy, lane.line.size[1])
    sample.band = max(sample.scale * share, lane.band_at(sample.foot))
    if abs(sample.inner) < sample.band:  # nobody beyond the widest band needs the picture's edge
        room = EDGE_SHARE * lane.line.room_here(sample.foot, sample.inner)
        sample.band = max(LEAST_BAND * sample.scale, min(sample.band, room))


def _first_sight(lane: Lane, track: Track, sample: Sample) -> Passage:
    """Begins where the track began, before it was certain."""
    first = sample
    if track.origin is not None and track.age_s > 0:
        began = BootNs(sample.at - round(track.age_s * 1e9))
        inner = lane.line.inner(Point(*track.origin))
        first = Sample(began, track.origin, inner, sample.scale, sample.band)
        if abs(inner) < first.band:
            _measure_band(lane, track, first)
    passage = Passage(first, first, first)
    if (side := _clear_side(first)) is not None:
        passage.side = side
    return passage


def _clear_side(sample: Sample) -> Side | None:
    if abs(sample.inner) < sample.band:
        return None
    return Side.INSIDE if sample.inner > 0 else Side.OUTSIDE


def _advance(lane: Lane, number: int, passage: Passage, sample: Sample) -> list[Crossing]:
    """Moves one person on by one sight."""
    last = passage.last
    if (last.inner < 0) != (sample.inner < 0):
        meeting, at = _meeting(lane.line, last, sample)
        if lane.line.beside(meeting) <= END_SLACK * sample.scale:
            passage.net += 1 if sample.inner >= 0 else -1
            passage.crossed_at = at
    if sample.at - passage.anchor.at > 0.3e9:
        passage.anchor = last
    passage.last = sample
    side = _clear_side(sample)
    if side is None or not passage.sure:
        return []
    if side is passage.side and not passage.net:  # nothing new, as for nearly everybody in nearly every frame
        passage.crossed_at = None
        return []
    return [] if _unproven(passage) else _settle(lane, number, passage, side)


def _unproven(passage: Passage) -> bool:
    """Whether it is too early to judge somebody first seen in the band."""
    first, last = passage.first, passage.last
    early = last.at - first.at <= BIRTH_S * 1e9
    return passage.side is Side.NEW and early and abs(last.inner - first.inner) < PROVEN * last.scale


def _settle(lane: Lane, number: int, passage: Passage, side: Side) -> list[Crossing]:
    """Applies the table to a person who is now clearly on `side`."""
    step = TABLE[passage.side, side]
    inward = side is Side.INSIDE
    through = passage.net > 0 if inward else passage.net < 0
    crossings = []
    if (step is Step.COUNT and through) or (step is Step.JUDGE_BIRTH and _born_across(lane, passage, inward, through)):
        at = passage.crossed_at if passage.crossed_at is not None else passage.first.at
        crossings = _count(lane, number, passage, inward, at)
    passage.side, passage.net, passage.crossed_at = side, 0, None
    return crossings


def _count(lane: Lane, number: int, passage: Passage, inward: bool, at: BootNs) -> list[Crossing]:
    direction = Direction.IN if inward else Direction.OUT
    lane.counted.append(Counted(number, direction, passage.last))
    lane.passers.append(number)
    return [Crossing(lane.name, direction, at)]


def _born_across(lane: Lane, passage: Passage, inward: bool, through: bool) -> bool:
    """Whether somebody first seen in the band came through the gate, now that the band is behind them."""
    first, last = passage.first, passage.last
    lingered = last.at - first.at > BIRTH_S * 1e9
    if lingered or _continues_a_count(lane, passage, inward):
        return False
    if through:
        return _speed(first, last, inward) >= BRISK_PER_S
    return passage.net == 0 and _leads_across(lane.line, last, first, inward)


def _judge_end(lane: Lane, number: int, passage: Passage) -> list[Crossing]:
    """Whether somebody last seen in the band went on through the gate: whoever had passed the line and still walked on,
    briskly or to the better part of the band.

    Somebody lost before the line is not counted: most of those were only hidden, and come back under a new number.
    """
    last = passage.last
    if not passage.sure or passage.side is Side.NEW or _clear_side(last) is not None:
        return []
    inward = passage.side is Side.OUTSIDE
    through = passage.net > 0 if inward else passage.net < 0
    speed = _speed(passage.anchor, last, inward)
    came = abs(last.inner - passage.first.inner) >= PROVEN * last.scale
    if not through or not came or speed <= 0 or (speed < BRISK_PER_S and abs(last.inner) < ALMOST * last.band):
        return []
    at = passage.crossed_at if passage.crossed_at is not None else last.at
    return _count(lane, number, passage, inward, at)


def _speed(a: Sample, b: Sample, inward: bool) -> float:
    """Sizes per second across the line from the earlier to the later of two sights, positive in the direction asked."""
    early, late = (a, b) if a.at <= b.at else (b, a)
    if late.at == early.at:
        return 0.0
    rate = (late.inner - early.inner) / ((late.at - early.at) / 1e9) / late.scale
    return rate if inward else -rate


def _leads_across(line: GateLine, far: Sample, near: Sample, inward: bool) -> bool:
    """Whether the way from `far` to `near`, prolonged straight for LEAD_S, passes the gate briskly that way."""
    speed = _speed(far, near, inward)
    if speed < BRISK_PER_S or abs(near.inner) > speed * near.scale * LEAD_S:
        return False
    share = near.inner / (far.inner - near.inner)
    return line.beside(_between(near, far, -share)) <= END_SLACK * near.scale


def _continues_a_count(lane: Lane, passage: Passage, inward: bool) -> bool:
    """Whether somebody counted in this direction was last seen just before and just there, and not since."""
    first = passage.first
    direction = Direction.IN if inward else Direction.OUT
    for counted in lane.counted:
        other = lane.people.get(counted.number)
        last = counted.last if other is None else other.last
        near = abs(last.foot[0] - first.foot[0]) + abs(last.foot[1] - first.foot[1]) < first.scale
        if counted.direction is direction and near and 0 <= first.at - last.at < MEMORY_S * 1e9:
            return True
    return False


def _meeting(line: GateLine, a: Sample, b: Sample) -> tuple[Point, BootNs]:
    """Where and when the straight way between two sights met the line, its ends prolonged."""
    share = a.inner / (a.inner - b.inner) if line.straight else _share_at_bend(line, a, b)
    return _between(a, b, share), BootNs(a.at + round(share * (b.at - a.at)))


def _share_at_bend(line: GateLine, a: Sample, b: Sample) -> float:
    """Which share of the way between two sights had been gone at the line, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(24):
        middle = (low + high) / 2
        inner = line.inner(_between(a, b, middle))
        low, high = (middle, high) if (inner < 0) == (a.inner < 0) else (low, middle)
    return (low + high) / 2


def _between(a: Sample, b: Sample, share: float) -> Point:
    (ax, ay), (bx, by) = a.foot, b.foot
    return Point(ax + share * (bx - ax), ay + share * (by - ay))
