# SPDX-License-Identifier: Apache-2.0
"""The accuracy check: taps matched inside eye, the interval that comes of them, and the people inside."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from nigiwai.clock import BootNs
from nigiwai.door.field import CheckOn, Matched, Tap
from nigiwai.eye.check import Check
from nigiwai.eye.types import Crossing, Direction
from nigiwai.link.accuracy import (
    Estimate,
    Seen,
    Verdict,
    error_of,
    inside_bounds,
    judge,
    needed,
    poisson,
    shrinking,
    wilson,
)
from tests.conftest import PROOF

S = 1_000_000_000


def check_of(crossings: list[float], taps: list[float], minutes: int = 10) -> Matched:
    """Entries only; both in seconds after the start."""
    check = Check(CheckOn(check=1, gate="door", minutes=minutes), BootNs(100 * S))
    for number, at in enumerate(taps, 1):
        check.tap(Tap(check=1, tap=number, direction="in", at_ms=round((100 + at) * 1_000), child=False))
    check.cross([Crossing("door", Direction.IN, BootNs(round((100 + at) * S))) for at in crossings])
    return check.result(BootNs((100 + 60 * minutes + 3) * S)).entered


@pytest.mark.parametrize(
    ("crossings", "taps", "expected"),
    [
        ([], [], (0, 0, 0)),
        ([5], [6], (1, 1, 1)),
        ([5], [8.9], (1, 1, 1)),  # a late tap
        ([5], [9.1], (1, 1, 0)),  # too late to be the same
        ([5], [3.1], (1, 1, 1)),  # pressed before the foot was over the line
        ([5], [5.5, 5.8], (2, 1, 1)),  # a double tap looks like a miss
        ([5, 5.2], [6], (1, 2, 1)),  # a forgotten one like a false count
        ([5, 7, 9], [8.5, 8.8, 12], (3, 3, 3)),  # the largest number of pairs, not the nearest ones
        ([-0.3], [0.7], (1, 1, 1)),  # crossed just before the first moment
        ([-0.3], [], (0, 0, 0)),  # and nobody tapped: not held against the device
        ([601], [], (0, 0, 0)),  # after the last moment
    ],
)
def test_taps_and_crossings_are_paired(
    crossings: list[float], taps: list[float], expected: tuple[int, int, int]
) -> None:
    found = check_of(crossings, taps)
    assert (found.taps, found.counted, found.matched) == expected


def test_a_tap_taken_back_or_sent_twice_counts_once() -> None:
    check = Check(CheckOn(check=1, gate="door", minutes=10), BootNs(0))
    tap = Tap(check=1, tap=1, direction="in", at_ms=1_000, child=True)
    check.tap(tap)
    check.tap(tap)
    check.tap(tap.model_copy(update={"tap": 2}))
    check.take_back(2)
    found = check.result(BootNs(10 * S))
    assert found.entered == Matched(taps=1, counted=0, matched=0)


def test_the_intervals_are_the_published_ones() -> None:
    """Wilson for 5 of 100: 0.0215 to 0.1118 (Newcombe 1998); the Poisson score interval for 4: 1.56 to 10.29."""
    assert wilson(5, 100) == pytest.approx((0.0215, 0.1118), abs=1e-4)
    low, high = poisson(4, 1)
    assert (low, high) == pytest.approx((1.556, 10.286), abs=2e-3)


def test_the_interval_shrinks_and_says_how_many_are_needed() -> None:
    widths = [width for _, width in shrinking(Seen(50, 49, 48))]
    assert widths == sorted(widths, reverse=True)
    assert needed(Seen(0, 0, 0), 0.05) is not None
    fewer, more = needed(Seen(50, 50, 50), 0.10), needed(Seen(50, 50, 50), 0.05)
    assert fewer is not None
    assert more is not None
    assert fewer < more


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (Seen(200, 200, 199), Verdict.PASS),
        (Seen(200, 160, 160), Verdict.FAIL),
        (Seen(20, 20, 20), Verdict.OPEN),  # too few
        (Seen(100, 96, 95), Verdict.OPEN),
        (Seen(0, 0, 0), Verdict.OPEN),
    ],
)
def test_the_verdict_needs_the_whole_interval(seen: Seen, verdict: Verdict) -> None:
    assert judge(error_of(seen), seen.taps, 0.05) is verdict


def test_people_inside_are_known_less_well_the_more_have_passed() -> None:
    error = Estimate(-0.03, 0.0, 0.03)
    few, many = inside_bounds(20, 30, 10, error, error), inside_bounds(20, 1_030, 1_010, error, error)
    assert few[0] <= 20 <= few[1]
    assert many[1] - many[0] > few[1] - few[0]
    assert inside_bounds(5, 0, 0, error, error) == (5, 5), "just set by hand"


@dataclass(frozen=True)
class Staff:
    """Who taps: between which shares of passages they forget and of taps they double; each person has their own."""

    forgets: tuple[float, float]
    doubles: tuple[float, float]
    very_late: float = 0.0


ALL_SORTS = Staff((0.0, 0.04), (0.0, 0.02), very_late=0.01)
CARELESS = Staff((0.03, 0.03), (0.01, 0.01))
NERVOUS = Staff((0.01, 0.01), (0.03, 0.03))


def simulated(seed: int, staff: Staff) -> bool:
    """Whether the interval of one check by one person covers the device's true long-run error.

    The device: 1 to 6 % missed, 0.3 to 3 % false, four to twenty people a minute. The person: reacts after 0.3 s and
    more, is late by up to 3 s, sometimes by more than the window, forgets some passages and taps some twice.
    """
    r = random.Random(seed)  # noqa: S311 # every run the same
    missed, false = r.uniform(0.01, 0.06), r.uniform(0.003, 0.03)
    forgotten, doubled = r.uniform(*staff.forgets), r.uniform(*staff.doubles)
    minutes = r.choice((10, 15))
    rate = r.uniform(4, 20) / 60
    people = list(_arrivals(r, rate, 60 * minutes))
    crossings = [p + r.gauss(0, 0.15) for p in people if r.random() > missed]
    crossings += _arrivals(r, rate * false, 60 * minutes)
    taps = []
    for p in people:
        if r.random() > forgotten:
            late = r.uniform(4, 9) if r.random() < staff.very_late else 0.3 + min(2.7, r.lognormvariate(-0.7, 0.6))
            taps.append(p + late)
            if r.random() < doubled:
                taps.append(taps[-1] + r.uniform(0.12, 0.4))
    found = check_of(crossings, taps, minutes)
    error = error_of(Seen(found.taps, found.counted, found.matched))
    return error.low <= false - missed <= error.high


def _arrivals(r: random.Random, rate: float, until: float) -> Iterator[float]:
    at = 0.0
    while (at := at + r.expovariate(rate)) < until:
        yield at


def covered(staff: Staff) -> float:
    """The share of 1,000 checks whose interval covers the truth."""
    checks = 10_000 if PROOF else 1_000
    return sum(simulated(seed, staff) for seed in range(checks)) / checks


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """93 to 97.5 % of 1,000 checks by staff of all sorts: late taps, double taps and forgotten ones."""
    assert 0.93 <= covered(ALL_SORTS) <= 0.975


@pytest.mark.parametrize("staff", [CARELESS, NERVOUS], ids=["careless", "nervous"])
def test_it_is_honest_where_everybody_forgets_or_doubles_three_in_a_hundred(staff: Staff) -> None:
    assert covered(staff) >= 0.92


def test_where_both_agree_staffs_slips_make_nothing_wider() -> None:
    (m_low, m_high), (f_low, f_high) = wilson(0, 100), poisson(0, 100)
    error = error_of(Seen(100, 100, 100))
    assert (error.low, error.high) == (-m_high, f_high)
    assert (m_low, f_low) == (0.0, 0.0)
