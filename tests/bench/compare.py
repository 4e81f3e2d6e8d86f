# SPDX-License-Identifier: Apache-2.0
"""Nigiwai against YOLOX-Nano (FP32) + ByteTrack (trackers) + LineZone (supervision): processor time and counts.

    python -m tests.bench.environment              every recording of ../shared/data/footage that has truth
    python -m tests.bench.environment --frames 60  a short look

Both see the same decoded frames in the same process, frame by frame in turn, each network on one thread; what is
measured is processor time, so that a busy machine tells the same ratio. The peers' network is prepared and decoded by
our own code, which is no slower than what its authors publish. Prints JSON.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import supervision as sv
from trackers import ByteTrackTracker

from nigiwai import settings
from nigiwai.clock import BootNs
from nigiwai.eye.assemble import open_detector, open_pipeline
from nigiwai.eye.cameras.recording import Recording
from nigiwai.eye.detector import Detector
from nigiwai.eye.gates import Gates
from nigiwai.eye.manifest import find_model
from nigiwai.eye.tracker import Tracker
from nigiwai.eye.types import Detections, Frame
from nigiwai.geometry import Point, signed_distance
from nigiwai.lab.evaluate import evaluate, read_truth
from nigiwai.lab.matching import Event
from nigiwai.settings import Gate, Settings

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
S = 1_000_000_000
QUIET = ("intel-people-detection.mp4", 38.5, 42.8)
"""A recording, and from when to when nobody is in it (s)."""

BLOCK = 50

Counter = Callable[[Frame], Iterable[str]]


class Peers:
    """The peers' stack, counting at one straight gate by the foot point."""

    def __init__(self, gate: Gate, size: tuple[int, int], fps: float, detector: Detector) -> None:
        a, b = (Point(x * size[0], y * size[1]) for x, y in (gate.line[0], gate.line[-1]))
        inside = Point(gate.inside[0] * size[0], gate.inside[1] * size[1])
        self._inward_is_in = signed_distance(inside, [a, b]) > 0
        self._detector = detector
        # Their defaults are for 30 frames a second and a large network; Nano's people score 0.3 to 0.8.
        self._tracker = ByteTrackTracker(
            frame_rate=fps, track_activation_threshold=0.4, high_conf_det_threshold=0.4, minimum_consecutive_frames=2
        )
        anchors = [sv.Position.BOTTOM_CENTER]
        self._line = sv.LineZone(sv.Point(a.x, a.y), sv.Point(b.x, b.y), triggering_anchors=anchors)

    def __call__(self, frame: Frame) -> list[str]:
        followed = follow(self._tracker, self._detector.detect(frame))
        one, other = self._line.trigger(followed)
        # Which of LineZone's two is "in" depends on how the line was drawn; the caller tries both.
        return ["a"] * int(one.sum()) + ["b"] * int(other.sum())


def follow(tracker: Any, seen: Detections) -> Any:
    """The confirmed tracks after these detections; LineZone would take all unconfirmed ones for one person."""
    people = seen.kind == 0
    known = sv.Detections(seen.xyxy[people], confidence=seen.score[people], class_id=seen.kind[people].astype(int))
    followed = tracker.update(known)
    return followed[followed.tracker_id != -1]


def frames_of(path: Path, most: int) -> Iterator[tuple[float, Frame]]:
    """Seconds and frames of a recording, decoded before anything is timed."""
    recording = Recording(path, pace="fast")
    for _ in range(most):
        frame = recording.read(10.0)
        if frame is None:
            return
        yield recording.seconds(frame.at), frame


def in_turn(
    frames: Iterable[tuple[float, Frame]], stacks: dict[str, Counter]
) -> tuple[dict[str, float], dict[str, list[tuple[float, str]]], int]:
    """Processor milliseconds a frame of each, what each counted and when, and the number of frames.

    Block by block in turn: asking for the processor time of every frame would cost more than some stacks do.
    """
    spent, events, n = dict.fromkeys(stacks, 0.0), {name: list[tuple[float, str]]() for name in stacks}, 0
    for block in batched(frames):
        for name, stack in stacks.items():
            began = time.process_time()
            for t, frame in block:
                events[name] += [(t, what) for what in stack(frame)]
            spent[name] += time.process_time() - began
        n += len(block)
    return {name: 1e3 * s / max(n, 1) for name, s in spent.items()}, events, n


def batched(frames: Iterable[tuple[float, Frame]]) -> Iterator[list[tuple[float, Frame]]]:
    """Blocks of frames that keep their pictures, though the camera overwrites its own."""
    block: list[tuple[float, Frame]] = []
    for t, frame in frames:
        block.append((t, Frame(frame.image.copy(), frame.at)))
        if len(block) == BLOCK:
            yield block
            block = []
    if block:
        yield block


def open_stacks(chosen: Settings, peer: Detector, size: tuple[int, int], fps: float) -> tuple[dict[str, Counter], Any]:
    """The peers, ours with every frame looked at, and ours as it runs; and the pipeline of the last."""
    detector = open_detector(chosen)
    every = open_pipeline(chosen, detector, every_frame=True)
    sparing = open_pipeline(chosen, detector)

    def by(pipeline: Any) -> Counter:
        return lambda frame: [c.direction.value for c in pipeline.update(frame)]

    peers = Peers(chosen.gate[0], size, fps, peer)
    return {"peers": peers, "every frame": by(every), "sparing": by(sparing)}, sparing


