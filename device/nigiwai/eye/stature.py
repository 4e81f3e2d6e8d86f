# SPDX-License-Identifier: Apache-2.0
r"""How tall the people followed are, from a calibrated view, over everything that was seen of them. Pure.

      top of the box ---. head, HEAD_M behind the axis of the body
                        |\
                        | \         The box ends below at the nearer toes, TOES_M before the axis and STRIDE_M more
      box bottom  ------'--'        while somebody strides towards the camera or away; above at the far side of the
                     toes  axis     crown. All grow with the person and matter the more the steeper the camera looks.

A single box is worth little: a step, a bag, somebody in front, the edge of the picture. So boxes that are cut, covered,
too small or of a strange shape are left out, the rest is gathered over the track, and the robust mean is taken.
Detections are measured, not the tracker's smoothed boxes: these lag behind whoever comes nearer, which costs 4 cm.

Children walk half hidden behind their parents. Of whom too little was seen free, the boxes speak that somebody nearer
covers by half at most: the detector guesses where the feet are, and what it guesses is worth less and said to be.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import hypot, sqrt
from statistics import median

import numpy as np
from numpy.typing import NDArray

from nigiwai.clock import BootNs
from nigiwai.eye.ground import Ground
from nigiwai.eye.sight import Sight, is_whole
from nigiwai.eye.view import View

Floats = NDArray[np.float64]

TOES_M, STRIDE_M = 0.14, 0.18
HEAD_M = 0.07
"""Of an adult of 1.65 m: from the axis to the nearer toes of somebody who stands or walks across the view, how much
further these are on average in the stride of somebody who walks towards the camera or away, and to the back of the
crown."""

LEAN_M = 0.012
"""How much further away the crown is of somebody who walks away in full stride, and nearer of who comes nearer. Without
it whoever left was 2 to 3 % taller than whoever came where the camera looks 60 degrees down, 1.4 % at 45 and 0.5 % at
30, in four sets of rendered recordings (0.007 to 0.014 m); outlines of 60 walking bodies give 0.008 to 0.025 m
(1 December 2026)."""

SUNK, STRIDING = 0.015, 0.02
"""By what share of their height people come out too small besides, and by how much more while they stride: they bend
their knees, and where the camera looks more flatly over them it meets soles behind the toes and the rounding of the
head. These and the lengths above are straight lines through the outlines of 100 rendered bodies that stood and walked
before cameras 2.4 to 4 m high, tilted by 15 to 60 degrees (30 November 2026); what is left scatters by 1.5 % of those
who stand and by 4 % of those who walk, step by step."""

STEEP, LONGER = 0.6, 0.065
STEEPEST = 3.0
"""Of rays to the crown that fall more steeply than STEEP (metres down for each ahead), the detector's boxes reach
beyond a person more and more: by such a share of the height for each unit of slope. Of steeper ones than STEEPEST
hardly any were seen, and none is taken. From crowds seen 45 and 60 degrees down (30 November 2026)."""

LOOK_SD, VAGUER = 0.05, 0.6
"""How much single looks are off, as a share of the height, and by what share of that more for each unit of slope beyond
STEEP: rms 6 % at a slope of 0.9, 7 % at 1.2, 8.5 % at 1.6 and 10 % at 2.2 in those recordings. A small child
near the picture's lower edge is seen under steep rays only, and a height within 10 % still tells a child."""

FIRM = 1.5
"""Looks off by more than this many LOOK_SD count less, the further off (Huber 1964, "Robust Estimation of a Location
Parameter"). The median, which takes no notice of how far any look is off, was off by 4.8 and 5.2 % of the height (rms)
60 degrees down, where there are few, and this by 4.4 and 4.2 %: two sets of ten rendered recordings (1 December 2026);
from 45 degrees 2.9 % both, from 30 3.8 and 3.5 %."""

