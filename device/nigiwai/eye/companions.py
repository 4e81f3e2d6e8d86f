# SPDX-License-Identifier: Apache-2.0
"""Who walks together: pairs by how they move on the floor. Pure; members never leave eye.

For each person the way on the floor is kept for some seconds. Two belong together if they were near each other for as
long as both were seen, at a distance that hardly changed, hardly one behind the other, with the same velocity, and
passed the gate shortly after one another the same way. How much each of these says was fitted to simulated visitors and
rendered recordings together (`python -m nigiwai.lab.rendered --fit`, docs/accuracy.md names the recordings). Groups are
made of pairs, and of ages, in kinship.py.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import hypot
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from nigiwai.eye.ground import Ground
from nigiwai.eye.sight import STEP_NS, Sight

Floats = NDArray[np.float64]

MOST_STEPS = 50
"""Ten seconds of way are kept of each person."""

KEEP_NS = 12_000_000_000
"""How long the way of somebody gone is kept: whoever walks with them may not have passed yet."""

LEAST_SHARED = 5
"""Steps (1.0 s) that two must have been seen at the same time, or would have been had they walked on."""

WALKS_ON = 6
LEAST_OWN = 3
PACE_STEPS = 5
"""Whoever was out of the picture while another was seen is taken to have walked as at the edge of it (over the last or
first PACE_STEPS), for as many steps as WALKS_ON: where the camera looks down steeply a child who comes out behind its
parents is hardly in view with them. Nothing is said so of whoever was seen for fewer steps than LEAST_OWN."""

LEAST_BESIDE = 6
BESIDE_M = 0.3
FAR_M = 1.6
ENOUGH = 16
"""Of somebody who was not counted: seen with another for this many steps, this far apart at least (a second box on one
body stands nearer) and at most. Of more steps than ENOUGH every second or third says the same."""

WEIGHTS = (4.9, -2.62, -0.35, -1.01, -1.79, 0.19, -0.31)
UNCOUNTED = (1.72, -1.0, 0.03, -2.22, 0.04, 0.04, 0.0)
"""Logistic regression, both counted, and only one: constant; per metre of median distance; per metre of its spread
(half of the range from the 10th to the 90th percentile); per m/s of difference in velocity; per metre of median
distance in the direction of walking; per second that both were seen; per second between their passages."""

APART = -9.0
"""Log odds of those of whom it cannot be said."""


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

    def update(self, sight: Sight) -> None:
        """Notes where everybody seen is; asked for once a step."""
        step = sight.at // STEP_NS
        oldest = step - KEEP_NS // STEP_NS
        self._ways = {n: w for n, w in self._ways.items() if w.steps[-1] >= oldest}
        seen = [one.track for one in sight.people if one.track.seen]
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
        self._ways = {}

    def together(self, a: int, b: int, apart_s: float) -> float:
        """Log odds that two walk together who passed `apart_s` after one another; APART if that cannot be told."""
        seen = features(self.of(a), self.of(b))
        return APART if seen is None else odds((*seen, apart_s))

    def beside(self, a: int, b: int) -> float:
        """The same of two of whom one was not counted at least, and who must not be two halves of one person."""
        seen = features(self.of(a), self.of(b), LEAST_BESIDE) if self.near(a, b) else None
        return APART if seen is None or seen[0] < BESIDE_M else odds((*seen, 0.0), UNCOUNTED)

    def near(self, a: int, b: int) -> bool:
        """Whether it can be at all that two walked side by side: asked of everybody, so it is quick."""
        one, other = self._ways.get(a), self._ways.get(b)
        return one is not None and other is not None and _near(one, other)


def _near(a: Way, b: Way) -> bool:
    first, last = max(a.steps[0], b.steps[0]), min(a.steps[-1], b.steps[-1])
    brief = min(len(a.steps), len(b.steps)) < LEAST_OWN or first - last > 2 * WALKS_ON - LEAST_BESIDE
    if brief and last - first < LEAST_BESIDE - 1:
        return False
    (x, y), (u, v) = _place(a, last), _place(b, last)
    return hypot(x - u, y - v) <= FAR_M


def features(a: Way, b: Way, least: int = LEAST_SHARED) -> tuple[float, float, float, float, float] | None:
    """While both were seen, or for `least` steps if they would have been had they walked on: median distance and its
    spread in m, mean difference in velocity in m/s, median distance in the direction in which they walked in m, and for
    how many seconds both were seen. None where that cannot be told.
    """
    shared = _shared(a, b)
    seen_s = len(shared) * STEP_NS / 1e9
    if len(shared) < least and min(len(a.steps), len(b.steps)) >= LEAST_OWN:
        shared = _shared(_walked_on(a, b), _walked_on(b, a))
    if len(shared) < least:
        return None
    shared = shared[:: 1 + len(shared) // ENOUGH]
    off = [(x - u, y - v) for _, (x, y), (u, v) in shared]
    (_, first, one), (_, last, other) = shared[0], shared[-1]
    gone = last[0] - first[0] + other[0] - one[0], last[1] - first[1] + other[1] - one[1]
    far = max(hypot(*gone), 1e-6)
    distance = sorted(hypot(x, y) for x, y in off)
    ahead = sorted(abs(x * gone[0] + y * gone[1]) / far for x, y in off)
    low, middle, high = (_quantile(distance, q) for q in (0.1, 0.5, 0.9))
    drift = _drift([s * STEP_NS / 1e9 for s, _, _ in shared], off)
    return middle, (high - low) / 2, drift, _quantile(ahead, 0.5), seen_s


def _shared(a: Way, b: Way) -> list[tuple[int, tuple[float, float], tuple[float, float]]]:
    at_b = dict(zip(b.steps, b.places, strict=True))
    return [(s, p, at_b[s]) for s, p in zip(a.steps, a.places, strict=True) if s in at_b]


def _walked_on(way: Way, other: Way) -> Way:
    """A way with what came before and after it, as far as the other's goes and as somebody is taken to walk on."""
    first, last = way.steps[0], way.steps[-1]
    before = range(max(other.steps[0], first - WALKS_ON), first)
    after = range(last + 1, min(other.steps[-1], last + WALKS_ON) + 1)
    steps = [*before, *way.steps, *after]
    return Way(steps, [*(_place(way, s) for s in before), *way.places, *(_place(way, s) for s in after)])


