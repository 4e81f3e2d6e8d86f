# SPDX-License-Identifier: Apache-2.0
"""Counted passages against true ones, one to one. Pure.

A counted passage matches a true one of the same gate and direction within a tolerance in time. Events on one line of
time are matched in order: that finds as many pairs as any other way, and no pairing of the same events is nearer.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

TOLERANCE_S = 1.0
"""Truth marked by eye is good to about 0.3 s; a detector's foot point adds another few tenths."""


class Event(NamedTuple):
    """One passage: seconds since the recording began, the gate's name, "in" or "out"."""

    t: float
    gate: str
    direction: str


@dataclass(frozen=True, slots=True)
class Matches:
    """Pairs (counted, true), what was counted without truth, and what was missed."""

    pairs: tuple[tuple[Event, Event], ...]
    extra: tuple[Event, ...]
    missed: tuple[Event, ...]


class Share(NamedTuple):
    """A share with its 95 % Wilson interval; all None where there was nothing to share."""

    value: float | None
    low: float | None
    high: float | None


def match(counted: Iterable[Event], true: Iterable[Event], tolerance_s: float = TOLERANCE_S) -> Matches:
    """The one-to-one matching with the most pairs, each within `tolerance_s`, gate and direction equal."""
    by_kind: dict[tuple[str, str], tuple[list[Event], list[Event]]] = defaultdict(lambda: ([], []))
    for event in sorted(counted):
        by_kind[event.gate, event.direction][0].append(event)
    for event in sorted(true):
        by_kind[event.gate, event.direction][1].append(event)
    parts = [_match_in_order(c, t, tolerance_s) for c, t in by_kind.values()]
    return Matches(
        tuple(sorted(p for m in parts for p in m.pairs)),
        tuple(sorted(e for m in parts for e in m.extra)),
        tuple(sorted(e for m in parts for e in m.missed)),
    )


def _match_in_order(counted: Sequence[Event], true: Sequence[Event], tolerance_s: float) -> Matches:
    """One kind of event, both sides in order of time."""
    pairs, extra, missed = [], [], []
    i = j = 0
    while i < len(counted) and j < len(true):
        lag = counted[i].t - true[j].t
        if abs(lag) <= tolerance_s:
            pairs.append((counted[i], true[j]))
            i, j = i + 1, j + 1
        elif lag < 0:
            extra.append(counted[i])
            i += 1
        else:
            missed.append(true[j])
            j += 1
    return Matches(tuple(pairs), (*extra, *counted[i:]), (*missed, *true[j:]))


def wilson(hits: int, of: int, z: float = 1.96) -> Share:
    """hits / of with its interval (Wilson 1927); honest for few events and near 0 or 1, unlike the normal one."""
    if of == 0:
        return Share(None, None, None)
    p, z2 = hits / of, z * z
    middle = (p + z2 / (2 * of)) / (1 + z2 / of)
    half = z / (1 + z2 / of) * sqrt(p * (1 - p) / of + z2 / (4 * of * of))
    return Share(p, max(0.0, middle - half), min(1.0, middle + half))


def f1(matches: Matches) -> Share:
    """F1 with an interval.

    F1 = 2 tp / (2 tp + fp + fn) is J-monotone: with J = tp / (tp + fp + fn), a plain share of all events there are,
    F1 = 2 J / (1 + J). So the Wilson interval of J carries over.
    """
    hits = len(matches.pairs)
    share = wilson(hits, hits + len(matches.extra) + len(matches.missed))
    return Share(*(None if j is None else 2 * j / (1 + j) for j in share))