ROUNDS, SETTLED_M = 5, 0.001
"""How often that is put right at most, and from which step on it has settled: where no look is astray at once."""

LOOKS_BEFORE = 3
"""As if LOOK_SD had been seen so often of everybody before: a few looks may agree by chance."""

ADULT_M = 1.65
MIDDLE_M = 0.8
STRIDES_MPS = 0.6
"""From this speed towards the camera or away on somebody strides in full, in m/s, at half an adult's height."""

MOST_TILT_DEG = 62.0
"""Where the camera looks down more steeply than this nobody's height is told: nothing was measured from there."""

MOST = 40
LEAST = 3
LEAST_SPAN_S = 0.35
"""Fewer looks, or all within one step, and nothing is said. Whoever is seen for two frames has two at most."""

MOST_HIDDEN = 0.5
HIDDEN_SD = 0.05
"""Of a box that somebody nearer covers by so much of its area, how wrong the height is besides: 4 to 6 cm in the median
for a rendered recording with people of no training (30 November 2026); 10 cm and more where more is covered."""

LEAST_LEVEL = 4
"""Looks at least at each of two people whom one track showed."""

LEVEL_M = 0.15
MOST_DRIFT = 5.0
"""Two people are told apart when their heights differ by LEVEL_M and by so many median deviations of the looks."""

UNKNOWN = (float("nan"), float("nan"))
BEGINNING, END = BootNs(-(2**63)), BootNs(2**63 - 1)

TALLEST_M, SMALLEST_M = 2.15, 0.55

MOST_ERROR_M = 0.16
"""A height that is known less well than that says little of an age, and is more likely several people's. At 12 cm one
height in six was left out 60 degrees down, and ages were told no better (rendered, 30 November 2026)."""

PERSON_SD = 0.02
"""What stays wrong with a person however long they are seen: posture, hair, hat, heels; 3.3 cm of 1.65 m."""


@dataclass(frozen=True, slots=True)
class Stature:
    """Height with shoes in metres, and its standard error, the view's own uncertainty included."""

    metres: float
    error_m: float


def statures_m(view: View, boxes: Floats, strides: Floats) -> Floats:
    """The heights (N,) of upright people in boxes (N, 4), in metres: the first that `measure` tells."""
    return measure(view, boxes, strides)[0]


def measure(view: View, boxes: Floats, strides: Floats) -> tuple[Floats, Floats]:
    """Of upright people in boxes (N, 4) the heights (N,) in metres, NaN where the ray meets no floor or is too steep,
    and what each is worth (N,): how many looks under a flat ray are as good as this one, 1 at most.

    strides: (N,) how much each strides away from the camera, 0 to 1, or towards it, 0 to -1.
    """
    ends = np.empty((len(boxes), 2, 2))  # feet and crown, in the middle of the box
    ends[:, :, 0] = (boxes[:, :1] + boxes[:, 2:3]) / 2
    ends[:, 0, 1], ends[:, 1, 1] = boxes[:, 3], boxes[:, 1]
    below, row = view.flat(ends)[..., 1].T
    _, down, forward = view.axes().tolist()
    drop = -(below * down[2] + forward[2])
    ahead = (below * down[1] + forward[1]) * view.height_m / np.where(drop > 1e-6, drop, np.nan)
    # the crown P = (X, Y, z) lies on the row of the box's top: (P - C) . down = row * (P - C) . forward
    slope = (down[1] - row * forward[1]) / (down[2] - row * forward[2])
    # z = height_m - slope * (ahead + reach * z / ADULT_M), and z is the height less what it sank and with what is added
    full = np.abs(strides)
    reach = TOES_M + HEAD_M + STRIDE_M * full + LEAN_M * strides
    steep = np.maximum(slope - STEEP, 0.0)
    share = 1 - SUNK - STRIDING * full + LONGER * steep
    tall: Floats = (view.height_m - slope * ahead) / (share + slope * reach / ADULT_M)
    return np.where(slope <= STEEPEST, tall, np.nan), (1 + VAGUER * steep) ** -2.0


