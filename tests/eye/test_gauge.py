# SPDX-License-Identifier: Apache-2.0
"""The gates in metres on the aiming page: given, learnt from simulated people, or refused in so many words."""

from collections.abc import Sequence

import numpy as np
import pytest

from nigiwai import settings
from nigiwai.clock import BootNs
from nigiwai.door.codec import encode
from nigiwai.door.field import Gauge as Told
from nigiwai.door.field import GaugeState, WidthOf
from nigiwai.eye.aim import Aim
from nigiwai.eye.body import boxes
from nigiwai.eye.gauge import MOST_LOOKS, Gauger
from nigiwai.eye.orders import Orders
from nigiwai.eye.tracker import Tracker
from nigiwai.eye.types import Track
from nigiwai.eye.view import View
from nigiwai.lab.crowd import Crowd, walk
from nigiwai.lab.simulate import OBLIQUE, Faults, Watcher, sample
from nigiwai.settings import Gate
from tests.conftest import PROOF

S = 1_000_000_000
LOW = View(height_m=2.6, tilt_deg=20.0, fov_deg=66.0, size=(640, 384))
STEEPER = View(height_m=2.8, tilt_deg=38.0, fov_deg=66.0, size=(640, 384))
DOOR_M, STEPS_M = 2.2, 0.5


def gate_of(view: View, ahead_m: float = 4.0) -> Gate:
    """A gate of DOOR_M across the way."""
    floor = np.array([[-DOOR_M / 2, ahead_m, 0.0], [DOOR_M / 2, ahead_m, 0.0], [0.0, ahead_m + 0.8, 0.0]])
    left, right, inside = (view.project(floor) / np.array(view.size)).tolist()
    return Gate(name="door", line=(tuple(left), tuple(right)), inside=tuple(inside))


def looked_at(view: View, seed: int, people: int = 30, gauger: Gauger | None = None) -> Gauger:
    """A gauger that saw people walk away from the camera, boxes with the detector's straying (3 % of their height).

    The mean stature of the day's people is drawn as well as each one's: of that, nobody knows more than `PEOPLE_SD_M`.
    """
    rng = np.random.default_rng(seed)
    gauger = gauger or Gauger(fov_deg=view.fov_deg)
    mean_m, at = rng.normal(1.62, 0.05), 0
    for number in range(people):
        x, tall = rng.uniform(-0.9, 0.9), rng.normal(mean_m, 0.09)
        for y in np.arange(rng.uniform(2.0, 3.0), 7.0, STEPS_M):
            at += S
            box = boxes(view, np.array([[x, y]]), np.array([tall]))
            height = (box[:, 3] - box[:, 1])[:, None]
            gauger.see(tracks(box + rng.normal(0, 0.03, 4) * height, number), view.size, BootNs(at))
    return gauger


def tracks(found: np.ndarray, number: int) -> list[Track]:
    left, top, right, bottom = found[0].tolist()
    return [Track(number, (left, top, right, bottom), ((left + right) / 2, bottom), 1.0, True)]


def width(told: Told) -> WidthOf:
    (only,) = told.widths
    assert only.width_cm is not None
    return only


def test_a_learnt_width_lies_within_what_it_says_in_19_of_20_cases() -> None:
    cases = 300 if PROOF else 21
    views = [(LOW, OBLIQUE, STEEPER)[seed % 3] for seed in range(cases)]
    told = [looked_at(v, seed, 20 if PROOF else 13).gauge([gate_of(v)], v.size) for seed, v in enumerate(views)]
    assert {t.state for t in told} == {GaugeState.LEARNT}
    off = [(width(t).width_cm or 0) - DOOR_M * 100 for t in told]
    within = [abs(o) <= width(t).width_off_cm for o, t in zip(off, told, strict=True)]
    assert sum(within) >= 0.95 * cases, off
    assert max(width(t).width_off_cm for t in told) < 0.3 * DOOR_M * 100, "and it says something"


def test_from_a_simulated_crowd_with_children_and_a_mediocre_detector() -> None:
    gauger, tracker, watcher = Gauger(fov_deg=OBLIQUE.fov_deg), Tracker(), Watcher(OBLIQUE, Faults(), 5)
    for moment in sample(walk(Crowd(flow=0.3, children=0.1), 40.0, 3), 8.0, 0.3):
        at = BootNs(round((moment.t + 10) * S))
        gauger.see(tracker.update(watcher.see(moment), at, OBLIQUE.size), OBLIQUE.size, at)
    told = gauger.gauge([gate_of(OBLIQUE)], OBLIQUE.size)
    assert told.state is GaugeState.LEARNT
    assert abs(width(told).width_cm - DOOR_M * 100) <= width(told).width_off_cm  # type: ignore[operator]
    assert 30 <= width(told).band_cm <= 50, "25 cm up the picture are more on the floor that is seen at a slant"
    encode(told)


