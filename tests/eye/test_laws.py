# SPDX-License-Identifier: Apache-2.0
"""Laws of tracker and gates together, for any walk and any frame times.

Mirrored left to right, any boxes whatever count the same. Reversed or cut into other frames, a walk counts the same if

- the person is wholly in the picture and seen in every frame, at most a third of a second apart (3 frames a second);
- they walk, at 0.3 to 1.1 of their height a second, straight between turns, however sharp these are;
- where the walk begins, turns and ends they are 0.6 of their height or more away from the line;
- they cross the line's course half a height or more within its ends or beyond them.

Nearer to the line than that a filter that lags at a sharp turn may decide otherwise in one direction than in the other,
and so may people: whether somebody who turned round on the doorstep was in is nobody's to say.
"""

from dataclasses import dataclass
from itertools import cycle, pairwise

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nigiwai.clock import BootNs
from nigiwai.eye.gates import Gates
from nigiwai.eye.tracker import Tracker
from nigiwai.eye.types import Detections
from nigiwai.settings import Gate
from tests.conftest import PROOF

SIZE = (1280, 720)
HIGH, WIDE = 120.0, 48.0
LINE = 400.0
ENDS = (320.0, 960.0)
DOOR = Gate(name="door", line=((ENDS[0] / 1280, LINE / 720), (ENDS[1] / 1280, LINE / 720)), inside=(0.5, 0.2))
MIRRORED = Gate(name="door", line=tuple((1 - x, y) for x, y in DOOR.line), inside=(0.5, 0.2))
AWAY = 0.6 * HIGH
MARGIN = 0.5 * HIGH
S = 1_000_000_000
EXAMPLES = 400 if PROOF else 25

Floats = NDArray[np.float64]
Spot = tuple[float, float]
Counts = tuple[int, int]


@dataclass(frozen=True)
class Walk:
    """Where somebody's foot turns, and how fast they walk each leg, in heights a second."""

    turns: tuple[Spot, ...]
    speeds: tuple[float, ...]

    def backwards(self) -> "Walk":
        return Walk(self.turns[::-1], self.speeds[: len(self.turns) - 1][::-1])

    def at(self, times: Floats) -> "np.ndarray":
        """(N, 2): where the foot is; who has arrived stays."""
        legs = [float(np.hypot(b[0] - a[0], b[1] - a[1])) for a, b in pairwise(self.turns)]
        ends = np.cumsum([0.0, *(leg / (v * HIGH) for leg, v in zip(legs, self.speeds, strict=False))])
        return np.stack([np.interp(times, ends, [p[k] for p in self.turns]) for k in (0, 1)], axis=1)

    @property
    def lasts_s(self) -> float:
        legs = zip(pairwise(self.turns), self.speeds, strict=False)
        return sum(float(np.hypot(b[0] - a[0], b[1] - a[1])) / (v * HIGH) for (a, b), v in legs)

    def true(self) -> Counts:
        """How often the legs go in and out between the line's ends."""
        found = [0, 0]
        for (ax, ay), (bx, by) in pairwise(self.turns):
            if (ay < LINE) != (by < LINE) and ENDS[0] < ax + (LINE - ay) / (by - ay) * (bx - ax) < ENDS[1]:
                found[by > ay] += 1
        return found[0], found[1]

    def is_plain(self) -> bool:
        """Whether no leg crosses the line's course near one of its ends."""
        for (ax, ay), (bx, by) in pairwise(self.turns):
            if (ay < LINE) != (by < LINE):
                x = ax + (LINE - ay) / (by - ay) * (bx - ax)
                if min(abs(x - end) for end in ENDS) < MARGIN:
                    return False
        return True


def frames_of(gaps: list[float], lasts_s: float) -> Floats:
    """The times of frames whose distances are `gaps` over and over, from 0 to beyond the end."""
    times, gap = [0.0], cycle(gaps)
    while times[-1] < lasts_s:
        times.append(times[-1] + next(gap))
    return np.array(times)


def seen_at(feet: Floats) -> Detections:
    """Exact boxes of people with their feet (N, 2) there."""
    boxes = [(x - WIDE / 2, y - HIGH, x + WIDE / 2, y) for x, y in feet.tolist()]
    return Detections(np.array(boxes, np.float32), np.full(len(boxes), 0.9, np.float32), np.zeros(len(boxes), np.uint8))