def strides_of(view: View, boxes: Floats, velocities: Floats) -> Floats:
    """How much people in boxes (N, 4) whose middle moves by (N, 2) px a second stride away, 0 to 1, or nearer, to -1.

    NaN velocities are those of people who stand.
    """
    step_s = 0.1
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    far = np.sqrt((view.to_floor(np.stack((middle, middle + step_s * velocities)), MIDDLE_M) ** 2).sum(axis=-1))
    share: Floats = np.clip((far[1] - far[0]) / (step_s * STRIDES_MPS), -1.0, 1.0)
    share[share != share] = 0.0
    return share


@dataclass(slots=True)
class Series:
    """The newest MOST heights in m, when they were measured, and what each is worth (`measure`)."""

    metres: list[float] = field(default_factory=list)
    at: list[BootNs] = field(default_factory=list)
    worth: list[float] = field(default_factory=list)

    def add(self, metres: float, at: BootNs, worth: float) -> None:
        """Takes a look."""
        self.metres = [*self.metres[1 - MOST :], metres]
        self.at = [*self.at[1 - MOST :], at]
        self.worth = [*self.worth[1 - MOST :], worth]

    @property
    def enough(self) -> bool:
        """Whether somebody was measured often and for long enough."""
        return len(self.at) >= LEAST and self.at[-1] - self.at[0] >= LEAST_SPAN_S * 1e9

    def during(self, at: BootNs) -> "Series":
        """The looks that belong to whom the track showed at `at`.

        A track that passes from one person to another shows two heights, one after the other. It is cut where the two
        sides are most alike within themselves, if their medians differ by more than looks at one person do.
        """
        one = self
        while (k := _break(one.metres)) is not None:
            mine = slice(k) if at < one.at[k] else slice(k, None)
            one = Series(one.metres[mine], one.at[mine], one.worth[mine])
        return one

    def middle(self) -> tuple[float, float]:
        """The robust mean, each look with the weight of its worth, and its standard error, both in metres."""
        middle = _robust_mean(self.metres, self.worth)
        off = (abs(m - middle) * sqrt(w) for m, w in zip(self.metres, self.worth, strict=True))
        scatter, n = 1.4826 * median(off) / middle, len(self.metres)
        scatter = sqrt((LOOKS_BEFORE * LOOK_SD**2 + n * scatter**2) / (LOOKS_BEFORE + n))
        # Neighbouring looks share half of their error.
        return middle, middle * scatter / sqrt(sum(self.worth) / 2)


@dataclass(slots=True)
class Looks:
    """What was measured of one track: while nobody stood before it, and in all."""

    free: Series = field(default_factory=Series)
    every: Series = field(default_factory=Series)

    def best(self, at: BootNs) -> "Chosen":
        """Those to trust about whom the track showed at `at`: the free ones, unless they are too few, or so steep that
        all together say more."""
        free = Chosen(self.free.during(at), self.free, 0.0)
        if free.mine.enough and free.mine.worth == self.every.worth:
            return free  # nobody ever stood before them
        every = Chosen(self.every.during(at), self.every, HIDDEN_SD)
        if not free.mine.enough or (every.mine.enough and every.share() < free.share()):
            return every
        return free


@dataclass(frozen=True, slots=True)
class Chosen:
    """The looks at the person whom a track showed at some time, out of which, and how wrong they are besides."""

    mine: Series
    source: Series
    besides: float

    def share(self) -> float:
        """The standard error of the height as a share of it."""
        middle, error_m = self.mine.middle()
        return hypot(error_m / middle, self.besides)


