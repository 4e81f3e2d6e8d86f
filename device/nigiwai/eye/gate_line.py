# SPDX-License-Identifier: Apache-2.0
r"""One gate in pixels: how far points lie on its inner side, and how much room the picture leaves on either side.

  outside                      `inner` is positive here wherever `inside` was set, whichever way the line was drawn
- - -o-----------o- - -        (geometry.signed_distance gives the sign, and the ends go straight on for ever)
  inside
"""

from collections.abc import Sequence
from itertools import pairwise
from math import inf

import numpy as np
from numpy.typing import NDArray

from nigiwai.geometry import Point, distance_to_polyline, signed_distance

Floats = NDArray[np.float64]

LEAST_ROOM = 0.03
"""Of the picture's height, on both sides of a gate somewhere along it. With less, the band within which a foot's
filtered place strays (`gates.HYSTERESIS`) has no room: nobody half as tall as the picture is ever clearly on that side.
Chosen, not measured."""

_ALONG = 1e-9
"""The part of a way across an edge under which the way goes along it."""

_LOOKS = 9
"""Places along each segment at which the room is looked at."""


class GateLine:
    """A gate's polyline in px, the sign of its inner side, and the picture's size in px."""

    def __init__(self, corners: Sequence[Point], inner_sign: float, size: tuple[int, int]) -> None:
        """corners: two or more, none equal to the next."""
        self.corners, self.inner_sign, self.size = tuple(corners), inner_sign, size
        self._normals = [_normal(a, b) for a, b in pairwise(self.corners)]
        self._inward = Point(*(inner_sign * n for n in self._normals[0]))

    @staticmethod
    def of(line: Sequence[tuple[float, float]], inside: tuple[float, float], size: tuple[int, int]) -> "GateLine":
        """The gate of the settings (0..1) in a picture of `size`."""
        scaled = [Point(x * size[0], y * size[1]) for x, y in line]
        corners = (scaled[0], *(b for a, b in pairwise(scaled) if a != b))
        inner = signed_distance(Point(inside[0] * size[0], inside[1] * size[1]), corners)
        return GateLine(corners, 1.0 if inner > 0 else -1.0, size)

    @property
    def straight(self) -> bool:
        """Whether it has no bend."""
        return len(self.corners) == 2

    def inner(self, p: Point) -> float:
        """How far `p` lies on the inner side, in px; negative on the outer side."""
        return self.inner_sign * signed_distance(p, self.corners)

    def beside(self, p: Point) -> float:
        """The distance in px from `p` to the drawn line itself, ends not prolonged."""
        return distance_to_polyline(p, self.corners)

    def inners(self, points: Sequence[tuple[float, float]]) -> list[float]:
        """`inner` of each of the points: of a few dozen, plain numbers are reckoned with faster than arrays."""
        if not self.straight:
            across: list[float] = self.inner_of(np.array(points).reshape(-1, 2).T).tolist()
            return across
        (ax, ay), (nx, ny) = self.corners[0], self._inward
        return [(x - ax) * nx + (y - ay) * ny for x, y in points]

    def inner_of(self, points: Floats) -> Floats:
        """(N,): `inner` of points (2, N)."""
        if not self.straight:
            return self._nearest(points)[0]
        (ax, ay), (nx, ny) = self.corners[0], self._inward
        across: Floats = (points[0] - ax) * nx + (points[1] - ay) * ny
        return across

    def room_here(self, point: tuple[float, float], inner: float) -> float:
        """The room in px that the picture leaves on the side of the gate on which a point lies, `inner` inside."""
        if not self.straight:
            outside, inside = self.room(np.array(point)[:, None])[:, 0].tolist()
            return float(outside if inner < 0 else inside)
        (x, y), (nx, ny), way = point, self._inward, -1 if inner < 0 else 1
        across = _room(x - inner * nx, way * nx, self.size[0])
        return max(0.0, min(across, _room(y - inner * ny, way * ny, self.size[1])))

    def room(self, points: Floats) -> Floats:
        """(2, N): the room in px that the picture leaves outside and inside of the gate near points (2, N).

        Measured along the normal from the point of the line nearest to each.
        """
        _, foot, inward = self._nearest(points)
        straight = inward / np.maximum(np.hypot(*inward), 1e-9)
        return np.stack((self._room(foot, -straight), self._room(foot, straight)))

    def _nearest(self, points: Floats) -> tuple[Floats, Floats, Floats]:
        """`inner` (N,) of points (2, N), the point of the line nearest to each (2, N), and the way inwards there."""
        n = points.shape[1]
        best, foot, inward = np.full(n, np.inf), np.zeros((2, n)), np.zeros((2, n))
        for i in range(len(self._normals)):
            near, across = self._nearest_on(points, i)
            distance = np.hypot(*(points - near))
            closer = distance < best
            best = np.where(closer, distance, best)
            foot = np.where(closer, near, foot)
            inward = np.where(closer, across * self.inner_sign, inward)
        return np.sign(((points - foot) * inward).sum(axis=0)) * best, foot, inward

    def _nearest_on(self, points: Floats, i: int) -> tuple[Floats, Floats]:
        """The nearest point of segment `i` (2, N), end segments prolonged, and the normal that decides the side."""
        a, b = self.corners[i], self.corners[i + 1]
        dx, dy = b.x - a.x, b.y - a.y
        last = len(self._normals) - 1
        along = ((points[0] - a.x) * dx + (points[1] - a.y) * dy) / (dx * dx + dy * dy)
        t = np.minimum(np.maximum(along, -np.inf if i == 0 else 0.0), np.inf if i == last else 1.0)
        across = np.repeat(np.array(self._normals[i])[:, None], points.shape[1], axis=1)
        if i > 0:
            across[:, t == 0.0] += np.array(self._normals[i - 1])[:, None]
        if i < last:
            across[:, t == 1.0] += np.array(self._normals[i + 1])[:, None]
        return np.stack((a.x + t * dx, a.y + t * dy)), across

    def _room(self, start: Floats, direction: Floats) -> Floats:
        """(N,) how far one can go from `start` (2, N) along unit vectors before the picture ends; 0 outside of it."""
        size = np.array(self.size, np.float64)[:, None]
        ahead = np.where(direction > 0, size - start, start)
        # Who goes along an edge, be it on it, does not come nearer to it.
        room = np.where(np.abs(direction) < _ALONG, np.inf, ahead / np.maximum(np.abs(direction), _ALONG))
        return np.asarray(np.maximum(0.0, room.min(axis=0)))