def count(frames: list[tuple[float, Detections]], gate: Gate = DOOR) -> Counts:
    tracker, gates, found = Tracker(), Gates([gate], SIZE), []
    for t, seen in [*frames, (frames[-1][0] + 60.0, Detections.empty())]:
        at = BootNs(S + round(t * S))
        found += [c.direction.value for c in gates.update(tracker.update(seen, at, SIZE), at)]
    return found.count("in"), found.count("out")


def count_walks(walks: tuple[Walk, ...], gaps: list[float]) -> Counts:
    times = frames_of(gaps, max(w.lasts_s for w in walks))
    places = np.stack([w.at(times) for w in walks], axis=1)
    return count([(t, seen_at(feet)) for t, feet in zip(times.tolist(), places, strict=True)])


speeds = st.lists(st.floats(0.3, 1.1), min_size=6, max_size=6).map(tuple)
frame_gaps = st.lists(st.floats(1 / 30, 1 / 3), min_size=1, max_size=9)


@st.composite
def walks(draw: st.DrawFn) -> Walk:
    """Anybody's, as the head of this file allows them."""
    across = st.integers(80, 1200).map(float)
    along = st.one_of(st.integers(int(HIGH) + 20, int(LINE - AWAY)), st.integers(int(LINE + AWAY), 690)).map(float)
    walk = Walk(tuple(draw(st.lists(st.tuples(across, along), min_size=2, max_size=6, unique=True))), draw(speeds))
    assume(walk.is_plain())
    return walk


@st.composite
def lanes(draw: st.DrawFn) -> tuple[Walk, ...]:
    """Up to four people who walk up and down beside each other, three quarters of their height apart."""
    begins = draw(st.lists(st.tuples(st.booleans(), st.integers(1, 4), speeds), min_size=1, max_size=4))
    found = []
    for lane, (inside, legs, fast) in enumerate(begins):
        x, ends = 420.0 + 90 * lane, (LINE - 1.5 * HIGH, LINE + 1.5 * HIGH)
        found.append(Walk(tuple((x, ends[(k + inside) % 2]) for k in range(legs + 1)), fast))
    return tuple(found)


@given(walks(), frame_gaps)
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_walk_at_any_frame_times_is_counted_as_it_was(walk: Walk, gaps: list[float]) -> None:
    assert count_walks((walk,), gaps) == walk.true()


@given(walks(), frame_gaps)
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_walk_backwards_counts_the_reverse(walk: Walk, gaps: list[float]) -> None:
    inward, outward = count_walks((walk,), gaps)
    assert count_walks((walk.backwards(),), gaps[::-1]) == (outward, inward)


@given(walks(), frame_gaps, frame_gaps)
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_walk_cut_into_other_frames_counts_the_same(walk: Walk, some: list[float], others: list[float]) -> None:
    assert count_walks((walk,), some) == count_walks((walk,), others)


@given(lanes(), frame_gaps)
@settings(max_examples=EXAMPLES, deadline=None)
def test_people_side_by_side_are_counted_one_by_one(people: tuple[Walk, ...], gaps: list[float]) -> None:
    assert count_walks(people, gaps) == tuple(map(sum, zip(*(w.true() for w in people), strict=True)))


quarter_px = st.integers(-80, 4 * 1280).map(lambda q: q / 4)
box = st.tuples(quarter_px, st.integers(-80, 4 * 720).map(lambda q: q / 4), st.integers(8, 600), st.integers(8, 800))
Rows = list[tuple[tuple[float, ...], float]]
any_frame = st.tuples(st.floats(0.03, 0.4), st.lists(st.tuples(box, st.sampled_from([0.2, 0.5, 0.9])), max_size=5))


@given(st.lists(any_frame, min_size=2, max_size=30))
@settings(max_examples=EXAMPLES, deadline=None)
def test_mirrored_boxes_count_the_same_whatever_they_are(film: list[tuple[float, Rows]]) -> None:
    plain, turned, t = [], [], 0.0
    for gap, anyhow in film:
        t, rows = t + gap, sorted(anyhow, key=lambda r: -r[1])
        boxes = np.array([(x, y, x + w / 2, y + h / 2) for (x, y, w, h), _ in rows], np.float32).reshape(-1, 4)
        other = np.stack((1280 - boxes[:, 2], boxes[:, 1], 1280 - boxes[:, 0], boxes[:, 3]), axis=1)
        score, kind = np.array([s for _, s in rows], np.float32), np.zeros(len(rows), np.uint8)
        plain.append((t, Detections(boxes, score, kind)))
        turned.append((t, Detections(other.astype(np.float32), score, kind)))
    assert count(plain) == count(turned, MIRRORED)
