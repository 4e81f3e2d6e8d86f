# SPDX-License-Identifier: Apache-2.0
r"""How tall the people followed are, from a calibrated view, over everything that was seen of them. Pure.

      top of the box ---. head, HEAD_M behind the axis of the body
                        |\
                        | \         The box ends below at the nearer toes, TOES_M before the axis, and above at the far
      box bottom  ------'--'        side of the crown. Both grow with the person and matter the more the steeper the
                     toes  axis     camera looks.

A single box is worth little: a step, a bag, somebody in front, the edge of the picture. So boxes that are cut, covered,
too small or of a strange shape are left out, the rest is gathered over the track, and the median is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import hypot, sqrt
from statistics import median

import numpy as np
from numpy.typing import NDArray

from nigiwai.clock import BootNs
from nigiwai.eye.ground import Ground
from nigiwai.eye.types import Track
from nigiwai.eye.view import View

Floats = NDArray[np.float64]

TOES_M = 0.13
HEAD_M = 0.07
"""Of an adult of 1.65 m: from the axis to the nearer toes of a standing or walking person, to the back of the crown."""

ADULT_M = 1.65
MOST_TILT_DEG = 50.0
"""Where the camera looks down more steeply than this, a box's height is mostly shoulders."""

EDGE = 0.012
LEAST_PX = 40.0
BROADEST = 0.75
"""Width over height of a box that is still one upright person; more is sitting, a trolley, two people."""

STEP_NS = 100_000_000
MOST = 40
LEAST = 5
LEAST_SPAN_S = 0.6
"""Fewer looks, or all within half a step, and nothing is said."""

TALLEST_M, SMALLEST_M = 2.15, 0.55

PERSON_SD = 0.02
"""What stays wrong with a person however long they are seen: posture, hair, hat, heels; 3.3 cm of 1.65 m."""


@dataclass(frozen=True, slots=True)
class Stature:
    """Height with shoes in metres, and its standard error, the view's own uncertainty included."""

    metres: float
    error_m: float


def statures_m(view: View, boxes: Floats) -> Floats:
    """The heights (N,) of upright people in boxes (N, 4), in metres; NaN where the ray meets no floor."""
    feet = np.stack(((boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]), axis=1)
    ahead = view.to_floor(feet)[:, 1]
    row = view.flat(np.stack((feet[:, 0], boxes[:, 1]), axis=1))[:, 1]
    _, down, forward = view.axes()
    tall = np.full(len(boxes), ADULT_M)
    for _ in range(2):
        # the crown P = (X, Y, z) lies on the row of the box's top: (P - C) . down = row * (P - C) . forward
        y = ahead + (TOES_M + HEAD_M) * tall / ADULT_M
        tall = view.height_m - y * (down[1] - row * forward[1]) / (down[2] - row * forward[2])
    return tall


@dataclass(slots=True)
class _Looks:
    """What was measured of one person: heights in m, the newest MOST of them, and when."""

    first: BootNs
    last: BootNs
    metres: list[float] = field(default_factory=list)


class Statures:
    """The heights of everybody followed; forgets whoever is gone."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._looks: dict[int, _Looks] = {}
        self.usable = ground.view.tilt_deg <= MOST_TILT_DEG

    def update(self, tracks: Sequence[Track], at: BootNs) -> None:
        """Takes one frame's look at everybody who is wholly and clearly in view."""
        here = {t.number for t in tracks}
        self._looks = {n: looks for n, looks in self._looks.items() if n in here}
        due = [t for t in tracks if t.seen and self._due(t.number, at)]
        if not due or not self.usable:
            return
        boxes = np.array([t.xyxy for t in due])
        clear = whole(boxes, self._ground.view.size) & ~covered(boxes, np.array([t.xyxy for t in tracks]))
        tall = statures_m(self._ground.view, boxes)
        for track, metres in zip(due, np.where(clear, tall, np.nan).tolist(), strict=True):
            if SMALLEST_M < metres < TALLEST_M:
                self._add(track.number, metres, at)

    def stature(self, number: int) -> Stature | None:
        """How tall that person is; None where too little was seen."""
        looks = self._looks.get(number)
        if looks is None or len(looks.metres) < LEAST or looks.last - looks.first < LEAST_SPAN_S * 1e9:
            return None
        middle = median(looks.metres)
        scatter = 1.4826 * median(abs(m - middle) for m in looks.metres)
        # Looks a tenth of a second apart share half of their error.
        share = hypot(PERSON_SD, self._ground.scale_sd, 1.25 * scatter / middle / sqrt(len(looks.metres) / 2))
        return Stature(middle, middle * share)

    def _due(self, number: int, at: BootNs) -> bool:
        looks = self._looks.get(number)
        return looks is None or at - looks.last >= STEP_NS

    def _add(self, number: int, metres: float, at: BootNs) -> None:
        looks = self._looks.setdefault(number, _Looks(at, at))
        looks.last = at
        looks.metres = [*looks.metres[1 - MOST :], metres]


def whole(boxes: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    """(N,) which boxes show a whole upright person, away from the picture's edges and large enough."""
    margin = EDGE * np.array([*size, *size])
    inside = (boxes[:, :2] > margin[:2]).all(axis=1) & (boxes[:, 2:] < np.array(size) - margin[2:]).all(axis=1)
    high, wide = boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]
    upright: NDArray[np.bool_] = inside & (high >= LEAST_PX) & (wide <= BROADEST * high)
    return upright


def covered(boxes: Floats, others: Floats) -> NDArray[np.bool_]:
    """(N,) before which boxes somebody nearer (lower in the picture) stands, over a tenth of their width or more."""
    low = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(low - np.maximum(boxes[:, None, :2], others[None, :, :2]), 0, None)
    wide = (boxes[:, 2] - boxes[:, 0])[:, None]
    nearer = others[None, :, 3] > boxes[:, None, 3]
    over: NDArray[np.bool_] = (nearer & (shared[..., 0] > 0.1 * wide) & (shared[..., 1] > 0)).any(axis=1)
    return over
