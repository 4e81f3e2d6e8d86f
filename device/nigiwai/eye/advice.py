# SPDX-License-Identifier: Apache-2.0
"""Advice on where the camera is and looks, from people seen so far: sizes, feet, cut boxes, the roll. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from nigiwai.door.field import Advised, Hint
from nigiwai.eye.gate_line import LEAST_ROOM, room_share
from nigiwai.geometry import Point, distance_to_polyline, nearest_on_segment
from nigiwai.settings import Gate

LEAST_SIGHTS = 20
"""Before so many sights there is no advice: about three people walking by."""

LEAST_PX = 48
"""A person's height in the detector's input at the gate. Small people are found worst (size columns of the detector's
card) and peers ask for 30 to 50; where exactly ours begins to fail has not been measured."""

MOST_SHARE = 0.9
CUT_SHARE = 0.3
"""So many cut boxes are no accident."""

FIELD_DEG = 45.0
"""Vertical field of view assumed for "tilt by so much": Pi cameras 2 and 3 have 48.8 and 41 degrees (Raspberry Pi
documentation, camera hardware table)."""

ROLL_DEG = 3.0
LEAST_ROLL_SIGHTS = 60


@dataclass(frozen=True, slots=True)
class Sight:
    """Somebody once: foot and height in parts of the picture, and whether the picture's edge cuts head or feet."""

    x: float
    y: float
    height: float
    head_cut: bool
    feet_cut: bool


def advise(
    sights: Sequence[Sight], gates: Sequence[Gate], detector_px: int, size: tuple[int, int] = (16, 9)
) -> tuple[Advised, ...]:
    """What to do, most important first; WAITING before enough was seen, GOOD where nothing is to be done.

    detector_px: the height of the detector's input; size: the picture's.
    """
    edged = [a for g in gates for a in _at_edge(g, size)]
    if len(sights) < LEAST_SIGHTS:
        return (*edged, _advised(Hint.WAITING, None, len(sights), LEAST_SIGHTS))
    found = [*edged, *_cut(sights), *(a for g in gates for a in _at_gate(sights, g, detector_px)), *_rolled(sights)]
    return tuple(found[:12]) or (_advised(Hint.GOOD, None, 0, 0),)


def _advised(hint: Hint, gate: str | None, have: float, need: float) -> Advised:
    return Advised(hint=hint, gate=gate, have=max(0, round(have)), need=max(0, round(need)))


def _at_edge(gate: Gate, size: tuple[int, int]) -> list[Advised]:
    """A gate where nobody is seen on both sides, which shows before anybody walks."""
    room = room_share(gate.line, size)
    return [_advised(Hint.GATE_AT_EDGE, gate.name, room * 100, LEAST_ROOM * 100)] if room < LEAST_ROOM else []


def _cut(sights: Sequence[Sight]) -> list[Advised]:
    feet = sum(s.feet_cut for s in sights) / len(sights)
    heads = sum(s.head_cut for s in sights) / len(sights)
    if feet > CUT_SHARE:
        return [_advised(Hint.FEET_CUT, None, feet * 100, CUT_SHARE * 100)]
    if heads > CUT_SHARE and feet < CUT_SHARE / 3:
        return [_advised(Hint.TILT_UP, None, 0.15 * FIELD_DEG, 0)]
    return []


def _at_gate(sights: Sequence[Sight], gate: Gate, detector_px: int) -> list[Advised]:
    """What those tell who were near the gate."""
    line = [Point(*p) for p in gate.line]
    near = [s for s in sights if distance_to_polyline(Point(s.x, s.y), line) < max(0.05, 0.4 * s.height)]
    if len(near) < LEAST_SIGHTS // 2:
        return [_advised(Hint.WAITING, gate.name, len(near), LEAST_SIGHTS // 2)]
    found = []
    height = median(s.height for s in near)
    if height * detector_px < LEAST_PX:
        found.append(_advised(Hint.TOO_SMALL, gate.name, height * detector_px, LEAST_PX))
    if height > MOST_SHARE:
        found.append(_advised(Hint.TOO_LARGE, gate.name, height * 100, MOST_SHARE * 100))
    room = 1.0 - max(p.y for p in line)
    if room < 0.3 * height:
        found.append(_advised(Hint.TILT_DOWN, gate.name, (0.3 * height - room + 0.05) * FIELD_DEG, 0))
    return found + _unseen_third(near, gate, line)


def _unseen_third(near: Sequence[Sight], gate: Gate, line: Sequence[Point]) -> list[Advised]:
    """The first third of the gate, from its left end, where no foot came; 1 left, 2 middle, 3 right."""
    ends = (line[0], line[-1]) if line[0].x <= line[-1].x else (line[-1], line[0])
    places = [nearest_on_segment(Point(s.x, s.y), *ends)[1] for s in near]
    seen = {min(2, int(place * 3)) for place in places}
    missing = next((i for i in range(3) if i not in seen), None)
    return [] if missing is None else [_advised(Hint.GATE_PART_UNSEEN, gate.name, missing + 1, 3)]


def _rolled(sights: Sequence[Sight]) -> list[Advised]:
    """The camera's roll: people of one size grow straight down the picture, or along a slant where it is rolled.

    height = a + b x + c y by least squares; the slant of (b, c) is the roll, told where it is clear of chance.
    """
    whole = [s for s in sights if not s.head_cut and not s.feet_cut]
    if len(whole) < LEAST_ROLL_SIGHTS:
        return []
    places = np.array([[1.0, s.x * 16 / 9, s.y] for s in whole])
    heights = np.array([s.height for s in whole])
    solved, _, rank, _ = np.linalg.lstsq(places, heights, rcond=None)
    if rank < 3 or solved[2] <= 0.1:
        return []
    spread = float(np.std(heights - places @ solved))
    covariance = np.linalg.inv(places.T @ places) * spread**2
    degrees = math.degrees(math.atan2(float(solved[1]), float(solved[2])))
    doubt = math.degrees(math.sqrt(max(0.0, float(covariance[1, 1])))) / float(solved[2]) * 3
    return [_advised(Hint.ROLLED, None, abs(degrees), 0)] if abs(degrees) > max(ROLL_DEG, doubt) else []
