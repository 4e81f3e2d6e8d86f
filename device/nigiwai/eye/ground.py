# SPDX-License-Identifier: Apache-2.0
"""From pixels to metres on the floor, and how well that is known. Pure.

The camera's height and tilt are either given or estimated from the people seen: somebody further away has the feet
higher in the picture and is smaller, and how fast they shrink tells where the horizon is and how high the camera hangs,
if people are on average `PEOPLE_M` tall. Their spread (children) makes single heights useless and a hundred good.

What cannot be known is refused in words: too few people, all at one distance, looking straight down (a person's image
is no upright any more), or boxes that fit no flat floor.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nigiwai import settings
from nigiwai.eye.body import boxes
from nigiwai.eye.motion import standing, xyxy_to_xywh
from nigiwai.eye.view import View
from nigiwai.geometry import Point, polyline_length

Floats = NDArray[np.float64]

PEOPLE_M = 1.62
"""Mean stature with shoes of the people at an event. Japanese adults: men 1.67 m, women 1.54 m (National Health and
Nutrition Survey 2019, 20 years and older); 3 cm of shoes, some children."""

PEOPLE_SD_M = 0.05
"""How well that mean is known for one event; the scale of every metre depends on it, so it enters the uncertainty."""

BODY_SD, BODY_SD_A_DEG, BODY_FROM_DEG = 0.02, 0.006, 25.0
"""People are no upright lines, and the steeper the camera looks down the less so: over simulated people gates came out
0 % wrong on average at a tilt of 20 degrees, 1 % at 30 and 7 % at 38 (tests/eye/test_gauge.py, 30 November 2026)."""

LEAST_PEOPLE = 25
LEAST_SPAN = 0.12
"""The feet must be spread over this share of the picture's height, or near and far cannot be told apart."""

MOST_TILT_DEG = 62.0
MOST_SCATTER = 0.22
"""Relative scatter of heights about the fit. Adults alone have 0.06, families 0.17; boxes of chance have more."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why this view cannot be calibrated, in words for the operator, and its kind: one of those in door/field.py."""

    why: str
    kind: str


@dataclass(frozen=True, slots=True)
class Ground:
    """A calibrated view, with the standard deviations of its height and tilt, and of lengths on the floor (share)."""

    view: View
    height_sd_m: float
    tilt_sd_deg: float
    scale_sd: float

    def floor(self, foot: tuple[float, float]) -> tuple[float, float]:
        """Where a foot point stands, X and Y in metres; NaN above the horizon."""
        x, y = self.view.to_floor(np.array(foot)).tolist()
        return x, y

    def length_m(self, line: Sequence[tuple[float, float]]) -> float:
        """The length on the floor of a line in pixels, such as a gate's; NaN where it reaches the horizon."""
        points = self.view.to_floor(np.array(line)).tolist()
        return polyline_length([Point(*p) for p in points])

    def px_per_m(self, foot: tuple[float, float], towards: tuple[float, float]) -> float:
        """Pixels a metre on the floor at `foot` in the picture's direction `towards` (px); for hysteresis in cm."""
        step = 1.0
        norm = float(np.hypot(*towards))
        ahead = (foot[0] + step * towards[0] / norm, foot[1] + step * towards[1] / norm)
        return step / float(np.hypot(*(np.array(self.floor(ahead)) - np.array(self.floor(foot)))))

    def stature_m(self, xyxy: tuple[float, float, float, float]) -> tuple[float, float]:
        """A person's height in metres and its standard deviation (3 % for the box, besides the scale's)."""
        left, top, right, bottom = xyxy
        x, y = self.floor(((left + right) / 2, bottom))
        low, high = 0.0, 0.98 * self.view.height_m
        for _ in range(30):
            middle = (low + high) / 2
            head = self.view.project(np.array([x, y, middle]))[1]
            low, high = (middle, high) if head > top else (low, middle)
        return middle, middle * float(np.hypot(self.scale_sd, 0.03))