class Statures:
    """The heights of everybody followed; forgets whoever is gone."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._looks: dict[int, Looks] = {}
        self.usable = ground.view.tilt_deg <= MOST_TILT_DEG

    def update(self, sight: Sight) -> None:
        """Takes one moment's look at everybody who is wholly and clearly in view."""
        here, view = sight.numbers, self._ground.view
        self._looks = {n: looks for n, looks in self._looks.items() if n in here}
        if not self.usable:
            return
        due = [
            one
            for one in sight.people
            if one.track.seen and not one.cut and one.hidden <= MOST_HIDDEN and is_whole(one.box, view.size)
        ]
        if not due:
            return
        boxes, speeds = np.array([one.box for one in due]), np.array([one.track.velocity or UNKNOWN for one in due])
        heights = zip(*(each.tolist() for each in measure(view, boxes, strides_of(view, boxes, speeds))), strict=True)
        for one, (metres, worth) in zip(due, heights, strict=True):
            if SMALLEST_M < metres < TALLEST_M:
                looks = self._looks.setdefault(one.track.number, Looks())
                for series in (looks.every,) if one.behind else (looks.every, looks.free):
                    series.add(metres, sight.at, worth)

    def looks(self, number: int) -> Looks | None:
        """What was measured of that track, as long as it is followed; grows with every further look."""
        return self._looks.get(number)

    def stature(self, chosen: Chosen | None) -> Stature | None:
        """How tall the person is of whom these looks are; None where too little was seen."""
        if chosen is None or not chosen.mine.enough:
            return None
        middle, error_m = chosen.mine.middle()
        error_m = hypot(error_m, middle * hypot(PERSON_SD, chosen.besides, self._ground.scale_sd))
        return Stature(middle, error_m) if error_m <= MOST_ERROR_M else None


def period(chosen: Chosen | None) -> tuple[BootNs, BootNs]:
    """From when to when the track showed that very person, as far as heights tell; without end where they do."""
    if chosen is None:
        return BEGINNING, END
    mine, source = chosen.mine.at, chosen.source.at
    return BEGINNING if mine[0] == source[0] else mine[0], END if mine[-1] == source[-1] else mine[-1]


def _robust_mean(metres: Sequence[float], worth: Sequence[float]) -> float:
    """Huber's mean of heights, in m: from the median on, those far off count less."""
    middle = _weighted_median(metres, worth)
    for _ in range(ROUNDS):
        firm = FIRM * LOOK_SD * middle
        weights = [
            w * min(1.0, firm / max(abs(m - middle) * sqrt(w), 1e-9)) for m, w in zip(metres, worth, strict=True)
        ]
        before, middle = middle, sum(m * w for m, w in zip(metres, weights, strict=True)) / sum(weights)
        if abs(middle - before) < SETTLED_M:
            break
    return middle


def _weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    """Where half of the weight is below and half above; between two values where that is so of both."""
    ordered = sorted(zip(values, weights, strict=True))
    half, below = sum(weights) / 2, 0.0
    for k, (value, weight) in enumerate(ordered):
        below += weight
        if below > half * (1 + 1e-9):
            return value
        if below >= half * (1 - 1e-9):
            return (value + ordered[k + 1][0]) / 2
    raise ValueError("no values")


def _break(tall: list[float]) -> int | None:
    """Where to cut, or None."""
    n = len(tall)
    if n < 2 * LEAST_LEVEL:
        return None
    x = np.array(tall)
    count, total = np.arange(1, n), x.cumsum()[:-1]
    # The split that leaves the least squares within is that whose sides have the largest squared sums for their size.
    between = total**2 / count + (x.sum() - total) ** 2 / (n - count)
    k = LEAST_LEVEL + int(between[LEAST_LEVEL - 1 : n - LEAST_LEVEL].argmax())
    low, high = median(tall[:k]), median(tall[k:])
    # Each side must be steady: a few looks astray at the end are noise and no second person.
    scatter = max(median(abs(m - low) for m in tall[:k]), median(abs(m - high) for m in tall[k:]))
    return k if abs(low - high) > max(LEVEL_M, MOST_DRIFT * scatter) else None
