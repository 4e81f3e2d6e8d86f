# SPDX-License-Identifier: Apache-2.0
r"""One gate in pixels: how far points lie on its inner side, and how much room the picture leaves on either side.

  outside                      `inner` is positive here wherever `inside` was set, whichever way the line was drawn
- - -o-----------o- - -        (geometry.signed_distance gives the sign, and the ends go straight on for ever)
  inside
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nigiwai.geometry import Point, distance_to_polyline, signed_distance

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GateLine:
    """A gate's polyline in px, the sign of its inner side, and the picture's size in px."""

    corners: tuple[Point, ...]
    inner_sign: float
    size: tuple[int, int]

    @staticmethod
    def of(line: Sequence[tuple[float, float]], inside: tuple[float, float], size: tuple[int, int]) -> "GateLine":
        """The gate of the settings (0..1) in a picture of `size`."""
        scaled = [Point(x * size[0], y * size[1]) for x, y in line]
        corners = (scaled[0], *(b for a, b in pairwise(scaled) if a != b))
        inner = signed_distance(Point(inside[0] * size[0], inside[1] * size[1]), corners)
        return GateLine(corners, 1.0 if inner > 0 else -1.0, size)

    def inner(self, p: Point) -> float:
        """How far `p` lies on the inner side, in px; negative on the outer side."""
        return self.inner_sign * signed_distance(p, self.corners)

    def beside(self, p: Point) -> float:
        """The distance in px from `p` to the drawn line itself, ends not prolonged."""
        return distance_to_polyline(p, self.corners)

    def inner_and_room(self, points: Floats) -> tuple[Floats, Floats]:
        """For points (N, 2): `inner` (N,), and the room (N, 2) in px the picture leaves outside and inside of the gate.

        The room is measured along the normal from the point of the line nearest to each.
        """
        n = len(points)
        best = np.full(n, np.inf)
        foot, normal = np.zeros((n, 2)), np.zeros((n, 2))
        for i in range(len(self.corners) - 1):
            near, across = self._nearest(points, i)
            distance = np.hypot(*(points - near).T)
            closer = distance < best
            best[closer], foot[closer], normal[closer] = distance[closer], near[closer], across[closer]
        side = np.sign(((points - foot) * normal).sum(axis=1)) * self.inner_sign
        inward = normal * self.inner_sign
        straight = inward / np.maximum(np.hypot(*inward.T), 1e-9)[:, None]
        return side * best, np.stack((self._room(foot, -straight), self._room(foot, straight)), axis=1)

    def _nearest(self, points: Floats, i: int) -> tuple[Floats, Floats]:
        """The nearest point of segment `i` (N, 2), end segments prolonged, and the normal that decides the side."""
        a, b = np.array(self.corners[i]), np.array(self.corners[i + 1])
        last = len(self.corners) - 2
        along = (points - a) @ (b - a) / ((b - a) @ (b - a))
        t = np.clip(along, -np.inf if i == 0 else 0.0, np.inf if i == last else 1.0)
        across = np.broadcast_to(_normal(a, b), points.shape).copy()
        if i > 0:
            across[t == 0.0] += _normal(np.array(self.corners[i - 1]), a)
        if i < last:
            across[t == 1.0] += _normal(b, np.array(self.corners[i + 2]))
        return a + t[:, None] * (b - a), across

    def _room(self, start: Floats, direction: Floats) -> Floats:
        """(N,) how far one can go from `start` (N, 2) along unit vectors before the picture ends; 0 outside of it."""
        size = np.array(self.size, np.float64)
        ahead = np.where(direction > 0, size - start, start)
        room: Floats = (ahead / np.maximum(np.abs(direction), 1e-9)).min(axis=1)
        return np.maximum(0.0, room)


def _normal(a: Floats, b: Floats) -> Floats:
    dx, dy = b - a
    normal: Floats = np.array([-dy, dx]) / np.hypot(dx, dy)
    return normal
