# SPDX-License-Identifier: Apache-2.0
r"""Where on a picture the trait model looks: one window a person, of a fixed shape, the person upright in it. Pure.

  width = height / 2
.-----------.
|  .-----.  |   The window is taller than the person by GROW, or by WIDE than they are broad where that is more, and as
|  | box |  |   wide as it must be to keep its shape: a person is never stretched, since head and body in proportion are
|  |     |  |   what tells a child. What lies outside the picture is filled with the nearest edge.
|  '-----'  |
'-----------'

A camera that looks down steeply sees those beside its middle aslant, by 24 degrees who walks a metre aside 60 degrees
down. Where the view is measured the window is turned with them, and is as long as they are and not as their box:

     box   .------.            A body is taken for an ellipse, `long` by `broad`, of which the box is
           |   .'\|              height^2 = long^2 cos^2 + broad^2 sin^2
           | .' .'|              width^2  = long^2 sin^2 + broad^2 cos^2
           |' .'  |
           '------'
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, cos, pi, radians, sin, sqrt
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nigiwai.eye.view import View

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

GROW = 1.15
"""Height of the window over the length of the person."""

WIDE = 1.8
"""Length of the person, in breadths, from which on the window goes by the length: half of it is 1.035 breadths then."""

MOST_SCALE = 2
"""Pixels of the picture to one of the window, beyond which some would be skipped: it is made smaller first, by a whole
number, which takes a tenth of the time of any other."""

MOST_SLANT = pi / 5
"""Radians: nobody is seen more aslant within a box that is still taken for one upright person."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window in a picture: its middle, its height, all in px, and by how much it is turned clockwise, in radians."""

    x: float
    y: float
    high: float
    slant: float = 0.0

    @staticmethod
    def around(xyxy: Sequence[float], slant: float = 0.0, grow: float = GROW) -> "Window":
        """The window around somebody in a box who is seen that much aslant."""
        left, top, right, bottom = xyxy
        wide, high = right - left, bottom - top
        slant = max(-MOST_SLANT, min(MOST_SLANT, slant))
        c, s = cos(slant) ** 2, sin(slant) ** 2
        long = sqrt(min(max((high**2 * c - wide**2 * s) / (c - s), high**2), high**2 / c))
        broad = sqrt(min(max((wide**2 * c - high**2 * s) / (c - s), 0.0), wide**2))
        return Window((left + right) / 2, (top + bottom) / 2, max(2.0, grow * max(long, WIDE * broad)), slant)

    def corners(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Left, top, right, bottom in whole px where the window is not turned, shaped as `size` (width, height)."""
        half = self.high * size[0] / size[1] / 2
        x0, y0 = round(self.x - half), round(self.y - self.high / 2)
        return x0, y0, x0 + max(1, round(2 * half)), y0 + round(self.high)


def slants(view: View, boxes: Floats) -> Floats:
    """By how much upright people in boxes (N, 4) lean to the right, (N,) in radians.

    Through a pinhole whatever is upright points away from where one would see straight down.
    """
    x, y = view.flat((boxes[:, :2] + boxes[:, 2:]) / 2).T
    s, c = sin(radians(view.tilt_deg)), cos(radians(view.tilt_deg))
    lean: Floats = np.arctan2(x * s, c - y * s)
    return lean


def upright(image: Bytes, view: View, boxes: Floats, size: tuple[int, int], grow: float = GROW) -> list[Bytes]:
    """People in boxes (N, 4) of a view, each upright in a window: N times (height, width, 3), as `cut` gives them."""
    around = zip(boxes.tolist(), slants(view, boxes).tolist(), strict=True)
    return [cut(image, Window.around(box, slant, grow), size) for box, slant in around]


def cut(image: Bytes, window: Window, size: tuple[int, int]) -> Bytes:
    """The window in a BGR picture (H, W, 3), upright, scaled to `size`: (height, width, 3), its own memory.

    A window that lies wholly outside the picture shows the nearest edge.
    """
    return _turned(image, window, size) if window.slant else _straight(image, window.corners(size), size)


def _straight(image: Bytes, corners: tuple[int, int, int, int], size: tuple[int, int]) -> Bytes:
    high, wide = image.shape[:2]
    x0, y0, x1, y1 = corners
    in_x0, in_y0 = min(max(x0, 0), wide - 1), min(max(y0, 0), high - 1)
    in_x1, in_y1 = max(min(x1, wide), in_x0 + 1), max(min(y1, high), in_y0 + 1)
    part: NDArray[Any] = image[in_y0:in_y1, in_x0:in_x1]
    edges = (max(0, in_y0 - y0), max(0, y1 - in_y1), max(0, in_x0 - x0), max(0, x1 - in_x1))
    if any(edges):
        part = cv2.copyMakeBorder(part, *edges, cv2.BORDER_REPLICATE)
    # Area means cost three times as much, and show only where pixels would be skipped.
    way = cv2.INTER_AREA if part.shape[0] >= MOST_SCALE * size[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, size, interpolation=way), np.uint8)


def _turned(image: Bytes, window: Window, size: tuple[int, int]) -> Bytes:
    scale = window.high / size[1]
    if scale > MOST_SCALE:
        image, window, scale = _smaller(image, window, ceil(scale / MOST_SCALE), size)
    c, s = scale * cos(window.slant), scale * sin(window.slant)
    # From a pixel of the window to one of the picture; middles of pixels are at halves.
    x, y = size[0] / 2 - 0.5, size[1] / 2 - 0.5
    turn = np.array([[c, -s, window.x - 0.5 - c * x + s * y], [s, c, window.y - 0.5 - s * x - c * y]])
    way = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, turn, size, flags=way, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _smaller(image: Bytes, window: Window, times: int, size: tuple[int, int]) -> tuple[Bytes, Window, float]:
    """The part of the picture that holds the window, so many times smaller, the window in it, and its scale."""
    half = times * ceil((window.high / 2 + 2) * (1 + abs(sin(window.slant))) / times)
    x0, y0 = round(window.x) - half, round(window.y) - half
    side = 2 * half // times
    part = _straight(image, (x0, y0, x0 + 2 * half, y0 + 2 * half), (side, side))
    moved = Window((window.x - x0) / times, (window.y - y0) / times, window.high / times, window.slant)
    return part, moved, moved.high / size[1]
