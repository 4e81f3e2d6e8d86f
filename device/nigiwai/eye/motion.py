# SPDX-License-Identifier: Apache-2.0
"""How people's boxes move: a Kalman filter over all of them at once, in seconds and not in frames. Pure.

Each box is four independent numbers, its centre (cx, cy), its width and its height. The centre has a velocity; the
sizes wander, because a velocity of size overshoots where boxes come in at the edge of the picture. Centre and height
are filtered rather than top and bottom, because the errors of a detector's top and bottom edges are about equal and
independent: then the errors of centre and height are uncorrelated, and the foot (cy + height / 2) is steadier than the
bottom edge alone, since a person's height hardly changes from frame to frame.

    state (5, 4, N): [value in px, rate in px/s, variance of the value, their covariance, variance of the rate]
                     x [cx, cy, w, h] x boxes

Boxes come last, here and in all arrays of the tracker, so that every step is arithmetic on whole rows: with 30 people
an operation on a row costs 0.3 us, the same on a column 1.2 us. All noise is in units of a box's `scale`, so that near
and far people are treated alike.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


TOES = 0.2
"""How far above the bottom of a box the axis of the body meets the floor, in widths of the box: toes and belly reach
that far towards the camera (0.17 to 0.23 for a stack of discs like an adult, at tilts from 30 to 90 degrees)."""

SHOULDER = 0.25
"""How much further that is where shoulders are all one sees: from straight above half a width in all."""

CUT = 0.05
"""A box that ends within this share of the picture's height above its bottom may be cut by it."""

SQUARE, UPRIGHT = 1.1, 1.6
"""Height over width of a box up to which somebody is seen from above, and from which on they are seen from the side."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How far people and detectors stray, per unit of scale, for [cx, cy, w, h].

    Speeds: people walk 1.34 m/s, sd 0.26 (Weidmann 1993, "Transporttechnik der Fussgaenger"): 0.8 body heights.
    `wobble` is the error of one detection: 3 to 5 % of the height were measured on a small detector's still people.
    """

    wobble: tuple[float, float, float, float] = (0.04, 0.04, 0.08, 0.07)
    first_rate: tuple[float, float, float, float] = (0.8, 0.8, 0.0, 0.0)
    drift: tuple[float, float, float, float] = (0.45, 0.45, 0.0, 0.0)
    """Square root of the growth of the rate's variance per second, for somebody who walks."""
    wander: tuple[float, float, float, float] = (0.0, 0.0, 0.12, 0.1)
    """The same for the value itself: seen from above, a box halves within a second."""
    still_share: float = 0.25
    """The share of `drift` of what stands still: a coat that was hidden is where it was, and no passer-by."""
    walking_per_s: float = 0.4
    """From this speed on somebody walks."""


@dataclass(frozen=True, slots=True)
class Motion:
    """The state of N boxes; see the head of this file."""

    state: Floats

    def __len__(self) -> int:
        return int(self.state.shape[2])

    def take(self, which: Ints | Bools) -> "Motion":
        """The boxes named by an index or mask."""
        return Motion(self.state[:, :, which])

    def join(self, other: "Motion") -> "Motion":
        """These boxes followed by the other's."""
        return Motion(np.concatenate((self.state, other.state), axis=2))

    @property
    def xywh(self) -> Floats:
        """(4, N) centre, width and height in px."""
        return np.asarray(self.state[0])

    @property
    def variance(self) -> Floats:
        """(4, N) of `xywh`, in px squared."""
        return np.asarray(self.state[2])

    @property
    def scale(self) -> Floats:
        """(N,) px: about a person's height, seen from the side or from above."""
        return scale_of(self.state[0])


def nobody() -> Motion:
    """No boxes."""
    return Motion(np.zeros((5, 4, 0)))


def xywh_to_xyxy(xywh: Floats) -> Floats:
    """Centre, width, height (4, ...) to left, top, right, bottom."""
    centre, half = xywh[:2], xywh[2:] / 2
    return np.concatenate((centre - half, centre + half))


def xyxy_to_xywh(xyxy: Floats) -> Floats:
    """Left, top, right, bottom (4, ...) to centre, width, height."""
    low, high = xyxy[:2], xyxy[2:]
    return np.concatenate(((low + high) / 2, high - low))


def scale_of(xywh: Floats) -> Floats:
    """(4, ...) to (...): the box's height, or twice its width where that is more.

    A person seen from the side is 1.7 m high and 0.6 m wide, one seen from straight above about 0.6 m square: the
    larger of height and twice the width is 1.2 to 1.7 m in both.
    """
    return np.asarray(np.maximum(xywh[3], 2 * xywh[2]))


def size_of(xyxy: tuple[float, float, float, float]) -> float:
    """`scale_of` one box: left, top, right, bottom."""
    left, top, right, bottom = xyxy
    return max(bottom - top, 2 * (right - left))