def bands_px(view: View, line: Floats, metres: float, steps: int = 9) -> tuple[Floats, Floats] | None:
    """Points (K, 2) along a line (N, 2) in px, and how far (K,) across it somebody moves there who walks `metres`.

    What moves is where an adult seems to stand (motion.standing), so a camera overhead, to which shoulders move faster
    than the floor, is reckoned with. None where the line reaches the horizon.
    """
    share = np.linspace(0, len(line) - 1, steps)
    points = np.stack([np.interp(share, np.arange(len(line)), line[:, k]) for k in (0, 1)], axis=1)
    floor = view.to_floor(points)
    along = np.gradient(points, axis=0)
    across = np.stack((-along[:, 1], along[:, 0]), axis=1) / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    on_floor = np.gradient(floor, axis=0)
    step = np.stack((-on_floor[:, 1], on_floor[:, 0]), axis=1) / np.maximum(np.hypot(*on_floor.T), 1e-9)[:, None]
    if not np.isfinite(floor).all():
        return None
    seen = [_stands(view, floor + way * metres * step) for way in (-1, 1)]
    moved = np.abs(((seen[1] - seen[0]) * across).sum(axis=1)) / 2
    return (points, moved) if np.isfinite(moved).all() and (moved > 0).all() else None


def _stands(view: View, floor: Floats) -> Floats:
    """Where (N, 2) in px adults at floor points (N, 2) seem to stand."""
    xywh = xyxy_to_xywh(boxes(view, floor, np.full(len(floor), PEOPLE_M)).T)
    return np.stack(standing(xywh, np.inf), axis=1)


def measured(view: settings.View | None, size: tuple[int, int]) -> Ground | None:
    """The view of the settings for pictures of `size`; None where it is not set."""
    return None if view is None else given(View(view.height_m, view.tilt_deg, view.fov_deg, size, view.distortion))


def given(view: View) -> Ground:
    """A view whose height, tilt and lens were measured: to 3 cm and 1 degree by hand."""
    return Ground(view, 0.03, 1.0, 0.03 / view.height_m + np.radians(1.0))


def estimate(
    people: Floats, size: tuple[int, int], fov_deg: float, seed: int = 0, who: NDArray[np.int64] | None = None
) -> Ground | Refusal:
    """The view in which boxes `people` (N, 4) are people on a flat floor, or why there is none.

    people: left, top, right, bottom in px of whole people, each person once or a few times; those cut by the edge must
    be left out. fov_deg: the lens's horizontal angle of view. who (N,): whose box each is, where people are in it more
    than once: the uncertainty goes by people then, of whom few may be children all.
    """
    foot, head, x = people[:, 3], people[:, 1], (people[:, 0] + people[:, 2]) / 2
    if len(people) < LEAST_PEOPLE:
        return Refusal(f"only {len(people)} whole people were seen; at least {LEAST_PEOPLE} are needed", "few")
    span = float(np.subtract(*np.percentile(foot, [95, 5]))) / size[1]
    if span < LEAST_SPAN:
        why = f"all people stood at one distance (feet within {span:.0%} of the picture's height)"
        return Refusal(why, "one_distance")
    data = np.stack((x, foot, head), axis=1)
    fitted = _fit(data, size, fov_deg)
    if fitted is None or fitted[1] > MOST_TILT_DEG:
        why = "people do not get smaller up the picture: the camera looks down too steeply, or the floor slopes"
        return Refusal(why, "steep")
    scatter = _scatter(data, _view(fitted, size, fov_deg))
    if scatter > MOST_SCATTER:
        return Refusal(f"the heights fit no flat floor (they scatter by {scatter:.0%})", "uneven")
    rng = np.random.default_rng(seed)
    again = [_fit(data[_drawn(rng, len(data), who)], size, fov_deg, fitted) for _ in range(30)]
    spread = np.array([a for a in again if a is not None]).std(axis=0)
    stature = PEOPLE_SD_M / PEOPLE_M
    height_sd = float(np.hypot(spread[0], fitted[0] * stature))
    body = BODY_SD + BODY_SD_A_DEG * max(0.0, fitted[1] - BODY_FROM_DEG)
    scale_sd = float(np.hypot(height_sd / fitted[0], body))
    return Ground(_view(fitted, size, fov_deg), height_sd, float(spread[1]), scale_sd)


