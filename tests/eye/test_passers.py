# SPDX-License-Identifier: Apache-2.0
"""Who came with whom, by walks over a floor: paths in, kinds of company out."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nigiwai.clock import BootNs
from nigiwai.door.traits import Band, Company
from nigiwai.eye.companions import APART, KEEP_NS, Ways, features, odds
from nigiwai.eye.ground import given
from nigiwai.eye.likeness import Fusion, band_of, likeness
from nigiwai.eye.passers import SETTLE_S, Passers, Settled
from nigiwai.eye.portraits import Portraits
from nigiwai.eye.sight import STEP_NS, Sight
from nigiwai.eye.stature import Stature
from nigiwai.eye.types import Crossing, Direction, Track
from nigiwai.eye.view import View
from tests.eye.test_stature import box_of

S = 1_000_000_000
VIEW = View(2.8, 30.0, 75.0, (640, 384))
DT_NS = 125_000_000
Place = Callable[[float], tuple[float, float]]
Someone = tuple[int, float, Place]
"""A number, a height in m, and where they are at t seconds; the gate lies at 4.5 m, inside is nearer."""

GATE_M = 4.5


def straight(x: float, lag_s: float = 0.0, speed: float = 1.2) -> Place:
    """Walks from 7 m towards the camera."""
    return lambda t: (x, 7.0 - speed * (t - lag_s))


def watch(people: Sequence[Someone], seconds: float = 16.0) -> dict[int, Settled]:
    """What is said of everybody, by number; they are counted when they pass GATE_M."""
    passers, order, settled = Passers(given(VIEW)), [], []
    before: dict[int, float] = {}
    for i in range(round(seconds * S / DT_NS)):
        at, t = BootNs(100 * S + i * DT_NS), i * DT_NS / S
        tracks, crossings, numbers = [], [], []
        for number, tall, where in people:
            x, y = where(t)
            if not 2.6 < y < 7.0:
                continue
            box = box_of(VIEW, x, y, tall)
            tracks.append(Track(number, box, ((box[0] + box[2]) / 2, box[3]), t, seen=True))
            if before.get(number, y) >= GATE_M > y:
                crossings.append(Crossing("door", Direction.IN, at))
                numbers.append(number)
            before[number] = y
        order += numbers
        settled += passers.update(tracks, crossings, numbers, at)
    settled += passers.settle(at, everybody=True)
    assert passers.waiting == ()
    return dict(zip(order, settled, strict=True))


def kinds(settled: dict[int, Settled]) -> dict[int, Company]:
    return {n: s.person.company for n, s in settled.items()}


def test_a_parent_and_a_child_side_by_side_are_a_family() -> None:
    told = watch([(1, 1.68, straight(0.0)), (2, 1.10, straight(0.7, 0.2))])
    assert kinds(told) == {1: Company.FAMILY_1, 2: Company.FAMILY_1}
    assert [told[n].person.band for n in (1, 2)] == [Band.ADULT, Band.CHILD]


def test_two_parents_behind_two_children_are_one_family_of_two_children() -> None:
    talls = [1.05, 1.20, 1.75, 1.66]
    told = watch([(n, tall, straight(0.6 * (n % 2), 0.6 * (n // 2))) for n, tall in enumerate(talls)])
    assert set(kinds(told).values()) == {Company.FAMILY_2}


def test_two_grown_ups_are_a_group_and_two_children_another() -> None:
    told = watch([(1, 1.75, straight(-0.4)), (2, 1.70, straight(0.3))])
    assert set(kinds(told).values()) == {Company.ADULTS}
    told = watch([(1, 1.15, straight(-0.4)), (2, 1.20, straight(0.3))])
    assert set(kinds(told).values()) == {Company.CHILDREN}


@pytest.mark.parametrize(
    "other",
    [
        (2, 1.10, straight(0.5, 6.0)),  # seconds later
        (2, 1.10, straight(1.5, 2.0, speed=1.6)),  # faster, overtaking at a distance
        (2, 1.10, lambda t: (1.2, 2.7 + 1.1 * t)),  # coming towards, never counted in
    ],
)
def test_a_stranger_is_not_taken_for_company(other: Someone) -> None:
    told = watch([(1, 1.72, straight(-0.6)), other])
    assert told[1].person.company is Company.ALONE


def test_somebody_seen_for_two_frames_is_unknown_in_every_respect() -> None:
    told = watch([(1, 1.72, lambda t: (0.0, 4.6 - 1.2 * t if t < 0.3 else -1.0))])
    assert told[1].person == (Company.UNKNOWN, "unknown", Band.UNKNOWN)


class Youthful:
    """A model to which everybody is surely a child."""

    size = (48, 96)

    def look(self, windows: list[NDArray[np.uint8]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.log([[0.97, 0.01, 0.01, 0.01]] * len(windows)), np.log([[0.5, 0.5]] * len(windows))


@pytest.mark.parametrize(("tilt_deg", "band"), [(60.0, Band.CHILD), (70.0, Band.UNKNOWN)])
def test_from_a_view_too_steep_for_heights_nobody_is_told_by_looks_alone(tilt_deg: float, band: Band) -> None:
    """Nobody is followed for long enough to be measured: what is told is told by looks."""
    view, box = replace(VIEW, tilt_deg=tilt_deg), (280.0, 150.0, 320.0, 250.0)
    passers = Passers(given(view), Portraits(Youthful(), view))
    track = Track(1, box, (300.0, 250.0), 1.0, seen=True, detected=box)
    image = np.zeros((384, 640, 3), np.uint8)
    for i in range(3):
        at = BootNs(i * S // 2)
        crossings = [Crossing("door", Direction.IN, at)] if i == 2 else []
        passers.update([track], crossings, [1] * len(crossings), at, image)
    (settled,) = passers.settle(BootNs(S), everybody=True)
    assert settled.person.band is band


def test_everybody_is_looked_at_no_oftener_than_every_step() -> None:
    class Counting(Youthful):
        shown = 0

        def look(self, windows: list[NDArray[np.uint8]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            self.shown += len(windows)
            return super().look(windows)

    eye, image = Counting(), np.zeros((384, 640, 3), np.uint8)
    passers = Passers(given(VIEW), Portraits(eye, VIEW))
    for i in range(8):
        box = (100.0, 150.0, 140.0, 250.0 + 30 * i)  # ever larger: always worth a look
        passers.update([Track(1, box, (120.0, box[3]), 1.0, seen=True)], [], [], BootNs(i * STEP_NS // 4), image)
    assert eye.shown == 2


def test_what_was_learnt_of_a_track_that_ended_at_the_gate_is_told_of_its_passage() -> None:
    """Gates judge whoever is lost on the line when the track has ended: nobody follows it any more by then."""
    passers, box = Passers(given(VIEW)), box_of(VIEW, 0.0, 4.5, 1.15)
    for i in range(10):
        track = Track(1, box, ((box[0] + box[2]) / 2, box[3]), 1.0, seen=True)
        passers.update([track], [], [], BootNs(i * STEP_NS))
    passers.update([], [Crossing("door", Direction.IN, BootNs(9 * STEP_NS))], [1], BootNs(10 * STEP_NS))
    (settled,) = passers.settle(BootNs(11 * STEP_NS), everybody=True)
    assert settled.person.band is Band.CHILD


def test_passages_are_let_go_in_order_and_after_the_time_they_wait() -> None:
    passers = Passers(given(VIEW))
    crossing = Crossing("door", Direction.OUT, BootNs(0))
    assert passers.update([], [crossing], [1], BootNs(0)) == []
    assert passers.update([], [crossing], [2], BootNs(S)) == []
    assert [s.at for s in passers.update([], [], [], BootNs(round(SETTLE_S * S)))] == [0]
    assert [s.at for s in passers.settle(BootNs(2 * S), everybody=True)] == [S]


def test_bands_need_certainty() -> None:
    assert band_of(likeness(None, None, Fusion())) is Band.UNKNOWN
    assert band_of(likeness(Stature(1.53, 0.05), None, Fusion())) is Band.UNKNOWN
    assert band_of(likeness(Stature(1.20, 0.05), None, Fusion())) is Band.CHILD
    assert band_of(likeness(Stature(1.75, 0.05), None, Fusion())) is Band.ADULT


def test_ways_do_not_grow_with_the_number_of_people() -> None:
    ways = Ways(given(VIEW))
    for i in range(2_000):
        track = Track(i, (300.0, 200.0, 340.0, 300.0), (320.0, 300.0), 0.1, seen=True)
        ways.update(Sight.of([track], BootNs(i * STEP_NS)))
    assert len(ways._ways) <= KEEP_NS // STEP_NS + 1


def test_nearer_slower_and_sooner_is_likelier() -> None:
    """Distance, spread, difference in velocity, distance ahead, seconds together, seconds between the passages."""
    usual = (0.7, 0.1, 0.1, 0.3, 4.0, 0.5)
    assert odds(usual) > 2.0
    assert odds((2.5, 0.5, 0.3, 2.0, 4.0, 2.0)) < -2.0
    for i, worse in ((0, 1.0), (2, 0.5), (3, 0.8), (4, 2.0), (5, 2.0)):
        assert odds((*usual[:i], worse, *usual[i + 1 :])) < odds(usual)


def test_what_is_seen_of_two_who_walk_one_behind_the_other() -> None:
    """Five steps of 1.2 m/s, the second 1 m behind and 0.5 m aside."""
    ways = Ways(given(VIEW))
    for i in range(6):
        places = [(0.0, 6.0 - 0.24 * i), (0.5, 7.0 - 0.24 * i)]
        feet = [tuple(VIEW.project(np.array([[*place, 0.0]]))[0]) for place in places]
        tracks = [Track(n, (0.0, 0.0, 1.0, 1.0), foot, 1.0, seen=True) for n, foot in enumerate(feet)]
        ways.update(Sight.of(tracks, BootNs(i * STEP_NS)))
    assert features(ways.of(0), ways.of(1)) == pytest.approx((1.25**0.5, 0.0, 0.0, 1.0, 1.2), abs=0.01)


def walked(ways: Ways, people: dict[int, tuple[Place, set[int]]]) -> None:
    """Ways of people, at places for times in s, seen in some steps."""
    for i in range(30):
        tracks = []
        for number, (where, seen) in people.items():
            x, y = where(i * STEP_NS / S)
            foot = tuple(VIEW.project(np.array([[x, y, 0.0]]))[0])
            tracks += [Track(number, (0.0, 0.0, 1.0, 1.0), foot, 1.0, seen=True)] if i in seen else []
        ways.update(Sight.of(tracks, BootNs(i * STEP_NS)))


@pytest.mark.parametrize(
    ("comes", "sure"),
    [
        ((10, lambda t: (0.3, 7.8 - 1.2 * t)), True),  # 0.8 m behind, seen when the first has left
        ((10, lambda t: (1.9, 7.8 - 1.2 * t)), False),  # far aside
        ((10, lambda t: (0.3, 7.8 + 1.2 * (t - 4.0))), False),  # the other way
        ((16, lambda t: (0.3, 9.0 - 1.2 * t)), False),  # so late that nobody knows where the first one is
    ],
)
def test_whoever_comes_into_view_as_another_leaves_it_may_be_with_them(comes: tuple[int, Place], sure: bool) -> None:
    """A child that was hidden behind its parent: both are taken to have walked on."""
    begin, where = comes
    ways = Ways(given(VIEW))
    walked(ways, {1: (straight(0.0), set(range(9))), 2: (where, set(range(begin, begin + 8)))})
    assert (ways.together(1, 2, 0.7) > 0) is sure
    assert (ways.beside(1, 2) > 0 and ways.near(1, 2)) is sure
    assert ways.together(1, 2, 0.7) == pytest.approx(ways.together(2, 1, 0.7))


def test_ways_end_and_have_holes() -> None:
    """The second was not seen for two steps in the middle, nor the first at the end."""
    ways = Ways(given(VIEW))
    walked(ways, {1: (straight(0.0), set(range(6))), 2: (straight(0.5), {0, 1, 4, 5, 6, 7})})
    for least in (4, 6):
        assert features(ways.of(1), ways.of(2), least) == pytest.approx((0.5, 0.0, 0.0, 0.0, 0.8), abs=0.01)
    assert features(ways.of(1), ways.of(2), least=7) is None
    walked(hole := Ways(given(VIEW)), {1: (straight(0.0), {0, 1, 2, 3}), 2: (straight(1.5), {0, 1, 2, 5, 6, 7, 8})})
    assert hole.near(1, 2), "1.5 m apart at the last step of the first, in the hole of the second"


def test_too_short_a_time_together_says_nothing() -> None:
    ways = Ways(given(VIEW))
    tracks = [Track(n, (300.0, 200.0, 340.0, 300.0), (320.0 + n, 300.0), 0.1, seen=True) for n in (1, 2)]
    ways.update(Sight.of(tracks, BootNs(S)))
    assert features(ways.of(1), ways.of(2)) is None
    assert ways.together(1, 2, 0.0) == ways.beside(1, 2) == APART
