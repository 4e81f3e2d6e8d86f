# SPDX-License-Identifier: Apache-2.0
"""From a frame to the crossings it completes: detector, tracker, gates, in this order and nothing between them."""

from collections.abc import Callable, Sequence
from typing import Protocol

from nigiwai.clock import BootNs
from nigiwai.door.records import Flag
from nigiwai.eye.stopwatch import NoStopwatch, Stopwatch
from nigiwai.eye.types import Crossing, Detections, Frame, Track


class Detecting(Protocol):
    """A detector, real or a test's."""

    def detect(self, frame: Frame) -> Detections:
        """The people in the frame."""


class Tracking(Protocol):
    """A tracker."""

    def update(self, detections: Detections, at: BootNs, size: tuple[int, int]) -> tuple[Track, ...]:
        """The people followed, given one frame's detections."""


class Gating(Protocol):
    """A set of gates."""

    @property
    def passers(self) -> tuple[int, ...]:
        """The tracks of the last update's crossings."""

    def update(self, tracks: tuple[Track, ...], at: BootNs) -> tuple[Crossing, ...]:
        """The crossings that one frame's tracks complete."""


class Looking(Protocol):
    """A lookout."""

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What is wrong with the view."""

    def needs_detector(self, frame: Frame, tracks: Sequence[Track], *, found: bool) -> bool:
        """Whether the frame is worth the detector; found: whether its last look showed anybody."""


class Pipeline:
    """Counts one camera's pictures. `inferred` is how many of them the detector saw."""

    def __init__(
        self,
        detector: Detecting,
        tracker: Tracking,
        gates: Callable[[tuple[int, int]], Gating],
        watch: Stopwatch | None = None,
        lookout: Looking | None = None,
    ) -> None:
        """gates: the gates for frames of a width and height, made again where the camera changes its size.

        lookout: decides which frames the detector sees; all of them without one.
        """
        self._detector, self._tracker, self._make_gates = detector, tracker, gates
        self._watch = watch or NoStopwatch()
        self._size: tuple[int, int] | None = None
        self._gates: Gating | None = None
        self._lookout = lookout
        self._tracks: tuple[Track, ...] = ()
        self._found = False
        self.inferred = 0
        self.every_frame = False
        """Whether the detector sees every frame, whatever the lookout says: while somebody aims."""

        self.passers: tuple[int, ...] = ()
        """The tracks of the last frame's crossings, in their order; for sums of traits, and never out of eye."""

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The people followed, as the last frame left them."""
        return self._tracks

    def change_gates(self, gates: Callable[[tuple[int, int]], Gating], lookout: Looking | None) -> None:
        """Other gates from the next frame on; who is in the middle of one is judged anew."""
        self._make_gates, self._gates, self._lookout = gates, None, lookout

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What is wrong with the view, as far as somebody looks out."""
        return self._lookout.flags if self._lookout else ()

    def update(self, frame: Frame) -> tuple[Crossing, ...]:
        """The crossings that this frame completes.

        A frame that the lookout passes over changes nothing: tracker and gates reckon with time, not with frames.
        """
        self.passers = ()
        needed = self._lookout is None or self._lookout.needs_detector(frame, self._tracks, found=self._found)
        if not (needed or self.every_frame):
            return ()
        size = (frame.width, frame.height)
        gates = self._gates_for(size)
        self.inferred += 1
        detections = self._detector.detect(frame)
        self._found = len(detections) > 0
        self._tracks = self._tracker.update(detections, frame.at, size)
        self._watch.mark("track")
        crossings = gates.update(self._tracks, frame.at)
        self.passers = gates.passers
        self._watch.mark("count")
        return crossings

    def _gates_for(self, size: tuple[int, int]) -> Gating:
        if self._gates is None or size != self._size:
            self._gates, self._size = self._make_gates(size), size
        return self._gates
