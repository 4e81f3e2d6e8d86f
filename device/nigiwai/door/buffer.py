# SPDX-License-Identifier: Apache-2.0
"""What eye has counted and link has not yet acknowledged. Pure and bounded.

When link is away for long, old bins are merged with their neighbours rather than dropped: counts stay exact, only their
times grow coarser, and the bin says so (Flag.MERGED). A bin that was ever sent is never merged: link may have committed
it and its acknowledgement may be lost, and a merged bin could not be told from a new one.
"""

from dataclasses import dataclass
from itertools import pairwise

from nigiwai.door.records import Bin, Flag, GateCount

CAPACITY = 720
"""Bins kept before merging begins: one hour at 5 s."""

WINDOW = 16
"""Bins sent ahead of their acknowledgement."""

_LONGEST_MS = 86_400_000
_MOST_COUNTS = 10_000


@dataclass
class _Entry:
    bin: Bin
    under_way: bool = False
    ever_sent: bool = False


class BinBuffer:
    """A queue of bins in sequence order that forgets a bin when it is acknowledged."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._entries: list[_Entry] = []
        self.lost = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, new: Bin) -> None:
        """Keeps `new` until it is acknowledged; merges the shortest old neighbours if there are too many."""
        self._entries.append(_Entry(new))
        if len(self._entries) > self._capacity:
            self._make_room()

    def next_unsent(self) -> Bin | None:
        """The oldest bin that is not under way, if fewer than WINDOW are."""
        return next((e.bin for e in self._entries[:WINDOW] if not e.under_way), None)

    def sent(self, counted: Bin) -> None:
        """Takes the bin as under way."""
        for entry in self._entries[:WINDOW]:
            if entry.bin is counted:
                entry.under_way = entry.ever_sent = True

    def unsend(self) -> None:
        """What was under way on a connection that broke will be sent again, unchanged."""
        for entry in self._entries:
            entry.under_way = False

    def acknowledge(self, run: str, sequence: int) -> None:
        """Forgets the bin; an acknowledgement of something unknown is ignored."""
        self._entries = [e for e in self._entries if (e.bin.run, e.bin.sequence) != (run, sequence)]

    def _make_room(self) -> None:
        candidates = [
            (a.bin.length_ms + b.bin.length_ms, i)
            for i, (a, b) in enumerate(pairwise(self._entries))
            if not a.ever_sent and not b.ever_sent and mergeable(a.bin, b.bin)
        ]
        if candidates:
            _, i = min(candidates)
            self._entries[i : i + 2] = [_Entry(merged(self._entries[i].bin, self._entries[i + 1].bin))]
        else:
            del self._entries[0]
            self.lost += 1


def mergeable(a: Bin, b: Bin) -> bool:
    """Whether `b` follows `a` with the same gates, and their sum fits a record's ranges."""
    return (
        a.run == b.run
        and a.sequence + 1 == b.first_sequence
        and b.start_ms + b.length_ms - a.start_ms <= _LONGEST_MS
        and [g.gate for g in a.gates] == [g.gate for g in b.gates]
        and all(
            p.entered + q.entered <= _MOST_COUNTS and p.left + q.left <= _MOST_COUNTS
            for p, q in zip(a.gates, b.gates, strict=True)
        )
    )


def merged(a: Bin, b: Bin) -> Bin:
    """One bin that says what both said; time between them counts as blind. They must be mergeable."""
    length_ms = b.start_ms + b.length_ms - a.start_ms
    between_ms = length_ms - a.length_ms - b.length_ms
    return Bin(
        run=a.run,
        first_sequence=a.first_sequence,
        sequence=b.sequence,
        start_ms=a.start_ms,
        length_ms=length_ms,
        blind_ms=a.blind_ms + b.blind_ms + between_ms,
        gates=tuple(
            GateCount(gate=p.gate, entered=p.entered + q.entered, left=p.left + q.left)
            for p, q in zip(a.gates, b.gates, strict=True)
        ),
        flags=tuple(f for f in Flag if f in {*a.flags, *b.flags, Flag.MERGED}),
    )
