# SPDX-License-Identifier: Apache-2.0
"""What a person looks like to a camera whose place is known: a stack of discs like an adult, and its box. Pure."""

import numpy as np
from numpy.typing import NDArray

from nigiwai.eye.view import View

Floats = NDArray[np.float64]

RINGS = ((0.0, 0.17), (0.5, 0.2), (0.8, 0.24), (0.97, 0.1))
"""Height, as a share of the person's, and radius in metres of somebody 1.7 m tall: feet, hips, shoulders, crown."""


def boxes(view: View, xy: Floats, height: Floats) -> Floats:
    """Boxes (N, 4) in px around people of height (N,) at floor points (N, 2), both in metres; NaN behind the camera.

    They may leave the picture.
    """
    if not len(xy):
        return np.zeros((0, 4))
    angle = np.arange(8) * np.pi / 4
    circle = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    solid = [
        np.concatenate(
            (
                xy[:, None] + r * circle * (height / 1.7)[:, None, None],
                np.broadcast_to((z * height)[:, None, None], (len(xy), 8, 1)),
            ),
            axis=2,
        )
        for z, r in RINGS
    ]
    pixels = view.project(np.concatenate(solid, axis=1))
    return np.concatenate((np.nanmin(pixels, axis=1), np.nanmax(pixels, axis=1)), axis=1)
