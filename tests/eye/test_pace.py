# SPDX-License-Identifier: Apache-2.0
"""Who leaves time until the next look."""

import pytest

from nigiwai.eye.pace import Pace
from nigiwai.eye.types import Track
from nigiwai.settings import Gate

SIZE = (1000, 1000)
HIGH = 200.0  # so the band and the uncertainty are 70 px, and a walker's way until the next look 34 px
DOOR = Gate(name="door", line=((0.2, 0.5), (0.8, 0.5)), inside=(0.5, 0.2))
SIDE = Gate(name="side", line=((0.9, 0.2), (0.9, 0.8)), inside=(0.95, 0.5))
WALKS = 0.8 * HIGH

Way = tuple[float, float]


def somebody(x: float, y: float, velocity: Way | None, seen: bool = True) -> Track:
    box = (x - 40, y - HIGH, x + 40, y)
    return Track(1, box, (x, y), 5.0, seen, velocity=velocity)


@pytest.mark.parametrize(
    ("x", "y", "velocity", "unhurried"),
    [
        (500, 900, (0, -WALKS), True),  # 400 px away
        (500, 610, (0, -WALKS), True),  # 110 px away, 76 at the next look
        (500, 600, (0, -WALKS), False),  # 100 px away, 66 at the next look
        (500, 600, (0, -2.5 * HIGH), False),  # runs
        (500, 640, (0, -2.5 * HIGH), False),  # 140 px away, 35 at the next look
        (500, 580, (0, WALKS), True),  # 80 px away and walks off
        (500, 560, (0, WALKS), False),
        (500, 500, (0, 0), True),  # stands on the line
        (500, 500, (0.05 * HIGH, 0), True),  # a box that wobbles
        (500, 505, (WALKS, 0), False),  # walks along the line
        (50, 500, (-WALKS, 0), True),  # beside its end, and walks off
        (700, 900, (WALKS, 0), True),
        (820, 700, (WALKS, 0), False),  # the other gate
        (500, 900, None, False),  # nobody knows how fast
    ],
)
def test_there_is_time_where_nobody_can_be_at_a_gate_before_the_next_look(
    x: float, y: float, velocity: Way | None, unhurried: bool
) -> None:
    assert Pace([DOOR, SIDE], SIZE).unhurried([somebody(x, y, velocity)]) is unhurried


def test_one_who_hurries_is_enough() -> None:
    far, near = somebody(500, 900, (0, -WALKS)), somebody(500, 580, (0, -WALKS))
    assert Pace([DOOR], SIZE).unhurried([far])
    assert not Pace([DOOR], SIZE).unhurried([far, near])


def test_somebody_hidden_is_where_they_are_expected() -> None:
    assert Pace([DOOR], SIZE).unhurried([somebody(500, 900, (0, -WALKS), seen=False)])
    assert not Pace([DOOR], SIZE).unhurried([somebody(500, 560, (0, -WALKS), seen=False)])
