# SPDX-License-Identifier: Apache-2.0
"""Totals corrected for the classifier's errors: by hand, and over a thousand simulated days."""

import numpy as np
import pytest

from nigiwai.door.traits import FAMILY, Band, Company, mask_of
from nigiwai.eye.release import Person
from nigiwai.eye.tally import Rule, Tally
from nigiwai.eye.types import Direction
from nigiwai.lab.visitors import KINDS
from nigiwai.link.correction import Confusion, Rate, Share, corrected
from tests.system.machine import needs_proof

GOOD = Confusion(Rate(0.9, 400), Rate(0.05, 400))


@pytest.mark.parametrize(
    ("said", "people", "share"),
    [
        (475, 1000, 0.5),  # 0.5 x 0.9 + 0.5 x 0.05 = 0.475
        (50, 1000, 0.0),  # what errors alone say
        (900, 1000, 1.0),
        (0, 1000, 0.0),  # fewer than errors alone: none, not less than none
        (1000, 1000, 1.0),
    ],
)
def test_the_share_by_hand(said: int, people: int, share: float) -> None:
    found = corrected(said, people, GOOD)
    assert found is not None
    assert found.middle == pytest.approx(share)
    assert 0.0 <= found.low <= found.middle <= found.high <= 1.0


def test_the_interval_by_hand() -> None:
    """p = 0.5, N = 1000, m = 400: spreads 361 x 41 / 402^2 = 0.0916 and 21 x 381 / 402^2 = 0.0495; variance
    (0.07055 / 1000 + (0.0229 + 0.0124) / 400) / 0.85^2 = 2.198e-4; 1.96 standard deviations 0.02906."""
    found = corrected(475, 1000, GOOD)
    assert found == Share(pytest.approx(0.4709, abs=2e-4), pytest.approx(0.5), pytest.approx(0.5291, abs=2e-4))


def test_nobody_or_a_classifier_that_says_nothing_gives_no_figure() -> None:
    assert corrected(0, 0, GOOD) is None
    assert corrected(5, 10, Confusion(Rate(0.5, 100), Rate(0.4, 100))) is None
    with pytest.raises(ValueError, match="said of 11 of 10"):
        corrected(11, 10, GOOD)


GROUPS = 600
DAY_MS = 8 * 3_600_000
AUDIT = 250
HIT, FALSE = 0.9, 0.04
MEASURED = 0.847, 0.121
"""A whole group is said to be a family with these chances: errors that its members share. The second pair is that of
simulated visitors who are looked at (`python -m nigiwai.lab.company --confusion`)."""

Errors = tuple[float, float]
SIZES = np.array([a + c for _, a, c in KINDS])
IS_FAMILY = np.array([a > 0 and c > 0 for _, a, c in KINDS])
CHANCES = np.array([share for share, _, _ in KINDS]) / sum(share for share, _, _ in KINDS)
SAID = Person(company=Company.FAMILY_1, band=Band.ADULT)
NOT_SAID = Person(company=Company.ALONE, band=Band.ADULT)


def draw(groups: int, rng: np.random.Generator, errors: Errors) -> tuple[np.ndarray, ...]:  # type: ignore[type-arg]
    """Sizes of the groups, which are families, and of which it is said."""
    kinds = rng.choice(len(KINDS), groups, p=CHANCES)
    family = IS_FAMILY[kinds]
    return SIZES[kinds], family, rng.random(groups) < np.where(family, *errors)


def audited(rng: np.random.Generator, errors: Errors) -> Confusion:
    """What an audit of some groups measures of the classifier."""
    size, family, said = draw(2 * AUDIT, rng, errors)
    rates = []
    for which in (family, ~family):
        people = int(size[which].sum())
        together = float((size[which] ** 2).sum() / people)
        rates.append(Rate(float(size[which & said].sum()) / people, people, together))
    return Confusion(*rates)


def a_day(rng: np.random.Generator, errors: Errors) -> tuple[float, int, int]:
    """600 groups through the real tally: the true share of families' people, and said and people over all tables."""
    size, family, said = draw(GROUPS, rng, errors)
    times = np.sort(rng.integers(0, DAY_MS, GROUPS))
    tally, told = Tally(Rule(), 0), []
    for at, n, is_said in zip(times.tolist(), size.tolist(), said.tolist(), strict=True):
        for _ in range(n):
            told += tally.add(Direction.IN, SAID if is_said else NOT_SAID, at)
    told += tally.end(DAY_MS)
    blocks = [b for t in told if len(t.blocks) > 1 for b in t.blocks]
    families = sum(b.people for b in blocks if not b.companies & ~mask_of(FAMILY))
    return float(size[family].sum() / size.sum()), families, sum(b.people for b in blocks)


@pytest.mark.parametrize(("errors", "widest"), [(MEASURED, 0.17), pytest.param((HIT, FALSE), 0.09, marks=needs_proof)])
def test_the_interval_covers_the_truth_on_a_thousand_simulated_days(errors: Errors, widest: float) -> None:
    """The goal: within 3 points, and between 93 and 97.5 % of the intervals hold the true share of the day."""
    covered, off, widths = [], [], []
    for seed in range(1_000):
        rng = np.random.default_rng(seed)
        confusion = audited(rng, errors)
        truth, said, people = a_day(rng, errors)
        found = corrected(said, people, confusion)
        assert found is not None
        covered.append(found.low <= truth <= found.high)
        off.append(abs(found.middle - truth))
        widths.append(found.high - found.low)
    within = np.mean(np.array(off) <= 0.03)
    print(np.mean(covered), np.median(off), within, np.median(widths))  # noqa: T201 - a measurement
    assert 0.93 <= np.mean(covered) <= 0.975
    assert np.median(off) <= 0.03
    assert np.median(widths) <= widest


def test_an_audit_that_may_only_be_told_in_tens_still_covers_the_truth() -> None:
    """Of 120 children and 200 others it is told how many whole tens were said to be children (eye/audit.py)."""
    covered, widths = [], []
    for seed in range(1_000):
        rng = np.random.default_rng(seed)
        rates = []
        for people, chance in ((120, HIT), (200, FALSE)):
            low = rng.binomial(people, chance) // 10 * 10
            high = min(people, low + 9)
            rates.append(Rate((low + high) / 2 / people, people, rounded=(high - low) / 2 / people))
        truth = rng.random(1_000) < 0.3
        said = int((rng.random(1_000) < np.where(truth, HIT, FALSE)).sum())
        found = corrected(said, 1_000, Confusion(*rates))
        assert found is not None
        covered.append(found.low <= truth.mean() <= found.high)
        widths.append(found.high - found.low)
    assert 0.93 <= np.mean(covered) <= 0.995
    assert np.mean(widths) < 0.15


def test_without_correction_the_same_days_are_covered_far_less() -> None:
    """The interval around the raw share, as one would draw it without a thought for the classifier's errors."""
    covered = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        truth, said, people = a_day(rng, (HIT, FALSE))
        raw = said / people
        covered.append(abs(raw - truth) <= 1.96 * np.sqrt(raw * (1 - raw) / people))
    assert np.mean(covered) < 0.6