def squareness(xyxy: tuple[float, float, float, float], picture_px: float) -> float:
    """1 for people seen from above, 0 for those seen from the side, in between in between; of their boxes.

    Head and shoulders of somebody who comes in at the bottom of the picture are square too, though seen from the side.
    """
    left, top, right, bottom = xyxy
    if bottom >= (1 - CUT) * picture_px:
        return 0.0
    return min(max((UPRIGHT - (bottom - top) / (right - left)) / (UPRIGHT - SQUARE), 0.0), 1.0)


def standing(xywh: Floats, picture_px: float) -> tuple[Floats, Floats]:
    """x and y (...) in px where the people in boxes (4, ...) stand: where the axis of the body meets the floor.

    The bottom of the box itself would be passed late on the way away from the camera and early on the way towards it,
    by half of somebody's breadth where the camera looks straight down. picture_px: the height of the picture.
    """
    cx, cy, wide, high = xywh
    bottom, slender = cy + high / 2, high / wide
    above = TOES * wide
    if np.count_nonzero(slender < UPRIGHT):
        square = np.minimum(np.maximum((UPRIGHT - slender) / (UPRIGHT - SQUARE), 0.0), 1.0)
        above += SHOULDER * wide * square * (bottom < (1 - CUT) * picture_px)
    return cx, bottom - above


class Filter:
    """The filter for one kind of noise, which it keeps as columns (4, 1), squared."""

    def __init__(self, noise: Noise) -> None:
        self._noise = noise
        rows = (noise.wobble, noise.first_rate, noise.drift, noise.wander)
        self._wobble, self._first_rate, self._drift, self._wander = (np.array(row)[:, None] ** 2 for row in rows)

    def begin(self, xywh: Floats) -> Motion:
        """The state of boxes (4, N) seen for the first time: their place is known, their speed is not."""
        state = np.zeros((5, *xywh.shape))
        area = scale_of(xywh) ** 2
        state[0], state[2], state[4] = xywh, area * self._wobble, area * self._first_rate
        return Motion(state)

    def error(self, scale: Floats) -> Floats:
        """(4, N): the variance of one detection of people of that scale (N,), in px squared."""
        return np.asarray(scale * scale * self._wobble)

    def lively(self, motion: Motion) -> Floats:
        """(N,) how much of a walker's freedom each has: 1 who walks, `still_share` who stands."""
        return self._lively(motion.state, motion.scale)

    def _lively(self, state: Floats, scale: Floats) -> Floats:
        x, y = state[1, :2]
        speed = np.hypot(x, y) / (scale * self._noise.walking_per_s)
        return np.asarray(np.minimum(np.maximum(speed, self._noise.still_share), 1.0))

    def predict(self, motion: Motion, dt_s: float) -> Motion:
        """The state `dt_s` seconds later with nothing seen: constant rates, white acceleration, less for the still."""
        state, scale = motion.state, motion.scale
        out = (_transition(dt_s) @ state.reshape(5, -1)).reshape(state.shape)
        alive = self._lively(state, scale)
        free = scale * scale * alive
        out[2:] += self._drift * (free * alive) * np.array((dt_s**3 / 3, dt_s**2 / 2, dt_s)).reshape(3, 1, 1)
        out[2] += self._wander * dt_s * free
        return Motion(out)

    def correct(self, motion: Motion, xywh: Floats, grown: Bools) -> Motion:
        """The state after boxes (4, N) were seen; the height of the `grown` (N,) is taken over, the head in its place.

        Surprising values are trusted less (Huber weights beyond 2.5 sigma).
        """
        out = motion.state.copy()
        if np.count_nonzero(grown):
            taller = np.where(grown, xywh[3] - out[0, 3], 0.0)
            out[0, 1] += taller / 2
            out[0, 3] += taller
        off, variance, error = xywh - out[0], out[2], self.error(scale_of(out[0]))
        surprise = off * off / (variance + error)
        error *= np.maximum(1.0, surprise / 2.5**2)
        gain, rate_gain = out[2:4] / (variance + error)
        out[0] += gain * off
        out[1] += rate_gain * off
        out[4] -= rate_gain * out[3]
        out[2:4] *= 1.0 - gain
        return Motion(out)


def _transition(dt_s: float) -> Floats:
    """(5, 5): what `dt_s` seconds make of a state whose rate nothing changes."""
    squared = dt_s * dt_s
    return np.array(
        (
            (1.0, dt_s, 0.0, 0.0, 0.0),
            (0.0, 1.0, 0.0, 0.0, 0.0),
            (0.0, 0.0, 1.0, 2.0 * dt_s, squared),
            (0.0, 0.0, 0.0, 1.0, dt_s),
            (0.0, 0.0, 0.0, 0.0, 1.0),
        )
    )
