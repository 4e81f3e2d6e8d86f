# SPDX-License-Identifier: Apache-2.0
"""Counts a recording with the very pipeline of eye, as fast as it goes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from nigiwai.clock import BootNs
from nigiwai.errors import NigiwaiError
from nigiwai.eye.assemble import open_detector, open_pipeline
from nigiwai.eye.cameras.recording import Recording
from nigiwai.eye.types import Direction, Frame, Track
from nigiwai.lab.matching import Event
from nigiwai.settings import Settings


@dataclass
class Counted:
    """What has been counted so far; stays true when the counting is broken off."""

    gates: tuple[str, ...]
    frames: int = 0
    seconds: float = 0.0
    events: list[Event] = field(default_factory=list)

    @property
    def sums(self) -> dict[str, dict[str, int]]:
        """Per gate how many went in and out."""
        return {
            gate: {d.value: sum(e.gate == gate and e.direction == d for e in self.events) for d in Direction}
            for gate in self.gates
        }


class Replay(Protocol):
    """A recording, or a network camera while it is watched: frames with times from its own beginning."""

    @property
    def length_s(self) -> float | None:
        """About how long it is in seconds; None where nobody knows."""

    def seconds(self, at: BootNs) -> float:
        """Seconds from its beginning."""

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame, None at the end. Raises CameraError."""

    def close(self) -> None:
        """Gives it back."""


def is_stream(recording: str) -> bool:
    """Whether it is the address of a network camera and not a file."""
    return recording.lower().startswith(("rtsp://", "rtsps://"))


def open_recording(recording: str, fps: float | None) -> Replay:
    """The recording, or a network camera for as long as it is watched. Raises CameraError."""
    if is_stream(recording):
        from nigiwai.eye.cameras.rtsp import open_stream

        return open_stream(recording, fps=fps)
    return Recording(Path(recording), pace="fast", fps=fps)


def count(
    recording: Replay,
    settings: Settings,
    counted: Counted,
    on_event: Callable[[Event], None],
    on_look: Callable[[int, Sequence[Track], tuple[int, int]], None] = lambda _frame, _tracks, _size: None,
) -> Iterator[float]:
    """Counts frame by frame into `counted`, yielding the seconds of the recording that have been watched.

    on_look: takes the number, from 0, of each frame that the detector saw, the people followed then, and its size.

    Raises NigiwaiError; `counted` then holds everything up to there.
    """
    pipeline = open_pipeline(settings, open_detector(settings))
    while (frame := recording.read(_PATIENCE_S)) is not None:
        before = pipeline.inferred
        crossings = pipeline.update(frame)
        if pipeline.inferred > before:
            on_look(counted.frames, pipeline.tracks, (frame.width, frame.height))
        counted.frames += 1
        counted.seconds = recording.seconds(frame.at)
        for crossing in crossings:
            event = Event(round(recording.seconds(crossing.at), 3), crossing.gate, crossing.direction.value)
            counted.events.append(event)
            on_event(event)
        yield counted.seconds


_PATIENCE_S = 10.0


class CountError(NigiwaiError):
    """The file for the events cannot be written."""

    exit_code = 2
