# SPDX-License-Identifier: Apache-2.0
"""How people's boxes move: a Kalman filter over all of them at once, in seconds and not in frames. Pure.

Each box is four independent numbers, its centre (cx, cy), its width and its height. The centre has a velocity; the
sizes wander, because a velocity of size overshoots where boxes come in at the edge of the picture. Centre and height
are filtered rather than top and bottom, because the errors of a detector's top and bottom edges are about equal and
independent: then the errors of centre and height are uncorrelated, and the foot (cy + height / 2) is steadier than the
bottom edge alone, since a person's height hardly changes from frame to frame.

    mean (N, 4, 2): [cx, cy, w, h] x [value in px, rate in px/s]
    cov  (N, 4, 3): variance of the value, their covariance, variance of the rate

All noise is in units of a box's `scale`, so that near and far people are treated alike.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


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

    mean: Floats
    cov: Floats

    def __len__(self) -> int:
        return len(self.mean)

    def take(self, which: NDArray[np.int64] | Bools) -> "Motion":
        """The rows named by an index or mask."""
        return Motion(self.mean[which], self.cov[which])

    def join(self, other: "Motion") -> "Motion":
        """These rows followed by the other's."""
        return Motion(np.concatenate((self.mean, other.mean)), np.concatenate((self.cov, other.cov)))

    @property
    def xyxy(self) -> Floats:
        """(N, 4) left, top, right, bottom in px."""
        return xywh_to_xyxy(self.mean[:, :, 0])

    @property
    def scale(self) -> Floats:
        """(N,) px: about a person's height, seen from the side or from above."""
        return scale_of(self.mean[:, :, 0])

    @property
    def foot(self) -> Floats:
        """(N, 2) bottom centre in px."""
        centre = self.mean[:, :2, 0].copy()
        centre[:, 1] += self.mean[:, 3, 0] / 2
        return centre


def nobody() -> Motion:
    """No boxes."""
    return Motion(np.zeros((0, 4, 2)), np.zeros((0, 4, 3)))


def xywh_to_xyxy(xywh: Floats) -> Floats:
    """Centre, width, height (..., 4) to left, top, right, bottom."""
    half = xywh[..., 2:] / 2
    return np.concatenate((xywh[..., :2] - half, xywh[..., :2] + half), axis=-1)


def xyxy_to_xywh(xyxy: Floats) -> Floats:
    """Left, top, right, bottom (..., 4) to centre, width, height."""
    low, high = xyxy[..., :2], xyxy[..., 2:]
    return np.concatenate(((low + high) / 2, high - low), axis=-1)


def scale_of(xywh: Floats) -> Floats:
    """(..., 4) to (...): the box's height, or twice its width where that is more.

    A person seen from the side is 1.7 m high and 0.6 m wide, one seen from straight above about 0.6 m square: the
    larger of height and twice the width is 1.2 to 1.7 m in both.
    """
    return np.maximum(xywh[..., 3], 2 * xywh[..., 2])


def begin(xywh: Floats, noise: Noise) -> Motion:
    """The state of boxes (N, 4) seen for the first time: their place is known, their speed is not."""
    scale = scale_of(xywh)[:, None]
    cov = np.zeros((len(xywh), 4, 3))
    cov[:, :, 0] = (scale * noise.wobble) ** 2
    cov[:, :, 2] = (scale * noise.first_rate) ** 2
    return Motion(np.stack((xywh, np.zeros_like(xywh)), axis=2), cov)


def lively(motion: Motion, noise: Noise) -> Floats:
    """(N, 1) how much of a walker's freedom each has: 1 who walks, `still_share` who stands."""
    speed = np.hypot(motion.mean[:, 0, 1], motion.mean[:, 1, 1]) / motion.scale
    return np.asarray(np.clip(speed / noise.walking_per_s, noise.still_share, 1.0)[:, None])


def predict(motion: Motion, dt_s: float, noise: Noise) -> Motion:
    """The state `dt_s` seconds later with nothing seen: constant rates, white acceleration, less for the still."""
    mean, cov = motion.mean.copy(), motion.cov
    mean[:, :, 0] += dt_s * mean[:, :, 1]
    scale, alive = motion.scale[:, None], lively(motion, noise)
    q = (scale * noise.drift * alive) ** 2
    out = np.empty_like(cov)
    out[:, :, 0] = cov[:, :, 0] + dt_s * (2 * cov[:, :, 1] + dt_s * cov[:, :, 2]) + q * (dt_s**3 / 3)
    out[:, :, 0] += (scale * noise.wander * np.sqrt(alive)) ** 2 * dt_s
    out[:, :, 1] = cov[:, :, 1] + dt_s * cov[:, :, 2] + q * (dt_s**2 / 2)
    out[:, :, 2] = cov[:, :, 2] + q * dt_s
    return Motion(mean, out)


def correct(motion: Motion, xywh: Floats, grown: Bools, noise: Noise) -> Motion:
    """The state after boxes (N, 4) were seen; the height of the `grown` (N,) is taken over, its head staying in place.

    Surprising values are trusted less (Huber weights beyond 2.5 sigma).
    """
    taller = np.where(grown, xywh[:, 3] - motion.mean[:, 3, 0], 0.0)
    motion = Motion(motion.mean.copy(), motion.cov)
    motion.mean[:, 1, 0] += taller / 2
    motion.mean[:, 3, 0] += taller
    r = (motion.scale[:, None] * noise.wobble) ** 2
    off = xywh - motion.mean[:, :, 0]
    surprise = np.abs(off) / np.sqrt(motion.cov[:, :, 0] + r)
    r = r * np.maximum(1.0, surprise / 2.5) ** 2
    total = motion.cov[:, :, 0] + r
    gain = motion.cov[:, :, :2] / total[:, :, None]
    mean = motion.mean + gain * off[:, :, None]
    cov = np.empty_like(motion.cov)
    cov[:, :, 0] = (1 - gain[:, :, 0]) * motion.cov[:, :, 0]
    cov[:, :, 1] = (1 - gain[:, :, 0]) * motion.cov[:, :, 1]
    cov[:, :, 2] = motion.cov[:, :, 2] - gain[:, :, 1] * motion.cov[:, :, 1]
    return Motion(mean, cov)
