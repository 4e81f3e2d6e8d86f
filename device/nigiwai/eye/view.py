# SPDX-License-Identifier: Apache-2.0
r"""A camera above a flat floor: metres to pixels and back. Pure.

    height_m  o                tilt_deg: how far the camera looks below the horizon; 90 looks straight down
              | \  tilt        X to the right and Y ahead on the floor, both from the point below the camera, Z up
              |   \             u to the right and v down in the picture, in pixels
    ----------+-----\---- floor

A wide lens bends straight lines (barrel). It is described by one number, the division model (Fitzgibbon 2001): a point
d focal lengths from the picture's middle would be at d / (1 - distortion d^2) through a pinhole. 0 is a pinhole.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import cos, radians, sin, tan

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _bend(radius: Floats, distortion: float) -> Floats:
    """Where the lens puts points that a pinhole would put `radius` focal lengths from the middle."""
    if not distortion:
        return radius
    root: Floats = 2 * radius / (1 + np.sqrt(1 + 4 * distortion * radius**2))
    return root


# Asked several times a frame, and the same all day.
@lru_cache(maxsize=64)
def _focal_px(width_px: int, fov_deg: float, distortion: float) -> float:
    return width_px / 2 / float(_bend(np.array(tan(radians(fov_deg) / 2)), distortion))


@lru_cache(maxsize=64)
def _axes(tilt_deg: float) -> Floats:
    s, c = sin(radians(tilt_deg)), cos(radians(tilt_deg))
    axes = np.array([[1.0, 0.0, 0.0], [0.0, -s, -c], [0.0, c, -s]])
    axes.setflags(write=False)
    return axes


@lru_cache(maxsize=64)
def _middle(size: tuple[int, int]) -> Floats:
    middle = np.array(size) / 2
    middle.setflags(write=False)
    return middle


@dataclass(frozen=True, slots=True)
class View:
    """Where the camera hangs, how it looks, and its picture. `fov_deg` is the horizontal angle of view."""

    height_m: float
    tilt_deg: float
    fov_deg: float
    size: tuple[int, int]
    distortion: float = 0.0

    @property
    def focal_px(self) -> float:
        """Focal length in pixels, in the middle of the picture."""
        return _focal_px(self.size[0], self.fov_deg, self.distortion)

    def flat(self, pixels: Floats) -> Floats:
        """Pixels (..., 2) as a pinhole of focal length 1 would show them, from the middle of the picture."""
        seen = (pixels - _middle(self.size)) / self.focal_px
        if not self.distortion:
            return seen
        straight: Floats = seen / np.maximum(1 - self.distortion * (seen**2).sum(axis=-1, keepdims=True), 1e-6)
        return straight

    def axes(self) -> Floats:
        """(3, 3) rows: the directions right, down and forward of the camera, in X, Y, Z."""
        return _axes(self.tilt_deg)

    def project(self, points: Floats) -> Floats:
        """Pixels (..., 2) of points (..., 3) in metres; NaN for points less than 5 cm in front of the camera."""
        seen = (points - np.array([0.0, 0.0, self.height_m])) @ self.axes().T
        depth = np.where(seen[..., 2:] > 0.05, seen[..., 2:], np.nan)
        at = seen[..., :2] / depth
        if self.distortion:
            radius = np.hypot(at[..., :1], at[..., 1:])
            at = at * _bend(radius, self.distortion) / np.maximum(radius, 1e-12)
        pixels: Floats = at * self.focal_px + _middle(self.size)
        return pixels

    def to_floor(self, pixels: Floats, z_m: float = 0.0) -> Floats:
        """X, Y in metres (..., 2) where the rays of pixels (..., 2) meet height `z_m`; NaN from the horizon upwards."""
        axes = self.axes()
        ray = self.flat(pixels) @ axes[:2] + axes[2]
        drop = ray[..., 2:]
        floor: Floats = ray[..., :2] * ((z_m - self.height_m) / np.where(drop < -1e-6, drop, np.nan))
        return floor
