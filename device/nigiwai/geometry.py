# SPDX-License-Identifier: Apache-2.0
"""Points and polylines in the plane: the little geometry that gates need. Pure."""

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import NamedTuple


class Point(NamedTuple):
    """A point; the unit (pixels, 0..1, metres) is the caller's."""

    x: float
    y: float


def polyline_length(line: Sequence[Point]) -> float:
    """The summed length of the segments, in the points' unit."""
    return sum(math.dist(a, b) for a, b in pairwise(line))


def nearest_on_segment(p: Point, a: Point, b: Point) -> tuple[Point, float]:
    """The point of segment a-b nearest to `p`, and where it lies: 0 at a, 1 at b. A segment of no length is a."""
    t = min(1.0, max(0.0, position_along(p, a, b)))
    return Point(a.x + t * (b.x - a.x), a.y + t * (b.y - a.y)), t


def position_along(p: Point, a: Point, b: Point) -> float:
    """Where the foot of the perpendicular from `p` falls on the straight line a-b: 0 at a, 1 at b, 0 if a is b."""
    dx, dy = b.x - a.x, b.y - a.y
    squared = dx * dx + dy * dy
    return 0.0 if squared == 0.0 else ((p.x - a.x) * dx + (p.y - a.y) * dy) / squared


def distance_to_polyline(p: Point, line: Sequence[Point]) -> float:
    """The distance from `p` to the nearest point of `line`, never negative."""
    return min(math.dist(p, nearest_on_segment(p, a, b)[0]) for a, b in pairwise(line))


def signed_distance(p: Point, line: Sequence[Point]) -> float:
    r"""The distance from `p` to `line`, its two ends prolonged straight on for ever; positive on one side.

    Two points are on one side of the line exactly when their signs agree, whichever way the line was drawn:

                 +                      The sign at a bend is taken from the sum of both segments' normals
      - - -o-----------o                (Baerentzen and Aanaes 2005, "Signed distance computation using the angle
                 -       \    +         weighted pseudonormal"), so that it holds for sharp bends as well.
                      -   o- - -

    Points of the line that repeat are ignored. Raises ValueError if fewer than two different points are left.
    """
    corners = [line[0], *(b for a, b in pairwise(line) if a != b)]
    if len(corners) < 2:
        raise ValueError("a line needs two different points")
    best = math.inf
    sign = 1.0
    for i, (a, b) in enumerate(pairwise(corners)):
        t = position_along(p, a, b)
        low = -math.inf if i == 0 else 0.0
        high = math.inf if i == len(corners) - 2 else 1.0
        t = min(high, max(low, t))
        distance = math.dist(p, (a.x + t * (b.x - a.x), a.y + t * (b.y - a.y)))
        if distance < best:
            best, sign = distance, _side(p, corners, i, t)
    return math.copysign(best, sign)


def _side(p: Point, corners: Sequence[Point], i: int, t: float) -> float:
    """On which side of segment `i` the point is, seen from position `t` on it; at a bend both segments have a say."""
    a, b = corners[i], corners[i + 1]
    nx, ny = _normal(a, b)
    foot = Point(a.x + t * (b.x - a.x), a.y + t * (b.y - a.y))
    if t == 1.0 and i + 2 < len(corners):
        ox, oy = _normal(b, corners[i + 2])
        nx, ny = nx + ox, ny + oy
    elif t == 0.0 and i > 0:
        ox, oy = _normal(corners[i - 1], a)
        nx, ny = nx + ox, ny + oy
    return nx * (p.x - foot.x) + ny * (p.y - foot.y)


def _normal(a: Point, b: Point) -> tuple[float, float]:
    length = math.dist(a, b)
    return -(b.y - a.y) / length, (b.x - a.x) / length


def crosses_itself(corners: Sequence[Point]) -> bool:
    """Whether edges of the closed polygon cross; touching corners do not count."""
    n = len(corners)
    edges = [(corners[i], corners[(i + 1) % n]) for i in range(n)]
    return any(
        _cross(*edges[i], *edges[j]) for i, j in combinations(range(n), 2) if j - i > 1 and not (i == 0 and j == n - 1)
    )


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    return _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
