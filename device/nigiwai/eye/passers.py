# SPDX-License-Identifier: Apache-2.0
"""From tracks and crossings to persons for the tally: stature to age band, ways to company. Pure.

Each passage waits SETTLE_S, so that those who walk with it have passed too and its stature has been seen from more
sides, and is then let go, in the order of the passages. What is not known by then is `unknown`.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nigiwai.clock import BootNs
from nigiwai.door.traits import Band, Company
from nigiwai.eye.companions import Ways, grouped
from nigiwai.eye.ground import Ground
from nigiwai.eye.growth import child_probability
from nigiwai.eye.release import Person
from nigiwai.eye.stature import Stature, Statures
from nigiwai.eye.types import Crossing, Direction, Track

SETTLE_S = 6.0
"""Long enough for a family of five in single file: 4 s; and short beside the quarter of an hour of a table."""

APART_S = 4.0
"""Whoever passes the gate this long after another does not count as in company with them."""

MOST_NEAR = 20
"""So many, the nearest in time, are compared with one another: the work must not grow with the crowd."""

LEAST_WAY = 5
"""Steps of a fifth of a second: who was seen for less than a second may have come with anybody."""

CHILDREN = 0.33
"""The share of children among visitors of a family exhibition, for guessing a group's kind; an assumption."""

LIKELY = 0.55
"""The probability from which a kind of group is told."""

SURE = 0.7
"""The probability from which somebody is called a child, or no child; between, the age is unknown."""


@dataclass(slots=True)
class Passer:
    """One passage that waits: by whom, where and when, and what is known by now."""

    number: int
    gate: str
    direction: Direction
    at: BootNs
    stature: Stature | None = None
    company: Company | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """One passage with its traits, as the tally takes it."""

    direction: Direction
    at: BootNs
    person: Person


def child_chance(stature: Stature | None) -> float:
    """How likely somebody in a group is a child, where CHILDREN of all are."""
    even = 0.5 if stature is None else child_probability(stature.metres, stature.error_m)
    return even * CHILDREN / (even * CHILDREN + (1 - even) * (1 - CHILDREN))


def band_of(stature: Stature | None) -> Band:
    """Child, adult (here: from 13), or unknown where the stature does not say."""
    if stature is None:
        return Band.UNKNOWN
    chance = child_probability(stature.metres, stature.error_m)
    if 1 - SURE < chance < SURE:
        return Band.UNKNOWN
    return Band.CHILD if chance >= SURE else Band.ADULT


def company_of(children: Sequence[float]) -> Company:
    """What kind of group people are who are children with these probabilities; unknown where none is likely enough.

    Nobody need be certain: that one of three is a child may be clear where it is not which.
    """
    if len(children) == 1:
        return Company.ALONE
    numbers = np.array([1.0])  # how likely 0, 1, 2... of them are children
    for chance in children:
        numbers = np.convolve(numbers, [1 - chance, chance])
    mixed = numbers[1:-1]
    if mixed.sum() >= LIKELY:
        shares = [mixed[0], mixed[1:2].sum(), mixed[2:].sum()]
        return (Company.FAMILY_1, Company.FAMILY_2, Company.FAMILY_3)[int(np.argmax(shares))]
    if max(numbers[0], numbers[-1]) < LIKELY:
        return Company.UNKNOWN
    return Company.ADULTS if numbers[0] >= LIKELY else Company.CHILDREN


class Passers:
    """The passages that wait for their traits."""

    def __init__(self, ground: Ground) -> None:
        self._statures = Statures(ground)
        self.ways = Ways(ground)
        self._waiting: deque[Passer] = deque()
        self._lately: deque[Passer] = deque()

    @property
    def waiting(self) -> tuple[Passer, ...]:
        """Those who were counted and not let go yet, oldest first."""
        return tuple(self._waiting)

    def update(
        self, tracks: Sequence[Track], crossings: Sequence[Crossing], numbers: Sequence[int], at: BootNs
    ) -> list[Settled]:
        """Takes one frame's tracks, its crossings and by which tracks; returns the passages that are settled."""
        self._statures.update(tracks, at)
        self.ways.update(tracks, at)
        for crossing, number in zip(crossings, numbers, strict=True):
            self._waiting.append(Passer(number, crossing.gate, crossing.direction, at))
        for passer in (*self._waiting, *self._lately):
            passer.stature = self._statures.stature(passer.number) or passer.stature
        return self.settle(at)

    def settle(self, now: BootNs, *, everybody: bool = False) -> list[Settled]:
        """The passages that have waited long enough by `now`, oldest first; `everybody` at the end of a run."""
        settled = []
        while self._waiting and (everybody or now - self._waiting[0].at >= SETTLE_S * 1e9):
            passer = self._waiting[0]
            if passer.company is None:
                self._find_company(passer)
            self._waiting.popleft()
            self._lately.append(passer)
            person = Person(company=passer.company or Company.UNKNOWN, band=band_of(passer.stature))
            settled.append(Settled(passer.direction, passer.at, person))
        while self._lately and now - self._lately[0].at >= (SETTLE_S + APART_S) * 1e9:
            self._lately.popleft()
        return settled

    def forget(self) -> None:
        """The tracks begin anew: nothing more will be learnt of those who wait."""
        self.ways.forget()

    def _find_company(self, passer: Passer) -> None:
        """Finds the passer's group and decides its kind for all of its members, so that they agree."""
        near = [p for p in (*self._lately, *self._waiting) if self._may_belong(passer, p)]
        near = sorted(near, key=lambda p: (p is not passer, abs(p.at - passer.at)))[:MOST_NEAR]
        pairs = np.array([[self._pair(a, b) for b in near] for a in near])
        mine = next(g for g in grouped(pairs) if near.index(passer) in g)
        members = [near[i] for i in mine]
        known = len(members) > 1 or self._ways_known(passer)
        kind = company_of([child_chance(p.stature) for p in members]) if known else Company.UNKNOWN
        for member in members:
            member.company = member.company or kind

    def _may_belong(self, passer: Passer, other: Passer) -> bool:
        near = abs(other.at - passer.at) <= APART_S * 1e9
        return near and (other.gate, other.direction) == (passer.gate, passer.direction)

    def _pair(self, a: Passer, b: Passer) -> float:
        apart_s = abs(a.at - b.at) / 1e9
        return 0.0 if a.number == b.number else self.ways.together(a.number, b.number, apart_s)

    def _ways_known(self, passer: Passer) -> bool:
        """Whether enough was seen of them to say that they walked with nobody."""
        return len(self.ways.of(passer.number).steps) >= LEAST_WAY
