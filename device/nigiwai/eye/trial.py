# SPDX-License-Identifier: Apache-2.0
"""Gates on trial: they count beside those in force while somebody aims, and nothing that they count is reported. Pure.

So staff can draw a line, walk through it a few times and see that it counts right, before it decides anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from nigiwai.clock import BootNs
from nigiwai.door.field import Tried
from nigiwai.eye.gates import Gates
from nigiwai.eye.types import Direction, Track
from nigiwai.settings import Gate

REPORT_NS = 2_000_000_000
MOST = 999


@dataclass
class Trial:
    """Gates on trial from `at` on."""

    gates: tuple[Gate, ...]
    at: BootNs
    _made: Gates | None = None
    _size: tuple[int, int] = (0, 0)
    _sums: dict[str, list[int]] = field(default_factory=dict)
    _due: int = 0

    def see(self, tracks: Sequence[Track], size: tuple[int, int], at: BootNs) -> None:
        """Takes the people of one frame that the detector saw."""
        if self._made is None or size != self._size:
            self._made, self._size = Gates(self.gates, size), size
        for crossing in self._made.update(tuple(tracks), at):
            self._sums.setdefault(crossing.gate, [0, 0])[crossing.direction is Direction.OUT] += 1

    def due(self, now: BootNs) -> Tried | None:
        """What it counted, every two seconds."""
        if now < self._due:
            return None
        self._due = now + REPORT_NS
        sums = (self._sums.get(g.name, (0, 0)) for g in self.gates)
        return Tried(passed=tuple((min(MOST, entered), min(MOST, left)) for entered, left in sums))