def _drawn(rng: np.random.Generator, n: int, who: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Rows drawn with replacement, or all rows of people who are."""
    if who is None:
        return rng.integers(0, n, n)
    people = np.unique(who)
    return np.concatenate([np.flatnonzero(who == p) for p in rng.choice(people, len(people))])


def _view(fitted: tuple[float, float], size: tuple[int, int], fov_deg: float) -> View:
    return View(fitted[0], fitted[1], fov_deg, size)


def _statures(data: Floats, tilt_deg: float, size: tuple[int, int], fov_deg: float) -> Floats:
    """The height of each person in units of the camera's height, NaN above the horizon.

    A head over the foot (X, Y) at height z has the row of the picture that depends on z / camera height alone: with the
    ray of the foot (right, down, forward) it is solved directly.
    """
    unit = View(1.0, tilt_deg, fov_deg, size)
    floor = unit.to_floor(data[:, :2])
    row = (data[:, 2] - size[1] / 2) / unit.focal_px
    _, down, forward = unit.axes()
    # (P . down) = row * (P . forward) for P = (X, Y, z - 1): linear in z.
    rest = floor[:, 1] * (down[1] - row * forward[1])
    stature: Floats = 1.0 - rest / (down[2] - row * forward[2])
    return stature


def _fit(
    data: Floats, size: tuple[int, int], fov_deg: float, near: tuple[float, float] | None = None
) -> tuple[float, float] | None:
    """Camera height in m and tilt in degrees at which near and far people are equally tall; None if there is none."""
    focal = View(1.0, 0.0, fov_deg, size).focal_px
    tilts = np.arange(2.0, 75.0, 1.0) if near is None else near[1] + np.arange(-6.0, 6.1, 1.0)
    slopes = [_trend(data, t, size, fov_deg) for t in tilts]
    for i in range(len(tilts) - 1):
        a, b = slopes[i], slopes[i + 1]
        if np.isfinite(a) and np.isfinite(b) and a * b <= 0 and a != b:
            tilt = float(tilts[i] + (tilts[i + 1] - tilts[i]) * a / (a - b))
            share = float(np.median(_statures(data, tilt, size, fov_deg)))
            horizon = size[1] / 2 - np.tan(np.radians(tilt)) * focal
            if 0.1 < share < 0.95 and horizon < data[:, 1].min():
                return PEOPLE_M / share, tilt
    return None


def _trend(data: Floats, tilt_deg: float, size: tuple[int, int], fov_deg: float) -> float:
    """How much taller, relatively, people seem per picture height further down (Theil-Sen: children do not tip it)."""
    share = _statures(data, float(tilt_deg), size, fov_deg)
    if not np.isfinite(share).all() or (share <= 0).any():
        return float("nan")
    pick = data[:: max(1, len(data) // 150)]
    y, s = pick[:, 1], np.log(share[:: max(1, len(data) // 150)])
    i, j = np.triu_indices(len(y), 1)
    far = np.abs(y[i] - y[j]) > 0.04 * size[1]
    return float(np.median((s[i] - s[j])[far] / (y[i] - y[j])[far])) * size[1] if far.any() else float("nan")


def _scatter(data: Floats, view: View) -> float:
    """Relative scatter of the heights, by the median absolute deviation."""
    share = _statures(data, view.tilt_deg, view.size, view.fov_deg)
    return float(1.4826 * np.median(np.abs(share / np.median(share) - 1)))


def describe(ground: Ground | Refusal) -> str:
    """One line for the operator."""
    if isinstance(ground, Refusal):
        return f"this view cannot be measured: {ground.why}"
    v = ground.view
    return (
        f"camera {v.height_m:.2f} m high (+-{ground.height_sd_m:.2f}), tilted {v.tilt_deg:.0f} degrees down"
        f" (+-{ground.tilt_sd_deg:.0f}); lengths on the floor are known to {ground.scale_sd:.0%}"
    )
