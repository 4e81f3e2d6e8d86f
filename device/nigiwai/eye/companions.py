# SPDX-License-Identifier: Apache-2.0
"""Who walks together: pairs by how they move on the floor, groups by pairs. Pure; members never leave eye.

For each person the way on the floor is kept for some seconds. Two belong together if they were near each other for as
long as both were seen, at a distance that hardly changed, with the same velocity, and passed the gate shortly after one
another the same way. How much each of these says was fitted to simulated visitors (`python -m nigiwai.lab.company`):
what separates companions from strangers who happen to walk side by side is that the distance stays the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, hypot

import numpy as np
from numpy.typing import NDArray

from nigiwai.clock import BootNs
from nigiwai.eye.ground import Ground
from nigiwai.eye.types import Track

Floats = NDArray[np.float64]

STEP_NS = 200_000_000
MOST_STEPS = 50
"""Ten seconds of way are kept of each person."""

KEEP_NS = 12_000_000_000
"""How long the way of somebody gone is kept: whoever walks with them may not have passed yet."""

LEAST_SHARED = 5
"""Steps (1.0 s) that two must have been seen at the same time."""

LEAST_BESIDE = 8
BESIDE_M = 0.3
FAR_M = 2.5
SURELY = 0.7
"""Of somebody who was not counted: seen with another for this many steps, this far apart at least (a second box on one
body stands nearer) and at most, and walking with them with this probability.
"""

WEIGHTS = (5.9, -2.9, -1.5, -1.8, -0.7)
"""Logistic regression: constant; per metre of median distance; per metre of its spread (half of the range from the 10th
to the 90th percentile); per m/s of difference in velocity; per second between their passages."""

TOGETHER = 0.5


@dataclass(slots=True)
class Way:
    """Where somebody was: steps (multiples of STEP_NS) and places in m on the floor."""

    steps: list[int] = field(default_factory=list)
    places: list[tuple[float, float]] = field(default_factory=list)


class Ways:
    """The ways of everybody in view and of those who left lately."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._ways: dict[int, Way] = {}
        self._step = -1

    def update(self, tracks: Sequence[Track], at: BootNs) -> None:
        """Notes where everybody seen is, five times a second."""
        step = at // STEP_NS
        if step == self._step:
            return
        self._step = step
        oldest = step - KEEP_NS // STEP_NS
        self._ways = {n: w for n, w in self._ways.items() if w.steps[-1] >= oldest}
        seen = [t for t in tracks if t.seen]
        if not seen:
            return
        places = self._ground.view.to_floor(np.array([t.foot for t in seen])).tolist()
        for track, (x, y) in zip(seen, places, strict=True):
            if x == x and y == y:  # on the floor, not above the horizon
                self._note(track.number, step, (x, y))

    def _note(self, number: int, step: int, place: tuple[float, float]) -> None:
        way = self._ways.setdefault(number, Way())
        way.steps = [*way.steps[1 - MOST_STEPS :], step]
        way.places = [*way.places[1 - MOST_STEPS :], place]

    def of(self, number: int) -> Way:
        """That person's way as far as it is kept; empty if it is not known."""
        return self._ways.get(number) or Way()

    def forget(self) -> None:
        """Begins anew."""
        self._ways, self._step = {}, -1

    def together(self, a: int, b: int, apart_s: float) -> float:
        """How likely the two walk together, who passed `apart_s` after one another; 0 if that cannot be told."""
        seen = features(self.of(a), self.of(b))
        return 0.0 if seen is None else chance((*seen, apart_s))

    def beside(self, a: int, b: int) -> bool:
        """Whether b, who was not counted, surely walks with a: beside them, and not their own other half."""
        one, other = self._ways.get(a), self._ways.get(b)
        if one is None or other is None or not _near(one, other):
            return False
        seen = features(one, other, LEAST_BESIDE)
        return seen is not None and seen[0] >= BESIDE_M and chance((*seen, 0.0)) >= SURELY


def _near(a: Way, b: Way) -> bool:
    """Whether it can be at all that two walked side by side: asked of everybody, so it has to be quick."""
    last = min(a.steps[-1], b.steps[-1])
    if last - max(a.steps[0], b.steps[0]) < LEAST_BESIDE - 1 or last not in a.steps or last not in b.steps:
        return False
    (x, y), (u, v) = a.places[a.steps.index(last)], b.places[b.steps.index(last)]
    return hypot(x - u, y - v) <= FAR_M


def features(a: Way, b: Way, least: int = LEAST_SHARED) -> tuple[float, float, float] | None:
    """Median distance and its spread in m, and mean difference in velocity in m/s, while both were seen."""
    at_b = dict(zip(b.steps, b.places, strict=True))
    shared = [(s, p, at_b[s]) for s, p in zip(a.steps, a.places, strict=True) if s in at_b]
    if len(shared) < least:
        return None
    steps = np.array([s for s, _, _ in shared], np.float64) * STEP_NS / 1e9
    off = np.array([p for _, p, _ in shared]) - np.array([q for _, _, q in shared])
    distance = np.hypot(off[:, 0], off[:, 1])
    low, middle, high = (_quantile(np.sort(distance), q) for q in (0.1, 0.5, 0.9))
    return middle, (high - low) / 2, _drift(steps, off)


def _quantile(ordered: Floats, q: float) -> float:
    """As numpy has it by default; for a few numbers that takes a tenth of the time."""
    at = q * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (at - low) * (ordered[high] - ordered[low]))


def _drift(t: Floats, off: Floats) -> float:
    """How fast one moves as seen from the other, in m/s: the slope of a straight line through the offsets."""
    centred = t - t.mean()
    slope = centred @ (off - off.mean(axis=0)) / max(float(centred @ centred), 1e-9)
    return float(np.hypot(*slope))


def chance(seen: Sequence[float]) -> float:
    """The probability of walking together, from distance, spread, difference in velocity and time between passages."""
    score = WEIGHTS[0] + sum(w * x for w, x in zip(WEIGHTS[1:], seen, strict=True))
    return 1 / (1 + exp(-max(-60.0, min(60.0, score))))


def grouped(pairs: NDArray[np.float64]) -> list[list[int]]:
    """The groups of N people, given how likely each pair (N, N) walks together: merged while the mean over all pairs
    between two groups is at least TOGETHER (average linkage), so that one doubtful pair cannot join two families.
    """
    groups = [[i] for i in range(len(pairs))]
    while len(groups) > 1:
        means = {
            (i, j): float(pairs[np.ix_(groups[i], groups[j])].mean())
            for i in range(len(groups))
            for j in range(i + 1, len(groups))
        }
        (i, j), best = max(means.items(), key=lambda item: item[1])
        if best < TOGETHER:
            break
        groups[i] += groups.pop(j)
    return groups