def one_recording(path: Path, peer: Detector, most: int) -> dict[str, Any]:
    """Costs and scores over one recording with truth."""
    chosen = one_thread(settings.load(path.with_suffix(".gates.toml")))
    gate = chosen.gate[0].name
    probe = [(t, (f.width, f.height)) for t, f in frames_of(path, 20)]
    fps, size = (len(probe) - 1) / (probe[-1][0] - probe[0][0]), probe[0][1]
    stacks, sparing = open_stacks(chosen, peer, size, fps)
    ms, events, n = in_turn(frames_of(path, most), stacks)
    truth = read_truth(path.with_suffix(".truth.jsonl"), [gate])
    until = max((t for t, _ in frames_of(path, most)), default=0.0)
    truth = [e for e in truth if e.t <= until]

    def f1(found: list[tuple[float, str]], names: dict[str, str]) -> float | None:
        # Our events are dated when they were decided here, up to a second after the line; so are the peers'.
        return evaluate([Event(t, gate, names[d]) for t, d in found], truth, [gate], 1.5).total.f1.value

    straight, crossed = {"a": "in", "b": "out"}, {"a": "out", "b": "in"}
    same = {"in": "in", "out": "out"}
    return {
        "recording": path.name,
        "frames": n,
        "ms": ms,
        "inferred": sparing.inferred,
        "spared": 1 - sparing.inferred / max(n, 1),
        "f1": {
            "peers": max(f1(events["peers"], straight) or 0.0, f1(events["peers"], crossed) or 0.0),
            "every frame": f1(events["every frame"], same),
            "sparing": f1(events["sparing"], same),
        },
    }


def one_thread(chosen: Settings) -> Settings:
    """The same settings with the network on one thread, as the peers' runs."""
    return chosen.model_copy(update={"model": chosen.model.model_copy(update={"threads": 1})})


def empty_view(peer: Detector, seconds: float) -> dict[str, Any]:
    """Costs over a view with nobody in it: a real entrance's quiet seconds to and fro, with fresh sensor noise."""
    name, begin, end = QUIET
    path = DATA / "footage" / name
    quiet = [f.image.copy() for t, f in frames_of(path, 10**6) if begin <= t <= end]
    there_and_back = quiet + quiet[::-1]
    rng, fps = np.random.default_rng(1), 12.0
    noise = [rng.normal(0, 1.5, quiet[0].shape).astype(np.float32) for _ in range(5)]

    def frames() -> Iterator[tuple[float, Frame]]:
        for i in range(round(seconds * fps)):
            image = there_and_back[i % len(there_and_back)] + noise[int(rng.integers(5))]
            yield i / fps, Frame(np.clip(image, 0, 255).astype(np.uint8), BootNs(round((100 + i / fps) * S)))

    chosen = one_thread(settings.load(path.with_suffix(".gates.toml")))
    height, width = quiet[0].shape[:2]
    stacks, sparing = open_stacks(chosen, peer, (width, height), fps)
    ms, events, n = in_turn(frames(), stacks)
    spared = 1 - sparing.inferred / max(n, 1)
    counted = {name: len(found) for name, found in events.items()}
    return {"frames": n, "ms": ms, "inferred": sparing.inferred, "spared": spared, "counted": counted}


def thirty_people(frames: int) -> dict[str, float]:
    """Processor milliseconds a frame of tracker and gates, and of ByteTrack alone, with 30 people in view."""
    size, rng = (1280, 720), np.random.default_rng(2)
    gate = Gate(name="door", line=((0.0, 0.5), (1.0, 0.5)), inside=(0.5, 0.1))
    place = rng.uniform((40, 160), (1240, 700), (30, 2))
    speed = np.column_stack((rng.normal(0, 10, 30), rng.choice([-1, 1], 30) * rng.uniform(40, 110, 30)))
    film = []
    for i in range(frames):
        place = (place + speed / 12 - (40, 160)) % (1200, 540) + (40, 160)
        foot = place + rng.normal(0, 3, place.shape)
        xyxy = np.column_stack((foot - np.array([24, 120]), foot + np.array([24, 0]))).astype(np.float32)
        score = np.sort(rng.uniform(0.3, 0.95, 30).astype(np.float32))[::-1].copy()
        film.append((BootNs(round((1 + i / 12) * S)), Detections(xyxy, score, np.zeros(30, np.uint8))))
    theirs = [sv.Detections(d.xyxy, confidence=d.score, class_id=d.kind.astype(int)) for _, d in film]

    def ours() -> None:
        tracker, gates = Tracker(), Gates([gate], size)
        for at, seen in film:
            gates.update(tracker.update(seen, at, size), at)

    def bytetrack() -> None:
        tracker = ByteTrackTracker(frame_rate=12.0)
        for seen in theirs:
            tracker.update(seen)

    return {"tracker and gates": best_ms(ours, frames), "bytetrack": best_ms(bytetrack, frames)}


def best_ms(work: Callable[[], None], frames: int) -> float:
    """Processor milliseconds a frame, the best of five runs."""
    times = []
    for _ in range(5):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return 1e3 * min(times) / frames


def main() -> None:
    """Runs everything and prints it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=10**6, help="frames of each recording, at most")
    parser.add_argument("--empty", type=float, default=60.0, help="seconds of the empty view")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    known = find_model("yolox-nano", [ROOT / "models"])
    peer = Detector.open(known.entry, DATA / "models", (416, 416), 1)
    films = (p for p in (DATA / "footage").iterdir() if p.suffix in {".mp4", ".mpg"})
    recordings = sorted(p for p in films if p.with_suffix(".truth.jsonl").exists())
    measured = {
        "recordings": [one_recording(p, peer, arguments.frames) for p in recordings],
        "empty": empty_view(peer, arguments.empty),
        "thirty": thirty_people(400),
    }
    sys.stdout.write(json.dumps(measured))


if __name__ == "__main__":
    main()
