# SPDX-License-Identifier: Apache-2.0
r"""Where on a picture the trait model looks: one upright window a person, of a fixed shape. Pure.

  width = height / 2
.-----------.
|  .-----.  |   The window is taller than the person's box by GROW, and as wide as it must be to keep its shape:
|  | box |  |   a person is never stretched, since head and body in proportion are what tells a child. What lies
|  |     |  |   outside the picture is filled with the nearest edge.
|  '-----'  |
'-----------'
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

GROW = 1.15
"""Height of the window over height of the box."""


def window(xyxy: Sequence[float], size: tuple[int, int], grow: float = GROW) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in whole px of the window around a box, shaped as `size` (width, height)."""
    left, top, right, bottom = xyxy
    high = max(2.0, grow * (bottom - top))
    half = high * size[0] / size[1] / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    x0, y0 = round(x - half), round(y - high / 2)
    return x0, y0, x0 + max(1, round(2 * half)), y0 + round(high)


def cut(image: Bytes, xyxy: Sequence[float], size: tuple[int, int], grow: float = GROW) -> Bytes:
    """The window around the box in a BGR picture (H, W, 3), scaled to `size`: (height, width, 3), its own memory.

    A window that lies wholly outside the picture shows the nearest edge.
    """
    high, wide = image.shape[:2]
    x0, y0, x1, y1 = window(xyxy, size, grow)
    in_x0, in_y0 = min(max(x0, 0), wide - 1), min(max(y0, 0), high - 1)
    in_x1, in_y1 = max(min(x1, wide), in_x0 + 1), max(min(y1, high), in_y0 + 1)
    part: NDArray[Any] = image[in_y0:in_y1, in_x0:in_x1]
    edges = (max(0, in_y0 - y0), max(0, y1 - in_y1), max(0, in_x0 - x0), max(0, x1 - in_x1))
    if any(edges):
        part = cv2.copyMakeBorder(part, *edges, cv2.BORDER_REPLICATE)
    # Area means cost three times as much, and show only where pixels would be skipped.
    way = cv2.INTER_AREA if part.shape[0] > 2 * size[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, size, interpolation=way), np.uint8)
