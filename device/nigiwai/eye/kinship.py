# SPDX-License-Identifier: Apache-2.0
"""What kind of group somebody came in, by how people walk and by how old they look at once. Pure.

Neither says it alone: two who walk one behind the other may be strangers, and a small grown-up looks like a child. So
every way to part a handful of people into groups is weighed,

    weight of a group = how frequent groups of so many grown-ups and children are
                        x how well its members' ages fit that x how well each pair of them walks together
    weight of a parting = the product over its groups

and what is told of a person is the share of the weight in which the group around them is of that kind. A child who
walks alone is rare, so it draws its nearest grown-up towards itself; of three who walk together it can be clear that
there is a child among them where it is not clear which. With sets as bit masks and each set of people left over
reckoned once, seven people take 3^6 steps and not the 877 partings one by one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import comb, exp

import numpy as np
from numpy.typing import NDArray

from nigiwai.door.traits import Company

Floats = NDArray[np.float64]

MOST = 7
"""People who are weighed together."""

KINDS: dict[tuple[int, int], float] = {
    (1, 0): 0.34, (2, 0): 0.20, (3, 0): 0.05, (1, 1): 0.12, (2, 1): 0.11,
    (1, 2): 0.06, (2, 2): 0.07, (2, 3): 0.02, (0, 2): 0.03,
}  # fmt: skip
"""How frequent groups of so many grown-ups and children are; an assumption of a family exhibition, by which the
lab's visitors come as well."""

FAMILIES = (Company.FAMILY_1, Company.FAMILY_2, Company.FAMILY_3)
"""By 1, 2, 3 and more children."""

RARE, RARER = 0.01, 0.3
"""Every other group is as frequent as RARE, and by RARER less for each further member."""

JOINED = -1.0
TOGETHER = 1.0
"""What is taken off the log odds of each pair of a group, and how much these count; chosen on simulated visitors."""

LIKELY = 0.4
LIKELIEST = 0.5
"""A family is told from the first share on, chosen for the best F1 of simulated visitors; others from the second."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How likely somebody came alone, among grown-ups, among children, in a family of 1, 2 or 3 and more children."""

    alone: float
    adults: float
    children: float
    families: tuple[float, float, float]


def frequency(adults: int, children: int) -> float:
    """How frequent such a group is."""
    return KINDS.get((adults, children), 0.0) + RARE * RARER ** (adults + children - 1)


def shares(together: Floats, child: Sequence[float], counted: Sequence[bool] | None = None) -> Shares:
    """How likely the first of N people (at most MOST) came in a group of each kind.

    together: log odds (N, N) of each pair's walking together; child: log odds of everybody's being a child, where
    children and others are alike frequent. counted: who passed with them, if not everybody did; of the others nobody
    knows with whom else they came, so that a child among these is none that walks alone.
    """
    groups = _groups(together, child)
    for i in (i for i, passed in enumerate(counted or ()) if not passed):
        groups[1 << i, 1] *= frequency(1, 0) / frequency(0, 1)
    weights = groups.sum(axis=1)
    everybody = len(weights) - 1
    rest = _partings(weights, everybody ^ 1)
    numbers = np.zeros((len(child) + 1, len(child) + 1))  # by members and by children among them
    for others in _subsets(everybody ^ 1):
        mine = others | 1
        numbers[mine.bit_count()] += groups[mine] * rest[everybody ^ mine]
    numbers /= numbers.sum()
    mixed = np.tril(numbers, -1)
    return Shares(
        alone=float(numbers[1].sum()),
        adults=float(numbers[2:, 0].sum()),
        children=float(numbers.diagonal()[2:].sum()),
        families=(float(mixed[:, 1].sum()), float(mixed[:, 2:3].sum()), float(mixed[:, 3:].sum())),
    )


def kind_of(told: Shares) -> Company:
    """The likeliest kind; unknown where none is likely enough."""
    if sum(told.families) > LIKELY:
        return FAMILIES[int(np.argmax(told.families))]
    kinds = {Company.ALONE: told.alone, Company.ADULTS: told.adults, Company.CHILDREN: told.children}
    best = max(kinds, key=lambda kind: kinds[kind])
    return best if kinds[best] > LIKELIEST else Company.UNKNOWN


def _groups(together: Floats, child: Sequence[float]) -> Floats:
    """(2^N, N + 1) the weight of each set of people as a group, by how many of them are children."""
    n = len(child)
    odds, walked = np.exp(child).tolist(), (together - JOINED).tolist()
    ages, pairs = [np.ones(1)], [0.0]
    weights = np.zeros((1 << n, n + 1))
    for mask in range(1, 1 << n):
        newest = mask.bit_length() - 1
        before = mask ^ (1 << newest)
        ages.append(np.zeros(len(ages[before]) + 1))
        ages[mask][:-1] = ages[before]
        ages[mask][1:] += ages[before] * odds[newest]
        pairs.append(pairs[before] + sum(walked[newest][i] for i in range(newest) if before >> i & 1))
        size = mask.bit_count()
        fit = exp(TOGETHER * pairs[mask] * (2 / size) ** 0.5) if size > 1 else 1.0
        weights[mask, : size + 1] = _usual(size) * ages[mask] * fit
    return weights


@cache
def _usual(size: int) -> Floats:
    """(size + 1,) how frequent it is that certain so many of a group are children."""
    return np.array([frequency(size - k, k) / comb(size, k) for k in range(size + 1)])


def _partings(weights: Floats, everybody: int) -> list[float]:
    """The weight of all ways to part each set of `everybody` into groups."""
    total, weight = [1.0] + [0.0] * everybody, weights.tolist()
    for mask in sorted(_subsets(everybody)):
        if mask:
            first = mask & -mask
            total[mask] = sum(weight[first | sub] * total[mask ^ first ^ sub] for sub in _subsets(mask ^ first))
    return total


def _subsets(mask: int) -> Iterator[int]:
    """Every subset of a set, the empty one last."""
    sub = mask
    while sub:
        yield sub
        sub = (sub - 1) & mask
    yield 0
