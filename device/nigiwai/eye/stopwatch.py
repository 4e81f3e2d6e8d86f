# SPDX-License-Identifier: Apache-2.0
"""Time spent per stage, measured by marks between them. The stages take the stopwatch; the rim owns the clock."""

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

STAGES = ("capture", "prepare", "infer", "decode", "track", "count")
"""Every stage that marks the stopwatch, in order."""


class Stopwatch(Protocol):
    """What the stages need: a mark at the end of each."""

    def mark(self, stage: str) -> None:
        """Books the time since the last mark on `stage`."""


class NoStopwatch:
    """Measures nothing."""

    def mark(self, stage: str) -> None:
        """Does nothing."""


class Laps:
    """The last `keep` times of each stage, in milliseconds."""

    def __init__(self, clock_ns: Callable[[], int] = time.perf_counter_ns, keep: int = 10_000) -> None:
        self._clock_ns = clock_ns
        self._keep = keep
        self._last_ns = clock_ns()
        self.times_ms: dict[str, deque[float]] = {}

    def begin(self) -> None:
        """Forgets the time since the last mark: nobody's."""
        self._last_ns = self._clock_ns()

    def mark(self, stage: str) -> None:
        """Books the time since the last mark, or `begin`, on `stage`."""
        now_ns = self._clock_ns()
        self.times_ms.setdefault(stage, deque(maxlen=self._keep)).append((now_ns - self._last_ns) / 1e6)
        self._last_ns = now_ns
