# SPDX-License-Identifier: Apache-2.0
"""Frames that the detector does not see lose nobody, and what is wrong with the camera reaches the bins."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from nigiwai.clock import BootNs
from nigiwai.door.records import Bin, Flag
from nigiwai.eye.bins import BinBuilder
from nigiwai.eye.gate_line import at_edge, room_share
from nigiwai.eye.gates import Gates
from nigiwai.eye.lookout import Lookout
from nigiwai.eye.pipeline import Pipeline
from nigiwai.eye.tracker import Tracker
from nigiwai.eye.types import Detections, Frame
from nigiwai.lab.crowd import Crowd, Moment, walk
from nigiwai.lab.simulate import PERFECT, STANDING, TILTED, Watcher, sample
from nigiwai.lab.trial import gate_of
from nigiwai.settings import Gate
from tests.conftest import PROOF

S = 1_000_000_000
VIEW = replace(TILTED, size=(160, 120))
DOOR = gate_of(TILTED, 2.0)
ROOM = np.random.default_rng(6).integers(90, 150, (120, 160)).astype(np.float32)
NOISE = np.random.default_rng(5).normal(0, 1.5, (40, 120, 160)).astype(np.float32)
"""What is left of a sensor's noise in a picture shrunk to 160 x 120."""


class Stage:
    """Simulated people painted into noisy pictures, and a detector that knows where they are."""

    def __init__(self, moments: list[Moment], contrast: float) -> None:
        watcher = Watcher(VIEW, PERFECT, 1, STANDING[TILTED])
        self._seen = {self._at(m): watcher.see(m) for m in moments}
        self._contrast, self._rng = contrast, np.random.default_rng(7)

    @staticmethod
    def _at(moment: Moment) -> BootNs:
        return BootNs(round((moment.t + 100) * S))

    def frames(self) -> list[Callable[[], Frame]]:
        return [lambda at=at, seen=seen: Frame(self._paint(seen), at) for at, seen in self._seen.items()]  # type: ignore[misc]

    def detect(self, frame: Frame) -> Detections:
        return self._seen[frame.at]

    def _paint(self, seen: Detections) -> NDArray[np.uint8]:
        image = ROOM + NOISE[self._rng.integers(len(NOISE))]
        for left, top, right, bottom in seen.xyxy.astype(int).tolist():
            image[top:bottom, left:right] -= self._contrast
        return np.clip(image, 0, 255).astype(np.uint8)


def directions(stage: Stage, lookout: Lookout | None) -> tuple[list[str], int, int]:
    """What was counted, in order; how many frames there were, and how many the detector saw."""
    pipeline = Pipeline(stage, Tracker(), lambda size: Gates([DOOR], size), lookout=lookout)
    found = [(c.at, c.direction.value) for make in stage.frames() for c in pipeline.update(make())]
    return [d for _, d in sorted(found)], len(stage.frames()), pipeline.inferred


@pytest.mark.parametrize("contrast", [60.0, 25.0])
@pytest.mark.parametrize("fps", [12.0, 5.0])
def test_skipped_frames_lose_no_count(fps: float, contrast: float) -> None:
    """A sparse evening: whoever passes is counted as if every frame had been looked at."""
    crowd, seconds = Crowd(flow=0.05, children=0.3), 900.0 if PROOF else 110.0
    stage = Stage(list(sample(walk(crowd, seconds, 11), fps, 0.3)), contrast)
    every, frames, _ = directions(stage, None)
    spared, _, inferred = directions(stage, Lookout([DOOR]))
    assert len(every) >= 5
    assert spared == every
    assert inferred < 0.7 * frames


def test_an_empty_entrance_spares_nine_frames_in_ten() -> None:
    stage = Stage(list(sample(walk(Crowd(flow=0.0), 60, 1), 10.0)), 60)
    counted, frames, inferred = directions(stage, Lookout([DOOR]))
    assert counted == []
    assert inferred < 0.1 * frames


# --- the camera's faults, end to end to the bins -------------------------------------------------------------------

Picture = Callable[[int], NDArray[np.uint8]]
RNG = np.random.default_rng(8)


