# SPDX-License-Identifier: Apache-2.0
"""Crossings and frames into bins of five seconds of boot time. Pure.

    frames    |  |  |  |  |        |  |  |         usable frames at most MAX_GAP_NS apart prove that the time
    seen      =============        =======         between them was seen; everything else of a bin is blind
    bins      [ 1        ][ 2        ][ 3 ...

A crossing is counted in the bin that is open when it is decided: a gate waits for real distance, so the decision may
come a second after the foot met the line, and a bin that has left the building is never changed.
"""

from collections.abc import Iterable, Sequence

from nigiwai.clock import BootNs
from nigiwai.door.records import BIN_MS, Bin, Flag, GateCount
from nigiwai.eye.types import Crossing, Direction

MAX_GAP_NS = 1_000_000_000
"""A walker covers 1.4 m in a second, about the depth of a gate's surroundings: a longer gap may hide a passage."""

_MS = 1_000_000

BLINDING = frozenset({Flag.COVERED, Flag.DARK, Flag.BLOWN_OUT, Flag.FROZEN})
"""Flags of a frame in which nobody can be seen, though the camera delivers."""


class BinBuilder:
    """Collects one bin at a time for the named gates, the first beginning at `start`."""

    def __init__(self, run: str, gates: Sequence[str], start: BootNs) -> None:
        self._run = run
        self._gates = tuple(gates)
        self._start_ms = start // _MS
        self._sequence = 1
        self._last_seen: BootNs | None = None
        self._clear()

    def update(self, at: BootNs, crossings: Iterable[Crossing], flags: Iterable[Flag]) -> list[Bin]:
        """Takes one frame's results; returns the bins that were over before it, oldest first.

        A frame older than the bin that is open adds its crossings but no time.
        """
        flags = frozenset(flags)
        usable = not flags & BLINDING
        closed = self._see_until(at) if usable else self.tick(at)
        self._last_seen = max(at, self._last_seen or at) if usable else None
        self._flags |= flags
        for crossing in crossings:
            self._count(crossing)
        return closed

    def tick(self, now: BootNs) -> list[Bin]:
        """The bins that were over by `now` though no frame came."""
        closed = []
        while now // _MS >= self._start_ms + BIN_MS:
            closed.append(self._close(BIN_MS))
        return closed

    def change_gates(self, gates: Sequence[str], now: BootNs) -> list[Bin]:
        """Closes the open bin; those after it have other gates."""
        closed = self.finish(now)
        self._gates = tuple(gates)
        self._clear()
        return closed

    def finish(self, now: BootNs) -> list[Bin]:
        """Every bin to the end of the run, the last one shorter than the others."""
        closed = self.tick(now)
        length_ms = now // _MS - self._start_ms
        if length_ms > 0 or any(map(sum, self._counts.values())):
            closed.append(self._close(max(1, length_ms)))
        return closed

    def _see_until(self, at: BootNs) -> list[Bin]:
        """Credits the time since the last frame as seen, bin by bin."""
        closed = []
        last = self._last_seen
        if last is None or not 0 <= at - last <= MAX_GAP_NS:
            return self.tick(at)
        seen_from = max(last, self._start_ms * _MS)
        while at // _MS >= self._start_ms + BIN_MS:
            end = (self._start_ms + BIN_MS) * _MS
            self._seen_ns += end - seen_from
            seen_from = end
            closed.append(self._close(BIN_MS))
        self._seen_ns += max(0, at - seen_from)
        return closed

    def _count(self, crossing: Crossing) -> None:
        self._counts[crossing.gate][crossing.direction is Direction.OUT] += 1

    def _close(self, length_ms: int) -> Bin:
        closed = Bin(
            run=self._run,
            first_sequence=self._sequence,
            sequence=self._sequence,
            start_ms=self._start_ms,
            length_ms=length_ms,
            blind_ms=min(length_ms, max(0, length_ms - round(self._seen_ns / _MS))),
            gates=tuple(GateCount(gate=g, entered=n[0], left=n[1]) for g, n in self._counts.items()),
            flags=tuple(f for f in Flag if f in self._flags),
        )
        self._start_ms += length_ms
        self._sequence += 1
        self._clear()
        return closed

    def _clear(self) -> None:
        self._counts = {gate: [0, 0] for gate in self._gates}
        self._flags: frozenset[Flag] = frozenset()
        self._seen_ns = 0
