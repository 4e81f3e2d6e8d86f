# SPDX-License-Identifier: Apache-2.0
"""A recording's own clock: the time of each frame from the container's stamps, never from a count of frames. Pure.

What containers do to their stamps (all seen in the recordings this was made with):

- none at all (raw streams), or none on the last frame: OpenCV reports 0 for both;
- swapped among neighbours: a file that was once a raw H.264 stream carries right stamps on wrong frames, because the
  tool that boxed it guessed the order. The decoder's order is right (the pictures move evenly in it, and jump back and
  forth in the order of the stamps), so the stamps of a few frames are sorted and handed out in order;
- starting again at 0, where two files were joined.

So a stamp goes in with each frame, a time comes out for each frame READ_AHEAD frames later, and it always grows. A
frame without a stamp is one step after the newest; a new beginning goes on one step after the newest.
"""

import heapq
import math
from itertools import pairwise

READ_AHEAD = 4
"""Frames looked at before a time is given. Measured: the worst of our recordings swaps stamps by 3 frames."""

_FALLBACK_RATE = 25.0
_GRACE_S = 0.0005
"""Containers round their stamps to milliseconds."""

_LEAST_STEP_S = 0.001


class Timeline:
    """Turns the stamps of frames in decoding order into growing times, in seconds of the recording."""

    def __init__(self, rate: float) -> None:
        """`rate` (frames a second, the container's word) serves only where there are no stamps."""
        self._rated_step_s = 1.0 / (rate if math.isfinite(rate) and 0.5 <= rate <= 240.0 else _FALLBACK_RATE)
        self._stamps: list[float] = []
        self._newest_s = -self._rated_step_s
        self._offset_s = 0.0
        self._added = 0
        self._last_s: float | None = None

    def add(self, stamp_ms: float) -> None:
        """Takes the next frame's stamp in milliseconds; 0 after the first few frames means that it has none."""
        stamp_s = stamp_ms / 1000.0 + self._offset_s if self._is_stamp(stamp_ms) else self._newest_s + self._step_s
        if stamp_s < self._newest_s - self._swap_limit_s:
            moved_s = self._newest_s + self._step_s
            self._offset_s, stamp_s = self._offset_s + moved_s - stamp_s, moved_s
        self._added += 1
        self._newest_s = max(self._newest_s, stamp_s)
        heapq.heappush(self._stamps, stamp_s)

    def _is_stamp(self, stamp_ms: float) -> bool:
        may_be_zero = self._added < READ_AHEAD and 0.0 not in self._stamps
        return math.isfinite(stamp_ms) and (stamp_ms > 0 or (stamp_ms == 0 and may_be_zero))

    @property
    def _step_s(self) -> float:
        """The smallest step among the frames looked at: a swapped or missing stamp only makes one look longer."""
        known = sorted(self._stamps if self._last_s is None else [self._last_s, *self._stamps])
        steps = (b - a for a, b in pairwise(known) if b - a >= _LEAST_STEP_S)
        return min(steps, default=self._rated_step_s)

    @property
    def _swap_limit_s(self) -> float:
        """A stamp that goes back by more than this is a new beginning, by less a swap of neighbours."""
        return max(1.0, 2 * READ_AHEAD * self._step_s)

    def next(self) -> float:
        """The time of the earliest frame not yet given a time. Call it once for each `add`, READ_AHEAD later."""
        time_s = heapq.heappop(self._stamps)
        if self._last_s is not None:
            time_s = max(time_s, self._last_s + _LEAST_STEP_S)
        self._last_s = time_s
        return time_s


class Thinner:
    """Chooses at most so many frames a second, by their times; every frame where `fps` is None."""

    def __init__(self, fps: float | None) -> None:
        self._gap_s = 0.0 if fps is None else 1.0 / fps
        self._due_s = -math.inf

    def wants(self, time_s: float) -> bool:
        """Whether the frame at `time_s`, later than those asked about before, is one of the chosen."""
        if time_s + _GRACE_S < self._due_s:
            return False
        kept_pace = time_s < self._due_s + self._gap_s
        self._due_s = (self._due_s if kept_pace else time_s) + self._gap_s
        return True
