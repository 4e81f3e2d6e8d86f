# SPDX-License-Identifier: Apache-2.0
"""What eye shows while somebody aims the camera: boxes on a coarse grid, where feet were seen, and advice. Pure.

Eye itself ends it: ten minutes after it was asked for, and after thirty minutes within 24 hours, whoever asks. A box is
rounded outwards to the grid and carries nothing that would join it to a box of another Scene.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from nigiwai.clock import BootNs
from nigiwai.door.field import AIM_A_DAY_S, AIM_S, COLUMNS, MOST_BOXES, ROWS, Advice, Box, Coverage, Reported, Scene
from nigiwai.eye.advice import Sight, advise
from nigiwai.eye.gauge import Gauger
from nigiwai.eye.types import Track
from nigiwai.settings import Gate

SCENE_NS = 500_000_000
REPORT_NS = 5_000_000_000
DAY_NS = 86_400_000_000_000
S = 1_000_000_000
MOST_SIGHTS = 1_200
_START = BootNs(0)


@dataclass
class Aim:
    """The aiming mode of one eye."""

    _until: BootNs | None = None
    _begun: BootNs = _START
    _used: list[tuple[BootNs, int]] = field(default_factory=list)
    _scene: Scene | None = None
    _scene_at: BootNs | None = None
    _report_at: BootNs | None = None
    _feet: list[int] = field(default_factory=lambda: [0] * (COLUMNS * ROWS))
    _size: tuple[int, int] = (16, 9)
    _sights: deque[Sight] = field(default_factory=lambda: deque(maxlen=MOST_SIGHTS))

    def start(self, now: BootNs) -> None:
        """Begins, where the day's allowance leaves time; asking again while it is on changes nothing."""
        if self.is_on(now):
            return
        self.stop(now)
        allowed_s = min(AIM_S, AIM_A_DAY_S - self.used_s(now))
        if allowed_s > 0:
            self._begun, self._until = now, BootNs(now + allowed_s * S)
            self._feet, self._report_at = [0] * (COLUMNS * ROWS), now
            self._sights.clear()

    def stop(self, now: BootNs) -> None:
        """Ends; what was used of the day's allowance is remembered."""
        if self._until is not None:
            used_s = math.ceil((min(now, self._until) - self._begun) / S)
            self._used = [(at, s) for at, s in self._used if now - at < DAY_NS] + [(self._begun, used_s)]
        self._until = self._scene = None

    def is_on(self, now: BootNs) -> bool:
        """Whether somebody aims."""
        return self._until is not None and now < self._until

    def used_s(self, now: BootNs) -> int:
        """Seconds of the last 24 hours, the present ones not included."""
        return sum(s for at, s in self._used if now - at < DAY_NS)

    def see(self, tracks: Sequence[Track], size: tuple[int, int], now: BootNs) -> None:
        """Takes one frame's people; nothing is kept while nobody aims."""
        if not self.is_on(now) or (self._scene_at is not None and now - self._scene_at < SCENE_NS):
            return
        self._scene_at, self._size = now, size
        seen = [t for t in tracks if t.seen][:MOST_BOXES]
        left_s = max(0, min(AIM_S, ((self._until or now) - now) // S))
        self._scene = Scene(people=tuple(_box(t, size) for t in seen), left_s=left_s)
        for track in seen:
            self._keep(track, size)

    def _keep(self, track: Track, size: tuple[int, int]) -> None:
        x, y = track.foot[0] / size[0], track.foot[1] / size[1]
        if 0 <= x < 1 and 0 <= y < 1:
            self._feet[int(y * ROWS) * COLUMNS + int(x * COLUMNS)] += 1
        top, bottom = track.xyxy[1] / size[1], track.xyxy[3] / size[1]
        self._sights.append(Sight(x, y, track.height_px / size[1], top <= 0.01, bottom >= 0.99))

    def due(self, gates: Sequence[Gate], detector_px: int, now: BootNs, gauger: Gauger | None = None) -> list[Reported]:
        """What is to be sent now."""
        if self._until is not None and now >= self._until:
            self.stop(now)
        due: list[Reported] = []
        if self._scene is not None:
            due.append(self._scene)
            self._scene = None
        if self.is_on(now) and self._report_at is not None and now >= self._report_at:
            self._report_at = BootNs(now + REPORT_NS)
            due.append(Coverage(cells="".join(_digit(n) for n in self._feet)))
            due.append(Advice(advised=advise(list(self._sights), gates, detector_px, self._size)))
            due += [] if gauger is None else [gauger.gauge(gates, self._size)]
        return due


def _digit(seen: int) -> str:
    """0 never, 1 once or twice, then one more for each doubling."""
    return str(min(9, math.ceil(math.log2(seen + 1))))


def _box(track: Track, size: tuple[int, int]) -> Box:
    left, top, right, bottom = track.xyxy
    return Box(
        left=_cell(math.floor(left / size[0] * COLUMNS), COLUMNS),
        top=_cell(math.floor(top / size[1] * ROWS), ROWS),
        right=_cell(math.ceil(right / size[0] * COLUMNS), COLUMNS),
        bottom=_cell(math.ceil(bottom / size[1] * ROWS), ROWS),
    )


def _cell(at: int, most: int) -> int:
    return max(0, min(most, at))
