# SPDX-License-Identifier: Apache-2.0
"""How eye is: frame rate and latency over the last seconds. Pure but for `resident_kib`."""

import os
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from nigiwai.clock import BootNs
from nigiwai.door.records import Flag, Vitals

WINDOW_NS = 10_000_000_000
_MOST = 1_000
"""Frames kept of the window: more than 10 s at any rate a camera is asked for."""


class VitalsMeter:
    """Counts frames and their latencies; older ones than WINDOW_NS are forgotten."""

    def __init__(self) -> None:
        self._recent: deque[tuple[BootNs, float]] = deque(maxlen=_MOST)
        self.frames = 0

    def update(self, counted_at: BootNs, latency_ms: float) -> None:
        """Takes a counted frame and how long after its capture it was counted."""
        self.frames += 1
        self._recent.append((counted_at, latency_ms))

    def vitals(
        self, now: BootNs, *, dropped: int, inferred: int, memory_kib: int, unacknowledged: int, lost: int,
        flags: Iterable[Flag],
    ) -> Vitals:  # fmt: skip
        """The record for this moment."""
        while self._recent and self._recent[0][0] < now - WINDOW_NS:
            self._recent.popleft()
        latencies = sorted(latency for _, latency in self._recent)
        return Vitals(
            at_ms=now // 1_000_000,
            frames=self.frames,
            dropped=dropped,
            inferred=inferred,
            fps_milli=self._fps_milli(now),
            latency_median_ms=_quantile(latencies, 0.5),
            latency_p95_ms=_quantile(latencies, 0.95),
            memory_kib=memory_kib,
            unacknowledged=min(unacknowledged, 100_000),
            lost_bins=lost,
            flags=tuple(f for f in Flag if f in set(flags)),
        )

    def _fps_milli(self, now: BootNs) -> int:
        if len(self._recent) < 2:
            return 0
        span_ns = max(now - self._recent[0][0], 1)
        return min(1_000_000, round((len(self._recent) - 1) * 1e12 / span_ns))


def _quantile(ordered: list[float], q: float) -> int:
    """The value at quantile `q` in whole milliseconds, 0 for none."""
    if not ordered:
        return 0
    value = ordered[min(len(ordered) - 1, int(q * len(ordered)))]
    return max(0, min(600_000, round(value)))


def resident_kib() -> int:
    """Resident memory of this process in KiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024
