# SPDX-License-Identifier: Apache-2.0
"""Staff's taps against the device's own crossings, matched in here so that no single passage has to leave. Pure.

A crossing's time is when the foot met the line; a tap comes about a second later, sometimes three, now and then a bit
early. Within that window the largest possible number of pairs is taken: both lists in order of time, each crossing with
the first tap that is left for it, which is the best there is where all windows are equally long.

        crossings   c1      c2 c3                c4
        taps           t1        t2  t3    t4            c1-t1, c2-t2, c3-t3; t4: missed by the device; c4: false

What lies at the two ends is not held against the device: a crossing just before the first moment may take a tap but is
no false count without one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nigiwai.clock import BootNs
from nigiwai.door.field import CheckOn, CheckResult, Matched, Tap
from nigiwai.eye.types import Crossing, Direction

EARLY_NS = 2_000_000_000
LATE_NS = 4_000_000_000
DECIDED_NS = 3_000_000_000
"""A gate decides after real distance, so crossings are complete only a while after the last moment."""

SETTLED_NS = 8_000_000_000
"""Where ages are estimated: they are said six seconds after a passage (passers.py)."""

LEAD_NS = 500_000_000
MOST_CROSSINGS = 4_000


@dataclass
class Check:
    """One check at one gate, from `at` on."""

    order: CheckOn
    at: BootNs
    _taps: dict[int, Tap] = field(default_factory=dict)
    _crossings: list[tuple[BootNs, Direction]] = field(default_factory=list)
    _said: dict[tuple[BootNs, Direction], bool] = field(default_factory=dict)
    _end: BootNs | None = None

    @property
    def end(self) -> BootNs:
        """Its last moment."""
        latest = BootNs(self.at + self.order.minutes * 60 * 1_000_000_000)
        return latest if self._end is None else min(latest, self._end)

    def is_final(self, now: BootNs) -> bool:
        """Whether everything has been decided that it is about."""
        return now >= self.end + (SETTLED_NS if self._said else DECIDED_NS)

    def stop(self, now: BootNs) -> None:
        """Staff are done."""
        self._end = now if self._end is None else self._end

    def tap(self, tap: Tap) -> None:
        """Takes a tap; one that came before is not taken twice."""
        self._taps.setdefault(tap.tap, tap)

    def take_back(self, number: int) -> None:
        """Forgets a tap."""
        self._taps.pop(number, None)

    def cross(self, crossings: Iterable[Crossing]) -> None:
        """Takes the device's own crossings."""
        for crossing in crossings:
            if crossing.gate == self.order.gate and len(self._crossings) < MOST_CROSSINGS:
                self._crossings.append((crossing.at, crossing.direction))

    def settled(self, crossing: Crossing, *, child: bool) -> None:
        """Takes what was said of the person of a crossing: a child, or not (also where nothing is known)."""
        if crossing.gate == self.order.gate and len(self._said) < MOST_CROSSINGS:
            self._said[crossing.at, crossing.direction] = child

    def answers(self, now: BootNs) -> list[tuple[bool, bool]]:
        """Of every passage that both saw: whether staff tapped a child, and whether that was said."""
        found = []
        for direction in Direction:
            there, taps = self._both(direction)
            for i, j in _pairs(there, [at for at, _ in taps]).items():
                said = self._said.get((BootNs(there[i]), direction))
                if said is not None and there[i] <= now:
                    found.append((taps[j][1], said))
        return found

    def result(self, now: BootNs) -> CheckResult:
        """How it stands."""
        return CheckResult(
            check=self.order.check,
            gate=self.order.gate,
            final=self.is_final(now),
            length_s=max(0, min(now, self.end) - self.at) // 1_000_000_000,
            entered=self._matched(Direction.IN, now),
            left=self._matched(Direction.OUT, now),
        )

    def _both(self, direction: Direction) -> tuple[list[int], list[tuple[int, bool]]]:
        """The crossings in order, and the taps with what was tapped."""
        taps = [(t.at_ms * 1_000_000, t.child) for t in self._taps.values() if t.direction == direction.value]
        there = [at for at, way in self._crossings if way is direction and at >= self.at - LEAD_NS]
        return sorted(there), sorted(taps)

    def _matched(self, direction: Direction, now: BootNs) -> Matched:
        until = min(now, self.end)
        there, taps = self._both(direction)
        paired = _pairs(there, [at for at, _ in taps])
        matched = len(paired)
        counted = matched + sum(self.at <= at <= until for i, at in enumerate(there) if i not in paired)
        return Matched(taps=len(taps), counted=counted, matched=matched)


def _pairs(crossings: Sequence[int], taps: Sequence[int]) -> dict[int, int]:
    """The crossings that have a tap of their own, and which."""
    paired, next_tap = dict[int, int](), 0
    for i, at in enumerate(crossings):
        while next_tap < len(taps) and taps[next_tap] < at - EARLY_NS:
            next_tap += 1
        if next_tap < len(taps) and taps[next_tap] <= at + LATE_NS:
            paired[i] = next_tap
            next_tap += 1
    return paired
