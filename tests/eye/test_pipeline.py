# SPDX-License-Identifier: Apache-2.0
"""Detector, tracker and gates one after the other, on stand-ins that write down what they are asked."""

from typing import Any

import numpy as np

from nigiwai.clock import BootNs
from nigiwai.eye.pipeline import Pipeline
from nigiwai.eye.stopwatch import STAGES, Laps
from nigiwai.eye.types import Crossing, Detections, Direction, Frame, Track

TRACK = Track(number=1, xyxy=(0, 0, 4, 8), foot=(2, 8), age_s=1.0, seen=True)


class Detector:
    def detect(self, frame: Frame) -> Detections:
        n = int(frame.image.max())
        return Detections(np.zeros((n, 4), np.float32), np.ones(n, np.float32), np.zeros(n, np.uint8))


class Tracker:
    def __init__(self) -> None:
        self.asked: list[tuple[int, int, tuple[int, int]]] = []

    def update(self, detections: Detections, at: BootNs, size: tuple[int, int]) -> tuple[Track, ...]:
        self.asked.append((len(detections), at, size))
        return (TRACK,) * len(detections)


class Gates:
    """Every second track of a frame has crossed."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.passers: tuple[int, ...] = ()

    def update(self, tracks: tuple[Track, ...], at: BootNs) -> tuple[Crossing, ...]:
        self.passers = tuple(t.number for t in tracks[::2])
        return tuple(Crossing(f"{self.size[0]}x{self.size[1]}", Direction.IN, at) for _ in tracks[::2])


def frame(people: int, at: int, size: tuple[int, int] = (8, 6)) -> Frame:
    return Frame(np.full((size[1], size[0], 3), people, np.uint8), BootNs(at))


def make(watch: Any = None) -> tuple[Pipeline, Tracker, list[tuple[int, int]]]:
    tracker, made = Tracker(), list[tuple[int, int]]()

    def gates(size: tuple[int, int]) -> Gates:
        made.append(size)
        return Gates(size)

    return Pipeline(Detector(), tracker, gates, watch), tracker, made


def test_crossings_come_from_detections_by_way_of_tracks() -> None:
    pipeline, tracker, made = make()
    crossings = pipeline.update(frame(people=3, at=7))
    assert crossings == (Crossing("8x6", Direction.IN, BootNs(7)),) * 2
    assert tracker.asked == [(3, 7, (8, 6))]
    assert made == [(8, 6)]


def test_an_empty_frame_also_passes_through() -> None:
    """The tracker must hear that time passes."""
    pipeline, tracker, _ = make()
    assert pipeline.update(frame(people=0, at=7)) == ()
    assert tracker.asked == [(0, 7, (8, 6))]


def test_gates_are_made_again_when_the_size_changes() -> None:
    pipeline, tracker, made = make()
    for at, size in enumerate([(8, 6), (8, 6), (16, 12), (16, 12), (8, 6)]):
        (crossing,) = pipeline.update(frame(1, at, size))
        assert crossing.gate == f"{size[0]}x{size[1]}"
    assert made == [(8, 6), (16, 12), (8, 6)]
    assert [size for _, _, size in tracker.asked] == [(8, 6), (8, 6), (16, 12), (16, 12), (8, 6)]


def test_its_stages_are_timed() -> None:
    watch = Laps(iter(range(0, 1_000_000_000, 500_000)).__next__)
    pipeline, _, _ = make(watch)
    pipeline.update(frame(1, 0))
    watch.begin()
    pipeline.update(frame(1, 1))
    assert set(watch.times_ms) == {"track", "count"} <= set(STAGES)
    assert [list(t) for t in watch.times_ms.values()] == [[0.5, 0.5], [0.5, 0.5]]


def test_the_stopwatch_keeps_a_bounded_number_of_laps() -> None:
    watch = Laps(iter(range(1_000_000)).__next__, keep=10)
    for _ in range(100):
        watch.mark("infer")
    assert len(watch.times_ms["infer"]) == 10


class Idle:
    """A lookout that needs no frame."""

    flags = ()

    def needs_detector(self, frame: Frame, tracks: object, *, found: bool) -> bool:
        return False


def test_while_somebody_aims_every_frame_is_looked_at() -> None:
    pipeline = Pipeline(Detector(), Tracker(), Gates, lookout=Idle())
    pipeline.update(frame(1, 1))
    pipeline.every_frame = True
    pipeline.update(frame(1, 2))
    pipeline.every_frame = False
    pipeline.update(frame(1, 3))
    assert pipeline.inferred == 1


class Asked:
    """A lookout that needs every frame and remembers what it was told."""

    flags = ()

    def __init__(self) -> None:
        self.found: list[bool] = []

    def needs_detector(self, frame: Frame, tracks: object, *, found: bool) -> bool:
        self.found.append(found)
        return True


def test_the_lookout_is_told_whether_the_last_look_showed_anybody() -> None:
    class Now(Detector):
        people = Detections.empty()

        def detect(self, frame: Frame) -> Detections:
            return self.people

    detector, lookout = Now(), Asked()
    pipeline = Pipeline(detector, Tracker(), Gates, lookout=lookout)
    one = Detections(np.zeros((1, 4), np.float32), np.full(1, 0.3, np.float32), np.zeros(1, np.uint8))
    for at, detector.people in enumerate((one, Detections.empty(), one)):
        pipeline.update(frame(1, at + 1))
    assert lookout.found == [False, True, False]
