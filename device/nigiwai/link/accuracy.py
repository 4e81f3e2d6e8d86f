# SPDX-License-Identifier: Apache-2.0
"""How wrong the count is, from what staff tapped: the error with its 95 % interval, and the people inside.

The error of one direction is (counted - true) / true = f - m: f false counts and m missed passages per true passage.
Misses are a share of the people who passed, so their interval is Wilson's (1927); false counts come by themselves, so
theirs is the score interval of a Poisson rate. The two are combined as Newcombe (1998, "Interval estimation for the
difference between independent proportions", method 10) combines score intervals: each end takes the distance that its
own part may be off. Pure.

Staff err as well: a late tap is no error (eye matches within seconds), a double tap looks like a miss of the device,
a forgotten tap like a false count, and nobody can tell them apart. So the middle stays what was seen, and each end also
takes the distance that staff's own slips may have made: FORGOTTEN of the counts without a tap, DOUBLED of the taps
without a count. Where both agree there is nothing to take, so a careful check stays narrow.

How often it covers the truth (4,000 simulated checks each, seeds from 100,000 on, tests/link/test_accuracy.py):

    staff who forget 0 to 4 % and double 0 to 2 %, one tap in a hundred beyond the window    96.7 %  (without: 92.5 %)
    forget 1 %, double 1 %                                                                   98.3 %           (96.6 %)
    forget 3 %, double 1 %                                                                   93.8 %           (87.8 %)
    forget 1 %, double 3 %                                                                   93.5 %           (89.0 %)
    forget 5 %, double 1 %                                                                   82.0 %           (66.6 %)
"""

from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

Z = 1.959964
"""The 97.5 % point of the normal distribution: 95 % lie within."""

LEAST = 30
"""Fewer passages than this decide nothing (with 30 and no error at all the interval is still 11 % wide each side)."""

FORGOTTEN = 0.55
DOUBLED = 0.3
"""Shares of what has no partner that may be staff's own slips; see above. Larger ones would hold for careless staff and
make the interval of careful ones wider than its 95 %."""

ASIDE_PER_H = 1.0
"""People an hour who come or go past the gate: by a side door, over a barrier, in a pram. An assumption, not a
measurement: after nine hours it makes 6 people each way, and staff who count heads should set the number anew."""

STEPS = (25, 50, 100, 200, 400)


class Verdict(StrEnum):
    """What the check says about the limit."""

    PASS = "pass"  # noqa: S105 # a verdict
    FAIL = "fail"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was tapped, counted and matched in one direction, or in both."""

    taps: int
    counted: int
    matched: int

    @property
    def missed(self) -> int:
        """Tapped and not counted."""
        return self.taps - self.matched

    @property
    def false(self) -> int:
        """Counted and not tapped."""
        return self.counted - self.matched

    def __add__(self, other: "Seen") -> "Seen":
        return Seen(self.taps + other.taps, self.counted + other.counted, self.matched + other.matched)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with its 95 % interval; 0.02 is two percent too many."""

    low: float
    mid: float
    high: float


UNKNOWN = Estimate(-1.0, 0.0, 1.0)

ASSUMED = Estimate(-0.1, 0.0, 0.1)
"""Each direction's error before anybody has checked it at this entrance: an assumption, not a measurement. Vendors
certify counters from 90 % on (FootfallCam's accuracy statement), an open counter with an overhead camera reports
+-7 % over weeks (github.com/WatershedArts/Footfall/issues/40). Our own figures, 0.7 to 2.4 % over simulated passages
(docs/accuracy.md), say nothing about a real entrance."""


def error_of(seen: Seen) -> Estimate:
    """The error of the count; UNKNOWN without a tap."""
    n = seen.taps
    if n == 0:
        return UNKNOWN
    m, f = seen.missed / n, seen.false / n
    m_low, m_high = wilson(seen.missed, n)
    f_low, f_high = poisson(seen.false, n)
    below = sqrt((f - f_low) ** 2 + (m_high - m) ** 2 + (FORGOTTEN * f) ** 2)
    above = sqrt((f_high - f) ** 2 + (m - m_low) ** 2 + (DOUBLED * m) ** 2)
    return Estimate(max(-1.0, f - m - below), f - m, f - m + above)


