# SPDX-License-Identifier: Apache-2.0
"""Which frames need the detector."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from nigiwai.clock import BootNs
from nigiwai.eye.pace import UNHURRIED_S
from nigiwai.eye.skip import AFTER_S, IDLE_S, NEW_S, PACE_S, Skip
from nigiwai.eye.types import Track
from nigiwai.eye.watch_features import HEIGHT, WIDTH
from nigiwai.settings import Gate

S = 1_000_000_000
SIZE = (960, 540)
DOOR = Gate(name="door", line=((0.0, 0.75), (1.0, 0.75)), inside=(0.5, 0.4))
RNG = np.random.default_rng(5)
BACK = RNG.integers(60, 180, (HEIGHT, WIDTH)).astype(np.float32)
FPS = 10.0


def picture(x: float | None = None, y: int = 30, light: float = 1.0) -> NDArray[np.uint8]:
    """The room with noise, perhaps with somebody whose left edge is at x."""
    grey = BACK * light + RNG.normal(0, 0.8, BACK.shape)
    if x is not None:
        grey[y : y + 14, max(0, int(x)) : max(0, int(x) + 5)] = 20
    return np.clip(grey, 0, 255).astype(np.uint8)


def film(
    skip: Skip, pictures: list[NDArray[np.uint8]], start: float, tracks: tuple[Track, ...] = (), *, found: bool = True
) -> list[bool]:
    times = [BootNs(round((start + i / FPS) * S)) for i in range(len(pictures))]
    return [skip.needs(lambda p=p: p, at, tracks, SIZE, found=found) for at, p in zip(times, pictures, strict=True)]


def settled(gates: list[Gate] | None = None) -> Skip:
    skip = Skip([DOOR] if gates is None else gates)
    film(skip, [picture() for _ in range(100)], 0)
    return skip


def test_an_empty_entrance_is_looked_at_now_and_then() -> None:
    needed = film(settled(), [picture() for _ in range(600)], 10)
    assert sum(needed) <= 60 / IDLE_S + 1
    gaps = np.diff(np.flatnonzero([True, *needed, True]))
    assert gaps.max() <= IDLE_S * FPS + 1


def test_every_frame_of_somebody_walking_to_the_gate_is_looked_at() -> None:
    needed = film(settled(), [picture(i) for i in range(90)], 10)
    assert all(needed[2:])


def test_a_fast_camera_is_spared_what_counting_does_not_need() -> None:
    """Somebody who walks through for 3 s before a camera of 30 frames a second: 12 looks a second are enough."""
    skip = settled()
    times = [10 + i / 30 for i in range(90)]
    needed = [skip.needs(lambda i=i: picture(i), BootNs(round(t * S)), (), SIZE) for i, t in enumerate(times)]
    assert sum(needed) == pytest.approx(3 / PACE_S, abs=2)
    assert np.diff(np.flatnonzero(needed)).max() <= 3


def test_motion_far_from_every_gate_does_not_matter() -> None:
    corner = Gate(name="door", line=((0.9, 0.8), (0.9, 1.0)), inside=(0.97, 0.9))
    needed = film(settled([corner]), [picture(i % 30, y=2) for i in range(100)], 10)
    assert sum(needed) <= 10 / IDLE_S + 1


def test_motion_near_somebody_followed_matters_wherever_it_is() -> None:
    corner = Gate(name="door", line=((0.9, 0.8), (0.9, 1.0)), inside=(0.97, 0.9))
    somebody = Track(1, (0, 0, 350, 200), (175, 200), 2.0, True)
    assert all(film(settled([corner]), [picture(i, y=2) for i in range(30)], 10, (somebody,))[2:])


def walker(x: float, foot: float) -> Track:
    """Somebody who walks to the left, as the tracker knows them; x and foot in pixels of the tiny picture."""
    left, bottom = x * 10, foot * 10
    return Track(1, (left, bottom - 140, left + 50, bottom), (left + 25, bottom), 5.0, True, velocity=(-100.0, 0.0))


def looks_at(skip: Skip, foot: int, seconds: float, fps: float = 20.0) -> list[float]:
    """When somebody who walks along the floor at that height is looked at, each look telling where they are."""
    found, tracks = list[float](), (walker(80, foot),)
    for i in range(round(seconds * fps)):
        t, x = 10 + i / fps, 80 - 10 * i / fps
        if skip.needs(lambda x=x: picture(x, y=foot - 14), BootNs(round(t * S)), tracks, SIZE):
            found.append(t)
            tracks = (walker(x, foot),)
    return found


def test_who_is_followed_far_from_every_gate_is_looked_at_less_often_but_never_lost_sight_of() -> None:
    """The gate is 13 px below them: nearly their height."""
    looks = looks_at(settled(), foot=27, seconds=4)
    assert len(looks) == pytest.approx(4 / UNHURRIED_S, abs=3)
    assert np.diff(looks).max() <= UNHURRIED_S + 1 / 20


def test_who_is_followed_near_a_gate_is_looked_at_as_often_as_counting_needs() -> None:
    assert len(looks_at(settled(), foot=39, seconds=4)) == pytest.approx(4 / PACE_S, abs=3)


def test_somebody_new_near_a_gate_is_looked_at_at_once_while_others_are_far() -> None:
    skip, tracks = settled(), (walker(80, 27),)
    for i in range(20):
        skip.needs(lambda: picture(80, y=13), BootNs(round((10 + i / FPS) * S)), tracks, SIZE)
    at = [BootNs(round((12 + i / FPS) * S)) for i in range(5)]
    both = [np.minimum(picture(80, y=13), picture(20 + i, y=30)) for i in range(5)]
    assert all(skip.needs(lambda p=p: p, t, tracks, SIZE) for p, t in zip(both, at, strict=True))


def test_where_motion_ended_and_nobody_is_followed_it_is_looked_less_often() -> None:
    """A door leaf, a shadow: for as long as a track may begin it is looked at every frame, then now and then."""
    skip = settled()
    film(skip, [picture(10 + 2 * i) for i in range(10)], 10)
    looks = [t for i in range(40) if skip.needs(picture, BootNs(round((t := 11 + i / 20) * S)), (), SIZE)]
    assert sum(t <= 11 + NEW_S for t in looks) >= NEW_S / PACE_S - 1
    assert 1 <= sum(11 + NEW_S < t <= 11 + AFTER_S for t in looks) <= (AFTER_S - NEW_S) / UNHURRIED_S + 1


def test_what_moves_at_a_gate_and_is_nobody_is_looked_at_less_often_until_somebody_shows() -> None:
    """A door that swings for nine seconds; then the detector finds something, which may become somebody."""
    swings = [picture(40 + 6 * (i % 3)) for i in range(75)]
    skip, before = settled(), settled()
    nobody = film(skip, swings, 10, found=False)
    assert any(nobody[:2])
    assert sum(nobody) < 0.6 * sum(film(before, swings, 10))
    assert all(b - a <= UNHURRIED_S * FPS + 1 for a, b in pairwise(np.flatnonzero(nobody)))
    assert all(film(skip, [picture(41 + 6 * (i % 3)) for i in range(20)], 10 + 75 / FPS)[2:])


def test_a_lamp_that_dims_is_no_motion() -> None:
    needed = film(settled(), [picture(light=1 - 0.0004 * i) for i in range(200)], 10)
    assert sum(needed) <= 20 / IDLE_S + 2


def test_what_is_left_standing_becomes_background() -> None:
    skip = settled()
    film(skip, [picture(40) for _ in range(1_500)], 10)
    assert sum(film(skip, [picture(40) for _ in range(100)], 160)) <= 10 / IDLE_S + 1


def test_times_that_do_not_go_forward_are_looked_at() -> None:
    skip = settled()
    assert skip.needs(picture, BootNs(S), (), SIZE)
    assert skip.needs(picture, BootNs(S), (), SIZE)


@pytest.mark.parametrize("fps", [15.0, 25.0, 30.0])
def test_an_empty_entrance_is_compared_no_more_often_than_counting_needs(fps: float) -> None:
    skip, made = settled(), list[float]()
    for i in range(round(20 * fps)):
        t = 10 + i / fps

        def grey(t: float = t) -> NDArray[np.uint8]:
            made.append(t)
            return picture()

        skip.needs(grey, BootNs(round(t * S)), (), SIZE)
    assert len(made) <= 20 / PACE_S * 1.25 + 5
    assert np.diff(made).max() <= PACE_S + 1 / fps


@pytest.mark.parametrize("fps", [15.0, 20.0, 25.0, 30.0, 60.0])
def test_who_comes_to_an_empty_entrance_is_looked_at_within_two_looks(fps: float) -> None:
    skip = settled()
    looks = []
    for i in range(round(6 * fps)):
        t = 10 + i / fps
        x = None if t < 15 else 10 * (t - 15)
        if skip.needs(lambda x=x: picture(x), BootNs(round(t * S)), (), SIZE):  # type: ignore[misc]
            looks.append(t)
    after = [t for t in looks if t >= 15]
    assert after[0] <= 15 + 2 * PACE_S + 1 / fps
    assert np.diff(after).max() <= PACE_S + 1 / fps + 1e-6
