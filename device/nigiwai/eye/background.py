# SPDX-License-Identifier: Apache-2.0
"""The background of a tiny grey picture, and what moves before it. Pure.

A running mean and spread per pixel, and a second mean that follows within a second. What differs from both beyond its
spread, after the change of light common to the whole picture is taken out, is motion: a door that was left open differs
from the background only.

    grey -> minus common change -> beyond spread, of both means? -> several neighbours agree? -> moves

It is asked for every frame, most of them of an entrance with nobody in it: there the second mean and the neighbours
need not be asked, and one share of learning holds for all pixels. All pictures in between are kept and overwritten.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from nigiwai.eye.types import Float32s
from nigiwai.eye.watch_features import Grey

SPREAD = 4.0
"""Motion is this many times the usual spread of a pixel..."""

LEAST = 5.0
"""...and at least so many grey levels: the noise of a shrunk picture is below one, of compression two to three."""

RECENT_S = 0.7
"""Time constant of the second mean: an adult at 1.3 m/s covers their own breadth in a third of a second."""

LEARN_S = 8.0
SETTLE_S = 40.0
"""Time constants of the background: of pixels at rest, and of those in motion (a parked trolley becomes background)."""

Mask = NDArray[np.bool_]


class Background:
    """What is usual in pictures of one view."""

    def __init__(self, grey: Grey) -> None:
        """Begins with a picture that is taken to be usual."""
        self._mean = grey.astype(np.float32)
        self._recent = self._mean.copy()
        self._spread = np.full(grey.shape, 2.0, np.float32)
        self._picture, self._change, self._strange, self._unusual, self._spare = np.empty((5, *grey.shape), np.float32)

    def motion(self, grey: Grey, gap_s: float) -> Mask:
        """Which pixels move, `gap_s` after the picture before; learns what is usual on the way."""
        self._picture[:] = grey
        np.subtract(self._picture, self._mean, out=self._change)
        strange = _strange(self._change, self._strange)
        np.multiply(self._spread, SPREAD, out=self._unusual)
        np.maximum(self._unusual, LEAST, out=self._unusual)
        moving: Mask = strange > self._unusual
        if moving.any():
            off = np.subtract(self._picture, self._recent, out=self._change)
            moving &= _strange(off, self._spare) > self._unusual
            moving = np.asarray(cv2.medianBlur(moving.view(np.uint8), 3).view(np.bool_))
        cv2.accumulateWeighted(self._picture, self._recent, min(1.0, gap_s / RECENT_S))
        self._learn(moving, gap_s)
        return moving

    def _learn(self, moving: Mask, gap_s: float) -> None:
        """Takes over a share of the change of each pixel, and of its spread where nothing moves."""
        share, wide = min(1.0, gap_s / LEARN_S), np.minimum(self._strange, LEAST, out=self._strange)
        still = None
        if moving.any():
            cv2.accumulateWeighted(self._picture, self._mean, min(1.0, gap_s / SETTLE_S), moving.view(np.uint8))
            still = (~moving).view(np.uint8)
        cv2.accumulateWeighted(self._picture, self._mean, share, still)
        cv2.accumulateWeighted(wide, self._spread, share, still)


def _strange(change: Float32s, out: Float32s) -> Float32s:
    """How far each pixel is off, after the change common to all is taken out; into `out`."""
    # The median of every ninth pixel; numpy's own takes five times as long for so few.
    some = change[::3, ::3].ravel()
    middle = len(some) // 2
    np.subtract(change, np.partition(some, middle)[middle], out=out)
    return np.asarray(np.abs(out, out=out))