def wilson(k: int, n: int) -> tuple[float, float]:
    """Wilson's score interval of a share k of n."""
    p, z2 = k / n, Z * Z
    centre, spread = p + z2 / (2 * n), Z * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    scale = 1 + z2 / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def poisson(k: int, n: int) -> tuple[float, float]:
    """The score interval of a rate: k events in n units."""
    z2 = Z * Z
    spread = Z * sqrt(k + z2 / 4)
    return max(0.0, (k + z2 / 2 - spread) / n), (k + z2 / 2 + spread) / n


def judge(error: Estimate, taps: int, limit: float) -> Verdict:
    """Pass where the whole interval lies within the limit, fail where none of it does, open between."""
    if error.low > limit or error.high < -limit:
        return Verdict.FAIL
    if taps >= LEAST and -limit <= error.low and error.high <= limit:
        return Verdict.PASS
    return Verdict.OPEN


def shrinking(seen: Seen) -> list[tuple[int, float]]:
    """Passages and the half width that the interval would have with so many, were the errors as frequent as now."""
    shares = (seen.matched / seen.taps, seen.false / seen.taps) if seen.taps else (0.97, 0.01)
    found = []
    for n in STEPS:
        matched = round(n * shares[0])
        error = error_of(Seen(n, matched + round(n * shares[1]), matched))
        found.append((n, (error.high - error.low) / 2))
    return found


def needed(seen: Seen, limit: float) -> int | None:
    """About how many passages decide the check, were the errors as frequent as now; None if 2,000 would not."""
    hit, extra = (seen.matched / seen.taps, seen.false / seen.taps) if seen.taps else (1.0, 0.0)
    for n in range(LEAST, 2_001, 10):
        matched = round(n * hit)
        if judge(error_of(Seen(n, matched + round(n * extra), matched)), n, limit) is not Verdict.OPEN:
            return n
    return None


@dataclass(frozen=True, slots=True)
class Watched:
    """How long ago the number of people inside was last known to be right, and for how much of that nobody watched."""

    hours: float
    blind_hours: float


def inside_bounds(
    inside: int,
    entered: int,
    left: int,
    error_in: Estimate,
    error_out: Estimate,
    watched: Watched = Watched(0.0, 0.0),
) -> tuple[int, int]:
    """People inside at least and at most, given what was counted since the number was last known to be right.

    A count c with the error e means c / (1 + e) people. The two directions err on their own. With time comes what no
    count of a gate can know, ASIDE_PER_H; and while nobody watched as many may have passed as in other hours.
    """
    low_in, mid_in, high_in = _people(entered, error_in)
    low_out, mid_out, high_out = _people(left, error_out)
    mid = inside + (mid_in - entered) - (mid_out - left)
    aside = Z * Z * ASIDE_PER_H * watched.hours
    below = sqrt((mid_in - low_in) ** 2 + (high_out - mid_out) ** 2 + aside) + _unseen(left, watched)
    above = sqrt((high_in - mid_in) ** 2 + (mid_out - low_out) ** 2 + aside) + _unseen(entered, watched)
    return max(0, int(mid - below)), max(0, int(mid + above + 0.999))


def _unseen(passed: int, watched: Watched) -> float:
    """How many may have passed one way while nobody watched: at the upper end of the rate of the other hours."""
    seen_hours = watched.hours - watched.blind_hours
    if watched.blind_hours <= 0 or seen_hours <= 0:
        return 0.0
    return poisson(passed, 1)[1] * watched.blind_hours / seen_hours


def _people(counted: int, error: Estimate) -> tuple[float, float, float]:
    return tuple(counted / max(0.2, 1 + e) for e in (error.high, error.mid, error.low))  # type: ignore[return-value]