def _place(way: Way, step: int) -> tuple[float, float]:
    """Where somebody was at a step: as seen, else on a straight line through what was seen next to it."""
    at = min(bisect_left(way.steps, step), len(way.steps) - 1)
    (x, y), off = way.places[at], step - way.steps[at]
    if not off:
        return x, y
    near = slice(at - 1, at + 1) if at else slice(PACE_STEPS + 1)
    if off > 0:
        near = slice(-1 - PACE_STEPS, None)
    steps, places = way.steps[near], way.places[near]
    long = max(steps[-1] - steps[0], 1)
    pace = (places[-1][0] - places[0][0]) / long, (places[-1][1] - places[0][1]) / long
    return x + off * pace[0], y + off * pace[1]


def _quantile(ordered: Sequence[float], q: float) -> float:
    """As numpy has it by default; for a few numbers that takes a tenth of the time."""
    at = q * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def _drift(t: Sequence[float], off: Sequence[tuple[float, float]]) -> float:
    """How fast one moves as seen from the other, in m/s: the slope of a straight line through the offsets."""
    mean = fmean(t)
    centred = [a - mean for a in t]
    square = max(sum(a * a for a in centred), 1e-9)
    x, y = (sum(a * place[i] for a, place in zip(centred, off, strict=True)) for i in (0, 1))
    return hypot(x, y) / square


def odds(seen: Sequence[float], weights: Sequence[float] = WEIGHTS) -> float:
    """The log odds of walking together, of what `features` says and the time between passages."""
    score = weights[0] + sum(w * x for w, x in zip(weights[1:], seen, strict=True))
    return max(APART, min(-APART, score))
