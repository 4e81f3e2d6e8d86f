# SPDX-License-Identifier: Apache-2.0
"""How wide each gate is on the floor and how far around it nobody counts yet, for the aiming page. Pure.

From the view of the settings, or from one learnt from the people seen. A learnt view is for people to read: the count
goes on by the size of each person (docs/decisions/0009).
"""

import math
from collections.abc import Sequence

import numpy as np

from nigiwai import settings
from nigiwai.clock import BootNs
from nigiwai.door.field import Gauge, GaugeState, WidthOf
from nigiwai.eye.body import boxes
from nigiwai.eye.gates import CLEAR_M, HYSTERESIS, HYSTERESIS_ABOVE
from nigiwai.eye.ground import PEOPLE_M, Floats, Ground, Refusal, bands_px, measured
from nigiwai.eye.motion import size_of, squareness
from nigiwai.eye.survey import Survey
from nigiwai.eye.types import Track
from nigiwai.settings import Gate

SURE = 2.0
"""Standard deviations of the uncertainty that is told: about 95 %."""

MOST_LOOKS = 120
"""At people, some thirty of them. From 75 looks on the width is known about as well as from 300, as their mean stature
is what is least known; and eye stands still while it reckons: 0.2 s with 75 looks, over 1 s with 300, on a PC."""

FRESH = 25
"""So many new looks before a learnt view is reckoned again."""

MOST_CM = 9_999


class Gauger:
    """What is known of the view. Without [view] but with the lens's angle it learns from the people who walk by."""

    def __init__(self, view: settings.View | None = None, fov_deg: float | None = None) -> None:
        self._view, self._fov_deg = view, fov_deg
        self._survey = Survey(MOST_LOOKS)
        self._found: Ground | Refusal | None = None
        self._looks = 0

    def see(self, tracks: Sequence[Track], size: tuple[int, int], at: BootNs) -> None:
        """Takes one frame's people, as the detector saw them."""
        if self._view is None and self._fov_deg is not None:
            self._survey.see(tracks, size, at)

    def forget(self) -> None:
        """The camera was moved: what was learnt is of another view."""
        self._survey, self._found, self._looks = Survey(MOST_LOOKS), None, 0

    def gauge(self, gates: Sequence[Gate], size: tuple[int, int]) -> Gauge:
        """What may be said of these gates in pictures of `size`."""
        if (given := measured(self._view, size)) is not None:
            return _gauge(GaugeState.GIVEN, given, gates, size)
        if self._fov_deg is None:
            return Gauge(state=GaugeState.NO_LENS, looks=0, widths=())
        found = self._learnt(self._fov_deg)
        if isinstance(found, Refusal):
            told = Gauge(state=GaugeState(found.kind), looks=len(self._survey), widths=())
            if self._survey.full:  # the next people may walk where these did not
                self.forget()
            return told
        return _gauge(GaugeState.LEARNT, found, gates, size, len(self._survey))

    def _learnt(self, fov_deg: float) -> Ground | Refusal:
        if self._found is None or len(self._survey) >= self._looks + FRESH:
            self._found, self._looks = self._survey.estimate(fov_deg), len(self._survey)
        return self._found


def _gauge(state: GaugeState, ground: Ground, gates: Sequence[Gate], size: tuple[int, int], looks: int = 0) -> Gauge:
    widths = [_width(g, ground, size, counts=state is GaugeState.GIVEN) for g in gates]
    return Gauge(state=state, looks=min(looks, MOST_CM), widths=tuple(widths))


def _width(gate: Gate, ground: Ground, size: tuple[int, int], *, counts: bool) -> WidthOf:
    """`counts`: whether the gate's band goes by this view."""
    line = np.array(gate.line) * size
    width_m = ground.length_m([(x, y) for x, y in line.tolist()])
    band_m = _band_m(ground, line, at_least_m=CLEAR_M if counts else 0.0)
    if math.isnan(width_m) or band_m is None:
        return WidthOf(width_cm=None, width_off_cm=0, band_cm=0, band_off_cm=0)
    off = SURE * ground.scale_sd
    return WidthOf(
        width_cm=_cm(width_m),
        width_off_cm=_cm(width_m * off),
        band_cm=_cm(band_m),
        band_off_cm=_cm(band_m * off),
    )


def _band_m(ground: Ground, line: Floats, at_least_m: float) -> float | None:
    """Half the width of the band for an adult, in metres on the floor in the middle of the line (eye/gates.py)."""
    bands = bands_px(ground.view, line, CLEAR_M)
    if bands is None:
        return None
    middle = len(bands[1]) // 2
    adult = boxes(ground.view, ground.view.to_floor(bands[0][middle : middle + 1]), np.array([PEOPLE_M]))
    left, top, right, bottom = (float(edge) for edge in adult[0])
    box = left, top, right, bottom
    share = HYSTERESIS + (HYSTERESIS_ABOVE - HYSTERESIS) * squareness(box, ground.view.size[1])
    return max(at_least_m, size_of(box) * share / float(bands[1][middle]) * CLEAR_M)


def _cm(metres: float) -> int:
    return min(MOST_CM, round(metres * 100))