def room_share(line: Sequence[tuple[float, float]], size: tuple[int, int]) -> float:
    """The room that the picture leaves on the narrower side of the gate, in parts of its height, where it leaves most.

    line: the gate in parts of the picture; size: the picture's, only whose shape matters here.
    """
    scaled = [Point(x * size[0], y * size[1]) for x, y in line]
    corners = (scaled[0], *(b for a, b in pairwise(scaled) if a != b))
    shares = np.linspace(0.0, 1.0, _LOOKS)
    places = np.hstack([np.outer(a, 1 - shares) + np.outer(b, shares) for a, b in pairwise(np.array(corners))])
    room = GateLine(corners, 1.0, size).room(places)
    return float(room.min(axis=0).max()) / size[1]


def at_edge(line: Sequence[tuple[float, float]], size: tuple[int, int]) -> bool:
    """Whether the gate lies so near to the picture's edge that nobody can be seen on both of its sides."""
    return room_share(line, size) < LEAST_ROOM


def _room(start: float, direction: float, side: int) -> float:
    """How far one can go from `start` before a picture of that side ends, at `direction` px of it a px of the way."""
    if abs(direction) < _ALONG:
        return inf
    return (side - start if direction > 0 else start) / abs(direction)


def _normal(a: Point, b: Point) -> tuple[float, float]:
    dx, dy = b.x - a.x, b.y - a.y
    length = (dx * dx + dy * dy) ** 0.5
    return -dy / length, dx / length
