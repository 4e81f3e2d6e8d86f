# SPDX-License-Identifier: Apache-2.0
"""Bins in, wall-clock intervals out. Pure: every time is an argument.

Intervals tile the time since the ledger was begun: each moment belongs to exactly one of them. So what nobody watched
is a number (`blind_ns`) and never a silent zero.

    bins            |..5s..|..5s..|     (eye away)      |..5s..|
    intervals    |---- 60 s ----|---- one record, all blind ----|---- 60 s ----|

A bin belongs to the interval that it starts in, with all it counted; what it watched is shared among the intervals that
it overlaps. Intervals that nobody watched at all and that close together become one.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from nigiwai.link.messages import ClockState, Mark

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
UNSEEN_NS = NS_PER_S
"""Less than this without any bin is the seam between two bins or two runs of eye, not worth a mark."""

Gates = Mapping[str, tuple[int, int]]
"""In and out per gate."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A bin on the wall clock."""

    start_ns: int
    length_ns: int
    blind_ns: int
    gates: Gates
    marks: frozenset[Mark] = frozenset()

    @property
    def end_ns(self) -> int:
        """Where it ends."""
        return self.start_ns + self.length_ns


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of wall-clock time and what passed in it. `start_ns` is None where no earliest time is known."""

    start_ns: int | None
    end_ns: int
    gates: Gates
    blind_ns: int
    marks: frozenset[Mark]
    clock: ClockState


def add_gates(first: Gates, second: Gates) -> dict[str, tuple[int, int]]:
    """The sums gate by gate, names in order."""
    names = sorted({*first, *second})
    pairs = {n: (first.get(n, (0, 0)), second.get(n, (0, 0))) for n in names}
    return {n: (a[0] + b[0], a[1] + b[1]) for n, (a, b) in pairs.items()}


def subtract_gates(first: Gates, second: Gates) -> dict[str, tuple[int, int]]:
    """`first` less `second`, never below zero."""
    pairs = {n: (v, second.get(n, (0, 0))) for n, v in first.items()}
    return {n: (max(0, a[0] - b[0]), max(0, a[1] - b[1])) for n, (a, b) in pairs.items()}


def sum_gates(many: Iterable[Gates]) -> dict[str, tuple[int, int]]:
    """The sums over all of them."""
    return reduce(add_gates, many, {})


def floor_to(time_ns: int, step_ns: int) -> int:
    """The last boundary at or before `time_ns`."""
    return time_ns - time_ns % step_ns


def compose(
    start_ns: int,
    end_ns: int,
    step_ns: int,
    bins: Sequence[Placed],
    clock: ClockState,
    seen_until_ns: int = 0,
) -> list[Interval]:
    """Intervals that tile start..end, cut at multiples of `step_ns`, with what the bins starting in them counted.

    `bins` are in order of their start and none starts before `start_ns`. `seen_until_ns`: a bin of an earlier interval
    watched that far. Empty if there is no time between start and end.
    """
    index = _Index(bins)
    intervals: list[Interval] = []
    at = start_ns
    while at < end_ns:
        until = _tile_end(at, end_ns, step_ns, index, seen_until_ns)
        intervals.append(_tile(at, until, index.touching(at, until), clock, seen_until_ns))
        at = until
    return intervals


class _Index:
    """Bins by their start, so that a tile looks at its own only."""

    def __init__(self, bins: Sequence[Placed]) -> None:
        self._bins = bins
        self._starts = [b.start_ns for b in bins]
        self._longest = max((b.length_ns for b in bins), default=0)

    def touching(self, start: int, end: int) -> list[Placed]:
        first = bisect_left(self._starts, start - self._longest)
        last = bisect_left(self._starts, end)
        return [b for b in self._bins[first:last] if b.end_ns > start]

    def next_start(self, time_ns: int) -> int | None:
        found = bisect_left(self._starts, time_ns)
        return self._starts[found] if found < len(self._starts) else None


def _tile_end(at: int, end_ns: int, step_ns: int, index: _Index, seen_until_ns: int) -> int:
    """The next boundary; beyond it, as far as nobody watched."""
    boundary = min(floor_to(at, step_ns) + step_ns, end_ns)
    if seen_until_ns > at or index.touching(at, boundary):
        return boundary
    following = index.next_start(boundary)
    return end_ns if following is None else min(max(boundary, floor_to(following, step_ns)), end_ns)


def _tile(start: int, end: int, touching: Sequence[Placed], clock: ClockState, seen_until_ns: int) -> Interval:
    blind = sum(b.blind_ns * _overlap(b, start, end) // b.length_ns for b in touching)
    watched = sum(_overlap(b, start, end) for b in touching) + max(0, min(seen_until_ns, end) - start)
    unseen = max(0, end - start - watched)
    marks = frozenset[Mark]().union(*(b.marks for b in touching))
    if unseen >= UNSEEN_NS:
        marks |= {Mark.UNSEEN}
    gates = sum_gates(b.gates for b in touching if b.start_ns >= start)
    return Interval(start, end, gates, min(end - start, unseen + blind), marks, clock)


def _overlap(b: Placed, start: int, end: int) -> int:
    return max(0, min(b.end_ns, end) - max(b.start_ns, start))


def amend(interval: Interval, late: Placed) -> Interval:
    """The interval with a bin that came after it was closed."""
    start = interval.start_ns if interval.start_ns is not None else late.start_ns
    share = _overlap(late, start, interval.end_ns)
    seen = share - late.blind_ns * share // late.length_ns
    return replace(
        interval,
        gates=add_gates(interval.gates, late.gates),
        blind_ns=max(0, interval.blind_ns - seen),
        marks=interval.marks | late.marks | {Mark.AMENDED},
    )


_DOUBT = (ClockState.SYNCHRONISED, ClockState.CORRECTED, ClockState.SYSTEM, ClockState.UNKNOWN)


def merge(intervals: Sequence[Interval]) -> Interval:
    """One coarser interval over all of them, in any order, sums unchanged. Raises ValueError if there is none."""
    if not intervals:
        raise ValueError("nothing to merge")
    starts = [i.start_ns for i in intervals]
    return Interval(
        start_ns=None if None in starts else min(s for s in starts if s is not None),
        end_ns=max(i.end_ns for i in intervals),
        gates=sum_gates(i.gates for i in intervals),
        blind_ns=sum(i.blind_ns for i in intervals),
        marks=frozenset({Mark.COARSE}).union(*(i.marks for i in intervals)),
        clock=max((i.clock for i in intervals), key=_DOUBT.index),
    )


def join_spans(numbers: Iterable[int], spans: Iterable[tuple[int, int]] = ()) -> tuple[tuple[int, int], ...]:
    """The numbers and spans as the fewest spans [first, last], in order."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted([*((n, n) for n in numbers), *spans]):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)
