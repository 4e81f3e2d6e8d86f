# SPDX-License-Identifier: Apache-2.0
"""From tracks and crossings to persons for the tally: stature and looks to age band, ways to company.

Each passage waits SETTLE_S, so that those who walk with it have passed too and its stature has been seen from more
sides, and is then let go, in the order of the passages. What is not known by then is `unknown`.
"""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nigiwai.clock import BootNs
from nigiwai.door.traits import Company, Sex
from nigiwai.eye.companions import APART, KEEP_NS, Ways
from nigiwai.eye.ground import Ground
from nigiwai.eye.kinship import MOST, kind_of, shares
from nigiwai.eye.likeness import Fusion, Likeness, band_of, child_odds, likeness, sex_of
from nigiwai.eye.portraits import Impressions, Portraits
from nigiwai.eye.release import Person
from nigiwai.eye.sight import STEP_NS, Sight
from nigiwai.eye.stature import Looks, Stature, Statures, period
from nigiwai.eye.types import Crossing, Direction, Track

Floats = NDArray[np.float64]

SETTLE_S = 6.0
"""Long enough for a family of five in single file: 4 s; and short beside the quarter of an hour of a table."""

APART_S = 4.0
"""Whoever passes the gate this long after another does not count as in company with them."""

MOST_NEAR = 20
"""So many, the nearest in time, are compared with one another: the work must not grow with the crowd."""

LEAST_WAY = 5
"""Steps of a fifth of a second: who was seen for less than a second may have come with anybody."""

LEAST_ODDS = -2.0
"""Log odds of walking with anybody of a handful, below which somebody is not looked into."""


@dataclass(slots=True)
class Passer:
    """One passage that waits: by whom, where and when, and what is known by now."""

    number: int
    gate: str
    direction: Direction
    at: BootNs
    crossed: BootNs
    looks: Looks | None = None
    impressions: Impressions | None = None
    stature: Stature | None = None
    known: Likeness = Likeness(None)  # noqa: RUF009 - frozen
    company: Company = Company.UNKNOWN
    counted: bool = True
    measured: tuple[BootNs | None, int] | None = None
    """Up to which look at their height, and how many at themselves, they were measured."""


@dataclass(slots=True)
class Other:
    """Somebody followed who was not counted (yet): what is known of them, and when they were last seen."""

    seen_at: BootNs
    looks: Looks | None = None
    impressions: Impressions | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """One passage with its traits, as the tally takes it."""

    crossing: Crossing
    at: BootNs
    person: Person

    @property
    def direction(self) -> Direction:
        """Which way."""
        return self.crossing.direction


