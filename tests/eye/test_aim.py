# SPDX-License-Identifier: Apache-2.0
"""Aiming: bounded by eye itself, boxes on a grid, and advice that names what to do."""

import random

import pytest

from nigiwai.clock import BootNs
from nigiwai.door.codec import encode
from nigiwai.door.field import AIM_A_DAY_S, AIM_S, COLUMNS, MOST_BOXES, ROWS, Coverage, Hint, Reported, Scene
from nigiwai.eye.advice import Sight, advise
from nigiwai.eye.aim import Aim
from nigiwai.eye.types import Track
from nigiwai.settings import Gate

S = 1_000_000_000
SIZE = (640, 360)
GATE = Gate(name="door", line=((0.1, 0.6), (0.9, 0.6)), inside=(0.5, 0.9))


def person(x: float, foot: float, height: float, number: int = 1) -> Track:
    """In parts of the picture."""
    w, h = SIZE
    box = ((x - 0.03) * w, (foot - height) * h, (x + 0.03) * w, foot * h)
    return Track(number=number, xyxy=box, foot=(x * w, foot * h), age_s=1.0, seen=True)


def shown(aim: Aim, now_s: float, tracks: list[Track]) -> list[Reported]:
    now = BootNs(round(now_s * S))
    aim.see(tracks, SIZE, now)
    return aim.due((GATE,), 256, now)


def test_nothing_is_shown_unless_asked_and_at_most_twice_a_second() -> None:
    aim = Aim()
    assert shown(aim, 0.0, [person(0.5, 0.7, 0.4)]) == []

    aim.start(BootNs(S))
    scenes = sum(isinstance(r, Scene) for i in range(100) for r in shown(aim, 1 + i / 10, [person(0.5, 0.7, 0.4)]))

    assert 18 <= scenes <= 20


def test_it_ends_by_itself_and_the_day_has_an_end() -> None:
    aim = Aim()
    total = 0
    for start in range(0, 40_000, 700):
        aim.start(BootNs(start * S))
        lasted = next(s for s in range(700) if not aim.is_on(BootNs((start + s) * S)))
        assert lasted <= AIM_S
        total += lasted
        aim.due((GATE,), 256, BootNs((start + 699) * S))
    assert total == AIM_A_DAY_S
    aim.start(BootNs(100_000 * S))
    assert aim.is_on(BootNs(100_001 * S)), "the next day"


def test_asking_again_does_not_make_it_longer() -> None:
    aim = Aim()
    aim.start(BootNs(0))
    aim.start(BootNs(500 * S))
    assert not aim.is_on(BootNs(AIM_S * S))


def test_boxes_are_rounded_outwards_to_the_grid_and_fit_the_door() -> None:
    aim = Aim()
    aim.start(BootNs(0))
    crowd = [person(0.02 + i % 50 / 52, 0.2 + i / 100, 0.5, i) for i in range(60)]
    (scene, coverage, advice) = shown(aim, 0.1, crowd)
    assert isinstance(scene, Scene)
    assert isinstance(coverage, Coverage)
    assert len(scene.people) == MOST_BOXES
    for record in (scene, coverage, advice):
        encode(record)
    (alone,) = [r for r in shown(aim, 1.0, [person(0.5, 0.5, 0.25)]) if isinstance(r, Scene)]
    box = alone.people[0]
    assert (box.left, box.top, box.right, box.bottom) == (15, 4, 17, 9)
    assert box.right <= COLUMNS
    assert box.bottom <= ROWS


def test_coverage_says_where_feet_were() -> None:
    aim = Aim()
    aim.start(BootNs(0))
    for i in range(16):
        reports = shown(aim, i / 2, [person(0.51, 0.51, 0.3)])
    cells = [r.cells for r in reports if isinstance(r, Coverage)] or [
        r.cells for r in shown(aim, 10.0, []) if isinstance(r, Coverage)
    ]
    assert cells[0][9 * COLUMNS + 16] == "5", "16 sights: log2(17), rounded up"
    assert cells[0].count("0") == COLUMNS * ROWS - 1


def sights(n: int, height: float = 0.4, foot: float = 0.6, low: float = 0.1, high: float = 0.9) -> list[Sight]:
    return [Sight(low + (high - low) * (i + 0.5) / n, foot, height, False, False) for i in range(n)]


@pytest.mark.parametrize(
    ("seen", "hint", "have", "need"),
    [
        (sights(5), Hint.WAITING, 5, 20),
        (sights(40), Hint.GOOD, 0, 0),
        (sights(40, height=0.12), Hint.TOO_SMALL, 31, 48),  # 0.12 x 256
        (sights(40, height=0.95), Hint.TOO_LARGE, 95, 90),
        (sights(40, low=0.4), Hint.GATE_PART_UNSEEN, 1, 3),  # nobody in the left third
        (sights(40, high=0.6), Hint.GATE_PART_UNSEEN, 3, 3),
        ([Sight(0.5, 1.0, 0.4, False, True)] * 40, Hint.FEET_CUT, 100, 30),
        ([Sight(0.5, 0.6, 0.6, True, False)] * 40, Hint.TILT_UP, 7, 0),
        (sights(40, foot=0.2), Hint.WAITING, 0, 10),  # people, but none near the gate
    ],
)
def test_advice_names_what_to_do(seen: list[Sight], hint: Hint, have: int, need: int) -> None:
    first = advise(seen, (GATE,), 256)[0]
    assert (first.hint, first.have, first.need) == (hint, have, need)


EDGED = Gate(name="edged", line=((0.1, 0.99), (0.9, 0.99)), inside=(0.5, 0.5))


@pytest.mark.parametrize("seen", [[], sights(40)], ids=["nobody yet", "people"])
def test_a_gate_at_the_edge_is_told_before_anybody_walks(seen: list[Sight]) -> None:
    first = advise(seen, (GATE, EDGED), 256)[0]
    assert (first.hint, first.gate, first.have, first.need) == (Hint.GATE_AT_EDGE, "edged", 1, 3)


def test_a_gate_at_the_bottom_asks_to_tilt_down() -> None:
    low = Gate(name="low", line=((0.1, 0.97), (0.9, 0.97)), inside=(0.5, 0.5))
    found = {a.hint: a.have for a in advise(sights(40, height=0.6, foot=0.95), (low,), 256)}
    assert found[Hint.TILT_DOWN] == 9, "(0.3 x 0.6 - 0.03 + 0.05) x 45 degrees"


@pytest.mark.parametrize("roll", [0.0, 4.0, -6.0])
def test_the_roll_is_read_from_how_people_shrink(roll: float) -> None:
    import math

    r = random.Random(1)  # noqa: S311 # every run the same
    slant = math.tan(math.radians(roll))
    people = []
    for _ in range(300):
        x, y = r.uniform(0.05, 0.95), r.uniform(0.35, 0.95)
        people.append(Sight(x, y, (0.6 * (y + slant * (x - 0.5) * 16 / 9) + 0.05) * r.gauss(1, 0.05), False, False))
    rolled = [a.have for a in advise(people, (GATE,), 256) if a.hint is Hint.ROLLED]
    assert rolled == ([] if roll == 0 else pytest.approx([abs(roll)], abs=1.5))