def _noisy(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(image + RNG.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def _scene(width: int, height: int) -> NDArray[np.float32]:
    """A room of flat fields with edges."""
    rng, image = np.random.default_rng(9), np.full((height, width, 1), 120, np.float32)
    for _ in range(40):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        image[y : y + int(rng.integers(20, 90)), x : x + int(rng.integers(20, 90))] = rng.integers(40, 220)
    return image


SCENE = _scene(320, 240)
GATE = Gate(name="door", line=((0.0, 0.7), (1.0, 0.7)), inside=(0.5, 0.3))
STILL = _noisy(SCENE)


def healthy(_: int) -> NDArray[np.uint8]:
    return _noisy(SCENE)


def moved(_: int) -> NDArray[np.uint8]:
    return _noisy(np.roll(SCENE, (25, 60), axis=(0, 1)))


def blurred(_: int) -> NDArray[np.uint8]:
    from nigiwai.eye.cameras.opencv import cv2

    return _noisy(cv2.GaussianBlur(SCENE, (0, 0), 12)[:, :, None])


FAULTS: dict[Flag, Picture] = {
    Flag.DARK: lambda _: _noisy(SCENE * 0.02),
    Flag.BLOWN_OUT: lambda _: _noisy(SCENE * 0.1 + 250),
    Flag.COVERED: lambda _: _noisy(np.full_like(SCENE, 90)),
    Flag.BLURRED: blurred,
    Flag.MOVED: moved,
    Flag.FROZEN: lambda _: STILL,
}
BLIND = {Flag.DARK, Flag.BLOWN_OUT, Flag.COVERED, Flag.FROZEN}


class Nobody:
    def detect(self, frame: Frame) -> Detections:
        return Detections.empty()


def bins_of(acts: list[tuple[Picture, float]], fps: float = 8.0) -> list[Bin]:
    """The bins of a film of several acts, each shown for so many seconds."""
    pipeline = Pipeline(Nobody(), Tracker(), lambda size: Gates([GATE], size), lookout=Lookout([GATE]))
    builder, bins, i = BinBuilder("0" * 32, ["door"], BootNs(0)), list[Bin](), 0
    for picture, seconds in acts:
        for _ in range(round(seconds * fps)):
            at = BootNs(round(i / fps * S))
            crossings = pipeline.update(Frame(picture(i), at))
            bins += builder.update(at, crossings, pipeline.flags)
            i += 1
    return bins


@pytest.mark.parametrize("flag", FAULTS)
def test_a_fault_is_in_the_bins_within_ten_seconds_and_goes_again(flag: Flag) -> None:
    """15 s well, 15 s with the fault, 30 s well: bins of 5 s."""
    bins = bins_of([(healthy, 15), (FAULTS[flag], 15), (healthy, 30)])
    with_fault = [i for i, b in enumerate(bins) if flag in b.flags]
    assert with_fault
    assert with_fault[0] in {3, 4}, "within 10 s of 15 s"
    assert with_fault[-1] <= 8, "gone within 15 s after 30 s"
    assert all(b - a == 1 for a, b in pairwise(with_fault))
    blind = sum(b.blind_ms for b in bins)
    assert (blind >= 10_000) if flag in BLIND else (blind <= 500)


def test_a_gate_where_nobody_can_be_seen_is_in_every_bin_until_it_is_moved() -> None:
    """The gate lies a hundredth of the height above the picture's lower edge; then it is moved to the middle."""
    edged = Gate(name="door", line=((0.1, 0.99), (0.9, 0.99)), inside=(0.5, 0.3))
    pipeline = Pipeline(Nobody(), Tracker(), lambda size: Gates([edged], size), lookout=Lookout([edged]))
    pipeline.update(Frame(healthy(0), BootNs(0)))
    assert Flag.GATE_AT_EDGE in pipeline.flags

    pipeline.change_gates(lambda size: Gates([GATE], size), Lookout([GATE]))
    pipeline.update(Frame(healthy(0), BootNs(S)))
    assert Flag.GATE_AT_EDGE not in pipeline.flags


@pytest.mark.parametrize(
    ("line", "share", "edged"),
    [
        (((0.1, 0.7), (0.9, 0.7)), 0.3, False),  # 0.3 below, 0.7 above
        (((0.0, 0.97), (1.0, 0.97)), 0.03, False),
        (((0.0, 0.98), (1.0, 0.98)), 0.02, True),
        (((0.0, 0.01), (1.0, 0.01)), 0.01, True),  # the upper edge
        (((0.01, 0.0), (0.01, 1.0)), 0.01 * 4 / 3, True),  # a fence at the left edge: 0.01 of the width
        (((0.5, 0.0), (0.5, 1.0)), 2 / 3, False),  # upright in the middle: half the width, 4:3
        (((0.0, 1.0), (1.0, 1.0)), 0.0, True),
        (((0.0, 0.99), (0.5, 0.99), (0.5, 0.5)), 2 / 3, False),  # along the edge, then up the middle: room there
        (
            ((0.0, 0.9), (1.0, 1.0)),
            0.0877,
            False,
        ),  # slanting out of view: (480 - 438) / 0.997 of 480 an eighth from its left end
    ],
)
def test_how_much_room_a_gate_has(line: tuple[tuple[float, float], ...], share: float, edged: bool) -> None:
    assert room_share(line, (640, 480)) == pytest.approx(share, abs=0.001)
    assert at_edge(line, (640, 480)) is edged


def test_a_view_is_unconfirmed_at_first() -> None:
    bins = bins_of([(healthy, 25)])
    assert Flag.UNCONFIRMED in bins[0].flags
    assert Flag.UNCONFIRMED not in bins[-1].flags


def test_a_slow_camera_is_flagged() -> None:
    assert Flag.SLOW in bins_of([(healthy, 30)], fps=1.5)[-1].flags


def test_frames_of_another_size_begin_anew_and_the_rest_goes_on() -> None:
    other = _scene(400, 300)
    bins = bins_of([(healthy, 15), (lambda _: _noisy(other), 15)])
    assert len(bins) == 5
    assert sum(b.blind_ms for b in bins) <= 500
