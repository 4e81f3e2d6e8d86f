# SPDX-License-Identifier: Apache-2.0
"""The camera watch: what is done to the camera, the flag within 10 s, gone within 10 s, and a quiet day."""

from collections.abc import Callable, Iterable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from nigiwai.clock import BootNs
from nigiwai.door.records import Flag
from nigiwai.eye.watch import Watch
from nigiwai.eye.watch_features import HEIGHT, WIDTH, fingerprint, tiny

S = 1_000_000_000
Picture = NDArray[np.float32]
RNG = np.random.default_rng(7)


def room(seed: int = 0) -> Picture:
    """A room with walls, a door and things in it, 0..1, at four times the watch's size."""
    rng = np.random.default_rng(seed)
    picture = np.full((4 * HEIGHT, 4 * WIDTH), 0.55, np.float32)
    picture[130:, :] = 0.35
    for _ in range(14):
        x, y = int(rng.integers(0, 360)), int(rng.integers(0, 190))
        cv2.rectangle(
            picture,
            (x, y),
            (x + int(rng.integers(10, 70)), y + int(rng.integers(10, 70))),
            float(rng.uniform(0.1, 0.9)),
            -1,
        )
    return picture


ROOM = room()
OTHER = np.roll(ROOM, (0, 60), axis=(0, 1))
SMALL = cv2.resize(ROOM, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
NOISE = RNG.normal(0, 1, (8, *ROOM.shape)).astype(np.float32)
Scene = Callable[[float], Picture]


def usual(t: float) -> Picture:
    return ROOM


def film(
    watch: Watch, scene: Scene, seconds: float, start: float, fps: float = 5.0, noise: float = 1.5, still: bool = False
) -> list[tuple[float, tuple[Flag, ...]]]:
    """(seconds since the scene began, flags) per frame."""
    out = []
    for i in range(int(seconds * fps)):
        at = BootNs(round((start + i / fps) * S))
        picture = scene(i / fps) * 255 + (0 if still else noise * NOISE[i % 8])
        image = np.clip(picture, 0, 255).astype(np.uint8)
        watch.frame(at, fingerprint(image))
        out.append((i / fps, watch.update(tiny(image), at)))
    return out


@pytest.fixture
def learnt() -> Watch:
    watch = Watch()
    film(watch, usual, 20, 0)
    assert watch.flags == ()
    return watch


def hand(t: float) -> Picture:
    return cv2.GaussianBlur(ROOM, (0, 0), 60) * 0.3 + 0.2


TROUBLE: dict[Flag, Scene] = {
    Flag.DARK: lambda t: ROOM * 0.03,
    Flag.BLOWN_OUT: lambda t: ROOM * 0.3 + 0.95,
    Flag.COVERED: hand,
    Flag.BLURRED: lambda t: cv2.GaussianBlur(ROOM, (0, 0), 10),
    Flag.MOVED: lambda t: OTHER,
}


@pytest.mark.parametrize("flag", TROUBLE)
def test_trouble_is_told_within_ten_seconds_and_clears_by_itself(learnt: Watch, flag: Flag) -> None:
    during = film(learnt, TROUBLE[flag], 12, 20)
    first = next((t for t, flags in during if flag in flags), None)
    assert first is not None
    assert first <= 10
    assert set(during[-1][1]) == {flag}
    after = film(learnt, usual, 12, 32)
    assert next(t for t, flags in after if not flags) <= 10
    assert after[-1][1] == ()


def test_a_frozen_picture_is_told(learnt: Watch) -> None:
    assert film(learnt, usual, 10, 20, still=True)[-1][1] == (Flag.FROZEN,)
    assert film(learnt, usual, 6, 30)[-1][1] == ()


def test_a_still_room_is_not_frozen(learnt: Watch) -> None:
    assert all(flags == () for _, flags in film(learnt, usual, 20, 20, noise=0.7))


def test_a_slow_camera_is_told(learnt: Watch) -> None:
    assert Flag.SLOW in film(learnt, usual, 12, 20, fps=1)[-1][1]
    assert film(learnt, usual, 8, 32)[-1][1] == ()


def test_somebody_close_to_the_lens_for_two_seconds_is_no_trouble(learnt: Watch) -> None:
    flags = [f for _, f in film(learnt, lambda t: hand(t) if 1 < t < 3 else ROOM, 10, 20)]
    assert set(flags) == {()}


def test_people_walking_by_are_no_trouble(learnt: Watch) -> None:
    def busy(t: float) -> Picture:
        picture = ROOM.copy()
        for k in range(6):
            x = int((60 * t + 70 * k) % 420) - 40
            cv2.rectangle(picture, (x, 60), (x + 40, 190), 0.15 + 0.1 * k, -1)
        return picture

    assert {f for _, flags in film(learnt, busy, 60, 20) for f in flags} == set()


def test_a_moved_camera_stays_moved_until_the_view_is_accepted(learnt: Watch) -> None:
    assert film(learnt, lambda t: OTHER, 200, 20, fps=2.6)[-1][1] == (Flag.MOVED,)
    learnt.accept_view()
    flags = film(learnt, lambda t: OTHER, 20, 220)
    assert flags[0][1] == (Flag.UNCONFIRMED,)
    assert flags[-1][1] == ()


def test_after_a_restart_the_view_is_unconfirmed_until_it_matches(learnt: Watch) -> None:
    again = Watch(known_edges=learnt.edges)
    assert set(film(again, lambda t: OTHER, 30, 100)[-1][1]) == {Flag.UNCONFIRMED}
    assert film(again, usual, 30, 130)[-1][1] == ()


def test_blind_is_what_hides_people(learnt: Watch) -> None:
    assert not learnt.blind
    film(learnt, TROUBLE[Flag.DARK], 6, 20)
    assert learnt.blind


def day(hours: float, step_s: float) -> Iterable[tuple[float, Picture]]:
    """A window's light wanders over the room, clouds pass, lamps go on and off, people come and go."""
    rng = np.random.default_rng(11)
    x = np.linspace(0, 1, WIDTH, dtype=np.float32)
    cloud = 0.0
    for i in range(int(hours * 3600 / step_s)):
        t = i * step_s
        cloud = 0.99 * cloud + 0.03 * rng.normal()
        sun = 0.5 + 0.45 * np.sin(2 * np.pi * t / 86_400 - np.pi / 2)
        lamp = 0.35 if (t // 7_200) % 2 else 0.2
        patch = 0.4 * sun * np.exp(-(((x - (t / 86_400) % 1) / 0.15) ** 2))
        light = np.clip(lamp + 0.6 * sun + 0.1 * cloud + patch, 0.15, 1.5)
        picture = SMALL * light
        if rng.random() < 0.3:
            left = int(rng.integers(0, 85))
            picture[15:48, left : left + 10] = rng.uniform(0, 0.6)
        yield t, picture


def test_a_day_of_changing_light_is_quiet() -> None:
    watch, raised, before = Watch(least_hz=0.0), 0, False
    for t, picture in day(hours=24, step_s=10):
        image = np.clip(picture * 255 + RNG.normal(0, 0.7, picture.shape), 0, 255).astype(np.uint8)
        at = BootNs(round((t + 1) * S))
        watch.frame(at, int(t))
        trouble = bool(set(watch.update(image, at)) - {Flag.UNCONFIRMED})
        raised += trouble and not before
        before = trouble
    assert raised <= 1


def test_times_that_run_backwards_are_ignored(learnt: Watch) -> None:
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    learnt.frame(BootNs(S), 1)
    assert learnt.update(image, BootNs(S)) == ()


@pytest.mark.parametrize("size", [(1280, 720), (768, 432), (384, 288), (160, 120), (80, 40)])
@pytest.mark.parametrize("colours", [(), (1,), (3,)])
def test_the_tiny_picture_is_what_the_large_one_shows(size: tuple[int, int], colours: tuple[int, ...]) -> None:
    """Grey, grey with an axis of its own, or colour, larger or smaller: light from left to right, over noise."""
    width, height = size
    light = np.linspace(40, 200, width) + np.linspace(0, 30, height)[:, None]
    noisy = np.random.default_rng(3).normal(light, 2.0)
    image = np.broadcast_to(noisy[(..., *(None for _ in colours))], (height, width, *colours)).astype(np.uint8)
    wanted = cv2.resize(light.astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    off = tiny(image) - wanted
    assert off.shape == (HEIGHT, WIDTH)
    assert abs(off.mean()) < 1.0
    assert off.std() < (1.5 if width >= 2 * WIDTH else 3.0)