def test_a_given_view_tells_the_width_at_once_and_learns_nothing() -> None:
    given = settings.View(height_m=3.0, tilt_deg=30.0, fov_deg=70.0)
    gauger = Gauger(given, fov_deg=50.0)
    looked_at(OBLIQUE, 1, 3, gauger)
    told = gauger.gauge([gate_of(OBLIQUE)], OBLIQUE.size)
    assert (told.state, told.looks) == (GaugeState.GIVEN, 0)
    assert width(told).width_cm == pytest.approx(DOOR_M * 100, abs=2)
    assert width(told).band_cm >= 25
    assert 0 < width(told).band_off_cm < width(told).width_off_cm


def test_a_gate_above_the_horizon_has_no_width() -> None:
    high = Gate(name="sky", line=((0.1, 0.02), (0.9, 0.02)), inside=(0.5, 0.9))
    (told,) = Gauger(settings.View(height_m=2.6, tilt_deg=5.0, fov_deg=66.0)).gauge([high], LOW.size).widths
    assert told.width_cm is None


def seen(gauger: Gauger, feet: Sequence[float], tall: Sequence[float], wide: float = 0.4) -> GaugeState:
    """Different people with feet and heights in px in a picture of 640 x 384."""
    for number, (foot, height) in enumerate(zip(feet, tall, strict=True)):
        box = np.array([[320 - wide * height / 2, foot - height, 320 + wide * height / 2, foot]])
        gauger.see(tracks(box, number), (640, 384), BootNs(number * S))
    return gauger.gauge([gate_of(OBLIQUE)], (640, 384)).state


RISING = np.linspace(180, 360, 60).tolist()


@pytest.mark.parametrize(
    ("feet", "tall", "wide", "state"),
    [
        ([], [], 0.4, GaugeState.FEW),
        ([300.0] * 40, [100.0] * 40, 0.4, GaugeState.ONE_DISTANCE),
        (RISING, np.linspace(170, 60, 60).tolist(), 0.4, GaugeState.STEEP),  # the nearer the smaller
        (RISING, [100.0] * 60, 1.2, GaugeState.ABOVE),  # broader than tall
    ],
)
def test_what_cannot_be_measured_says_why(feet: list[float], tall: list[float], wide: float, state: GaugeState) -> None:
    assert seen(Gauger(fov_deg=70.0), feet, tall, wide) is state


def test_without_the_lenss_angle_nothing_is_learnt() -> None:
    assert looked_at(OBLIQUE, 1, 5, Gauger()).gauge([gate_of(OBLIQUE)], OBLIQUE.size).state is GaugeState.NO_LENS


def test_people_who_did_not_do_are_forgotten_for_the_next() -> None:
    gauger = Gauger(fov_deg=OBLIQUE.fov_deg)
    assert seen(gauger, [300.0] * MOST_LOOKS, [100.0] * MOST_LOOKS) is GaugeState.ONE_DISTANCE
    assert looked_at(OBLIQUE, 2, 40, gauger).gauge([gate_of(OBLIQUE)], OBLIQUE.size).state is GaugeState.LEARNT


def test_a_camera_that_was_moved_learns_anew() -> None:
    gauger = looked_at(OBLIQUE, 3)
    gauger.forget()
    assert gauger.gauge([gate_of(OBLIQUE)], OBLIQUE.size).state is GaugeState.FEW


def test_it_is_told_while_somebody_aims_and_at_no_other_time() -> None:
    orders = Orders((gate_of(OBLIQUE),), 256, gauger=looked_at(OBLIQUE, 4))
    assert not any(isinstance(told, Told) for told in orders.due(BootNs(S)))
    aim: Aim = orders._aim
    aim.start(BootNs(2 * S))
    told = [t for second in range(2, 30) for t in orders.due(BootNs(second * S)) if isinstance(t, Told)]
    assert 5 <= len(told) <= 6, "every five seconds"
    assert told[0].state is GaugeState.LEARNT
