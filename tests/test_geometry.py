# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nigiwai.geometry import Point, polyline_length, signed_distance

L = [Point(0, 0), Point(1, 0)]
BENT = [Point(0, 0), Point(1, 0), Point(1, -1)]

coordinates = st.floats(-5, 5).map(lambda v: round(v, 3))
points = st.builds(Point, coordinates, coordinates)


@pytest.mark.parametrize(
    ("p", "line", "distance"),
    [
        ((0.5, 1), L, 1.0),
        ((0.5, -1), L, -1.0),
        ((5, 2), L, 2.0),  # beyond the end the line goes straight on
        ((-3, -0.5), L, -0.5),
        ((0.5, 0), L, 0.0),
        ((2, 1), BENT, math.sqrt(2)),  # outside the bend: the corner is nearest
        ((0.5, -0.2), BENT, -0.2),
        ((0.9, -3), BENT, -0.1),
    ],
)
def test_signed_distance(p: tuple[float, float], line: list[Point], distance: float) -> None:
    assert signed_distance(Point(*p), line) == pytest.approx(distance)


@given(points, st.lists(points, min_size=2, max_size=2, unique=True))
def test_drawing_a_straight_line_the_other_way_swaps_the_sides(p: Point, line: list[Point]) -> None:
    assert signed_distance(p, line[::-1]) == pytest.approx(-signed_distance(p, line), abs=1e-9)


def test_a_sharp_bend_has_the_same_outer_side_on_both_legs() -> None:
    spike = [Point(0, 0), Point(1, 0), Point(0, 0.2)]
    assert signed_distance(Point(1.5, 0.1), spike) < 0
    assert signed_distance(Point(0.5, -0.1), spike) < 0
    assert signed_distance(Point(0.5, 0.3), spike) < 0
    assert signed_distance(Point(0.5, 0.05), spike) > 0


def test_a_line_of_one_place_is_refused() -> None:
    with pytest.raises(ValueError, match="two different"):
        signed_distance(Point(1, 1), [Point(0, 0), Point(0, 0)])


def test_polyline_length() -> None:
    assert polyline_length(BENT) == 2.0
