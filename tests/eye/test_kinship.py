# SPDX-License-Identifier: Apache-2.0
"""What kind of group somebody came in, by pairs and by ages at once."""

from itertools import pairwise
from math import comb, exp, prod

import numpy as np
import pytest

from nigiwai.door.traits import Company
from nigiwai.eye.companions import APART
from nigiwai.eye.kinship import JOINED, MOST, TOGETHER, Floats, frequency, kind_of, shares

SURE = 4.0


def pairs(n: int, groups: list[list[int]], said: float = SURE) -> Floats:
    """Log odds of n people: `said` within a group, APART between two."""
    odds = np.full((n, n), APART)
    for group in groups:
        odds[np.ix_(group, group)] = said
    return odds


@pytest.mark.parametrize(
    ("children", "kind"),
    [
        ([-8.0], Company.ALONE),
        ([8.0], Company.ALONE),
        ([-8.0, -8.0], Company.ADULTS),
        ([-8.0, 8.0], Company.FAMILY_1),
        ([-8.0, -8.0, 8.0, 8.0], Company.FAMILY_2),
        ([-8.0, 8.0, 8.0, 8.0], Company.FAMILY_3),
        ([-8.0, 8.0, 8.0, 8.0, 8.0], Company.FAMILY_3),
        ([8.0, 8.0, 8.0], Company.CHILDREN),
        ([-8.0, -2.0], Company.ADULTS),
        ([-8.0, 0.5, 0.5], Company.FAMILY_1),  # one or the other is a child
    ],
)
def test_the_kind_of_those_who_surely_walk_together(children: list[float], kind: Company) -> None:
    everybody = list(range(len(children)))
    assert kind_of(shares(pairs(len(children), [everybody]), children)) is kind


def test_where_no_kind_is_likely_enough_none_is_told() -> None:
    """Of a doubtful pair with a small second: adults 0.203, a family 0.123 / 2 x e^0.5, each alone 0.35 x (0.35 + 0.01
    x e^0.5): shares of 0.47, 0.23 and 0.30."""
    told = shares(pairs(2, [[0, 1]], JOINED), [-8.0, 0.5])
    assert (told.adults, told.families[0], told.alone) == pytest.approx((0.47, 0.23, 0.30), abs=0.01)
    assert kind_of(told) is Company.UNKNOWN


def test_a_child_draws_its_nearest_grown_up_towards_itself() -> None:
    """The same doubtful pair: a grown-up who walks near a child is its parent sooner than company of a grown-up."""
    doubtful = pairs(2, [[0, 1]], -1.5)
    assert shares(doubtful, [-8.0, -8.0]).adults == pytest.approx(0.5, abs=0.03)
    assert shares(doubtful, [-8.0, 8.0]).families[0] > 0.9


def test_one_doubtful_pair_does_not_join_two_families() -> None:
    odds = pairs(4, [[0, 1], [2, 3]])
    odds[0, 2] = odds[2, 0] = 0.8
    told = shares(odds, [-8.0, -8.0, -8.0, 8.0])
    assert told.adults > 0.9


def test_the_shares_of_three_people_by_hand() -> None:
    """Person 0 is alone, with 1, with 2 or with both; the others part as they like."""
    odds = np.array([[0.0, 1.0, -0.5], [1.0, 0.0, 0.3], [-0.5, 0.3, 0.0]])
    child = [-1.0, 0.4, 2.0]

    def weight(members: tuple[int, ...], children: tuple[int, ...]) -> float:
        n, k = len(members), len(children)
        joined = sum(odds[a, b] - JOINED for i, a in enumerate(members) for b in members[i + 1 :])
        fit = exp(TOGETHER * joined * (2 / n) ** 0.5) if n > 1 else 1.0
        return frequency(n - k, k) / comb(n, k) * prod(exp(child[i]) for i in children) * fit

    def whole(members: tuple[int, ...]) -> float:
        return sum(
            weight(members, tuple(m for i, m in enumerate(members) if bits >> i & 1))
            for bits in range(2 ** len(members))
        )

    partings = {
        "alone": whole((0,)) * (whole((1,)) * whole((2,)) + whole((1, 2))),
        "with 1": whole((0, 1)) * whole((2,)),
        "with 2": whole((0, 2)) * whole((1,)),
        "all": whole((0, 1, 2)),
    }
    adults = weight((0, 1), ()) * whole((2,)) + weight((0, 2), ()) * whole((1,)) + weight((0, 1, 2), ())
    told = shares(odds, child)
    assert told.alone == pytest.approx(partings["alone"] / sum(partings.values()))
    assert told.adults == pytest.approx(adults / sum(partings.values()))
    assert told.alone + told.adults + told.children + sum(told.families) == pytest.approx(1.0)


def test_the_nearer_somebody_walks_the_less_likely_one_came_alone() -> None:
    alone = [shares(pairs(2, [[0, 1]], said), [-3.0, -3.0]).alone for said in np.linspace(-4, 4, 9)]
    assert all(b < a for a, b in pairwise(alone))


def test_a_handful_of_sure_people_does_not_overflow() -> None:
    told = shares(pairs(MOST, [list(range(MOST))], 9.0), [8.0] * MOST)
    assert told.children == pytest.approx(1.0, abs=0.01)


def test_a_child_of_others_who_was_not_counted_is_left_to_them() -> None:
    """A lone child is rare among those who were counted; of another it is not known that they walk alone."""
    far = pairs(2, [[0, 1]], -2.7)
    assert shares(far, [-5.0, 8.0]).families[0] > 0.5
    assert shares(far, [-5.0, 8.0], [True, False]).families[0] < 0.2