class Passers:
    """The passages that wait for their traits."""

    def __init__(
        self,
        ground: Ground,
        portraits: Portraits | None = None,
        fusion: Fusion = Fusion(),  # noqa: B008 - frozen
        told: Collection[str] = (),
    ) -> None:
        """portraits: looks at people; else stature alone speaks. told: `sex`, `teen`, `senior`, where switched on.

        From a view too steep for heights nobody is looked at either: the model has hardly seen people from there.
        """
        self._statures = Statures(ground)
        self._portraits = portraits if self._statures.usable else None
        self._fusion, self._told = fusion, frozenset(told)
        self.ways = Ways(ground)
        self._waiting: deque[Passer] = deque()
        self._lately: deque[Passer] = deque()
        self._others: dict[int, Other] = {}
        self._step = -1

    @property
    def waiting(self) -> tuple[Passer, ...]:
        """Those who were counted and not let go yet, oldest first."""
        return tuple(self._waiting)

    def uncounted(self, passer: Passer) -> list[Passer]:
        """Those near a passer who were not counted, as if they had passed with them: a child whose track broke off at
        the gate still makes a family of its parent.
        """
        counted = {p.number for p in (*self._lately, *self._waiting)}
        place = (passer.gate, passer.direction, passer.at, passer.crossed)
        return [
            Passer(number, *place, other.looks, other.impressions, counted=False)
            for number, other in self._others.items()
            if number not in counted and self.ways.near(passer.number, number)
        ][:MOST_NEAR]

    def update(
        self,
        tracks: Sequence[Track],
        crossings: Sequence[Crossing],
        numbers: Sequence[int],
        at: BootNs,
        image: NDArray[np.uint8] | None = None,
    ) -> list[Settled]:
        """Takes one frame's tracks, its crossings and by which tracks; returns the passages that are settled.

        image: the frame's picture, for looking at people; nothing of it is kept.
        """
        if at // STEP_NS != self._step:
            self._step = at // STEP_NS
            self._look(Sight.of(tracks, at), image)
        for crossing, number in zip(crossings, numbers, strict=True):
            self._waiting.append(self._passer(number, crossing, at))
        return self.settle(at)

    def _look(self, sight: Sight, image: NDArray[np.uint8] | None) -> None:
        """Takes what one moment shows of everybody, for those who were not counted too."""
        self._statures.update(sight)
        if self._portraits is not None and image is not None:
            self._portraits.update(image, sight)
        self.ways.update(sight)
        self._note(sight)
        for passer in (*self._waiting, *self._lately):
            self._learn(passer.number, passer)

    def _passer(self, number: int, crossing: Crossing, at: BootNs) -> Passer:
        """Somebody who was counted just now. A track that ended at the gate is followed by nobody any more: what was
        learnt of it was noted."""
        passer = Passer(number, crossing.gate, crossing.direction, at, crossing.at)
        self._learn(number, passer)
        if (noted := self._others.get(number)) is not None:
            passer.looks = passer.looks or noted.looks
            passer.impressions = passer.impressions or noted.impressions
        return passer

    def settle(self, now: BootNs, *, everybody: bool = False) -> list[Settled]:
        """The passages that have waited long enough by `now`, oldest first; `everybody` at the end of a run."""
        settled = []
        while self._waiting and (everybody or now - self._waiting[0].at >= SETTLE_S * 1e9):
            passer = self._waiting[0]
            passer.company = self._company(passer)
            self._waiting.popleft()
            self._lately.append(passer)
            person = Person(
                company=passer.company,
                sex=sex_of(passer.known) if "sex" in self._told else Sex.UNKNOWN,
                band=band_of(passer.known, self._told),
            )
            crossing = Crossing(passer.gate, passer.direction, passer.crossed)
            settled.append(Settled(crossing, passer.at, person))
        while self._lately and now - self._lately[0].at >= (SETTLE_S + APART_S) * 1e9:
            self._lately.popleft()
        return settled

    def _note(self, sight: Sight) -> None:
        self._others = {n: o for n, o in self._others.items() if sight.at - o.seen_at < KEEP_NS}
        for track in (one.track for one in sight.people):
            if track.seen and track.sure:
                other = self._others.setdefault(track.number, Other(sight.at))
                other.seen_at = sight.at
                self._learn(track.number, other)

    def _learn(self, number: int, one: Passer | Other) -> None:
        """What is measured of that track from now on, unless it is known already: tracks end before their passages."""
        one.looks = one.looks or self._statures.looks(number)
        if self._portraits is not None:
            one.impressions = one.impressions or self._portraits.of(number)

    def forget(self) -> None:
        """The tracks begin anew: nothing more will be learnt of those who wait."""
        self.ways.forget()

    def _company(self, passer: Passer) -> Company:
        """The kind of group that a passer came in, as far as that is known."""
        people, together = self._around(passer)
        for one in people:
            self._measure(one)
        if len(people) == 1 and not self._way_known(passer):
            return Company.UNKNOWN
        return kind_of(shares(together, [child_odds(p.known) for p in people], [p.counted for p in people]))

    def _around(self, passer: Passer) -> tuple[list[Passer], Floats]:
        """A passer and those who may have come with them, and the log odds (N, N) of each pair's walking together."""
        near = [p for p in (*self._lately, *self._waiting) if p is not passer and self._may_belong(passer, p)]
        near = sorted(near, key=lambda p: abs(p.at - passer.at))[:MOST_NEAR]
        everybody = [passer, *near, *self.uncounted(passer)]
        odds = np.full((len(everybody), len(everybody)), APART)
        chosen, left = [0], list(range(1, len(everybody)))
        while left and len(chosen) < MOST:
            newest = chosen[-1]
            for i in left:
                odds[newest, i] = odds[i, newest] = self._odds(everybody[newest], everybody[i])
            best = max(left, key=lambda i: odds[i, chosen].max())
            if odds[best, chosen].max() < LEAST_ODDS:
                break
            chosen.append(best)
            left.remove(best)
        return [everybody[i] for i in chosen], odds[np.ix_(chosen, chosen)]

    def _measure(self, passer: Passer) -> None:
        """Says what is known by now of the person who passed, and of no other whom the track showed as well."""
        seen_to = passer.looks.every.at[-1] if passer.looks else None
        news = seen_to, len(passer.impressions.at) if passer.impressions else 0
        if news == passer.measured:
            return
        passer.measured = news
        looks = passer.looks.best(passer.at) if passer.looks else None
        first, last = period(looks)
        passer.stature = self._statures.stature(looks)
        seen = None if passer.impressions is None else passer.impressions.between(first, last)
        passer.known = likeness(passer.stature, seen, self._fusion)

    def _may_belong(self, passer: Passer, other: Passer) -> bool:
        near = abs(other.at - passer.at) <= APART_S * 1e9
        return near and (other.gate, other.direction) == (passer.gate, passer.direction)

    def _odds(self, a: Passer, b: Passer) -> float:
        if a.number == b.number:
            return APART
        if not (a.counted and b.counted):
            return self.ways.beside(a.number, b.number)
        return self.ways.together(a.number, b.number, abs(a.at - b.at) / 1e9)

    def _way_known(self, passer: Passer) -> bool:
        """Whether enough was seen of them to say that they walked with nobody."""
        return len(self.ways.of(passer.number).steps) >= LEAST_WAY
