# SPDX-License-Identifier: Apache-2.0
"""Simulated visitors who come alone, as couples and as families, on top of crowd.py. Pure, repeatable from a seed.

Members of a group arrive side by side, take the pace of the slowest and keep together (group cohesion of Moussaid et
al. 2010, PLoS ONE 5, e10047: they accelerate towards the group's centre beyond a comfortable distance, and repel each
other less than strangers do). Children stray from their parents' side. Statures are drawn from growth.py's tables.

The shares of the kinds of group are our assumption of a family exhibition, not a measurement.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from nigiwai.eye import kinship
from nigiwai.eye.growth import AGES, MEAN_CM, SD_CM, SHOES_CM
from nigiwai.lab.crowd import STEP_S, Crowd, Floats, Moment, _Floor

KINDS = tuple((share, adults, children) for (adults, children), share in kinship.KINDS.items())
"""Share of the groups, adults (13 and over), children (to 12): as many families come as eye assumes."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """The truth about one simulated person: age, height with shoes, and which group of how many adults and children."""

    age: int
    metres: float
    group: int
    adults: int
    children: int


def draw_metres(age: int, sex: str, rng: np.random.Generator) -> float:
    """A height with shoes, in metres."""
    mean, sd = np.interp(age, AGES, MEAN_CM[sex]), np.interp(age, AGES, SD_CM[sex])
    return float(mean + sd * np.clip(rng.normal(), -2.5, 2.5) + SHOES_CM) / 100


@dataclass
class Party(_Floor):
    """Visitors on the floor; `known` holds everybody's truth."""

    crowd: Crowd
    seed: int
    adults_only: float = 0.0
    known: dict[int, Visitor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.crowd, self.seed)
        self.group = np.zeros(0, np.int64)
        self._groups = 0
        self._shares = np.array([share for share, _, _ in KINDS])
        self._size = float(sum(share * (a + c) for share, a, c in KINDS))

    def step(self, t: float) -> None:
        """Moves everybody by STEP_S and lets groups come and go."""
        super().step(t)
        self.group = np.array([self.known[n].group for n in self.number.tolist()], np.int64)

    def _arrive(self, t: float) -> None:
        crowd = self.crowd
        share = 1 - crowd.inward if int(t // crowd.tide_s) % 2 else crowd.inward
        for heading, part in ((1.0, share), (-1.0, 1 - share)):
            if self.rng.random() < crowd.flow * crowd.door_m * part * STEP_S / self._size:
                self._add(heading)

    def _add(self, heading: float) -> None:
        """One more group at the far end, side by side in rows of up to three, if there is room."""
        rng, crowd = self.rng, self.crowd
        _, adults, children = KINDS[int(rng.choice(len(KINDS), p=self._shares / self._shares.sum()))]
        people = adults + children
        places = _places(people, rng, crowd.door_m)
        places[:, 1] = -heading * (crowd.reach_m + places[:, 1])
        if len(self.rows) and _nearest(places, self.rows[:, :2]) < 0.55:
            return
        self._groups += 1
        speed = float(np.clip(rng.normal(1.34 if not children else 1.1, 0.2), 0.6, 2.0)) - 0.04 * people
        turn = heading * rng.uniform(-0.6, 0.1) if rng.random() < crowd.turn_back else np.nan
        for i, place in enumerate(rng.permutation(places)):
            age = int(rng.integers(20 if adults + children > 1 else 13, 81) if i < adults else rng.integers(2, 13))
            metres = draw_metres(age, str(rng.choice(["f", "m"])), rng)
            row = [*place, 0.0, heading * speed, speed, heading, metres, turn]
            self.rows = np.vstack((self.rows, row))
            self.born += 1
            self.number = np.append(self.number, self.born)
            self.group = np.append(self.group, self._groups)
            self.known[self.born] = Visitor(age, metres, self._groups, adults, children)

    def _force(self) -> Floats:
        """As in the crowd; besides, towards the group's centre beyond 0.4 m of it, and less apart from its members."""
        force = super()._force()
        together = (self.group[:, None] == self.group[None, :]) & ~np.eye(len(self.rows), dtype=np.bool_)
        size = together.sum(axis=1)
        weight = together / np.maximum(size, 1)[:, None]
        centre = weight @ self.rows[:, :2]
        off = np.where(size[:, None] > 0, centre - self.rows[:, :2], 0.0)
        far = np.hypot(off[:, 0], off[:, 1])[:, None]
        wander = self.rng.normal(0, 1.2, (len(self.rows), 2)) * (self.rows[:, 6:7] < 1.4)
        pull: Floats = force + 2.0 * off * np.clip(1 - 0.6 / np.maximum(far, 1e-6), 0, 1) + wander
        return pull


def _places(people: int, rng: np.random.Generator, door_m: float) -> Floats:
    """Places X, depth (N, 2) of a group's members: rows of up to three abreast, as the door allows."""
    abreast = max(1, min(3, int((door_m - 0.3) / 0.6)))
    rows, columns = np.divmod(np.arange(people), abreast)
    in_row = np.minimum(abreast, people - rows * abreast)
    x = (columns - (in_row - 1) / 2) * 0.6 + rng.normal(0, 0.05, people)
    room = max(0.0, door_m / 2 - 0.25 - float(np.abs(x).max()))
    return np.stack((x + rng.uniform(-room, room), rows * 0.7 + rng.uniform(0, 0.2, people)), axis=1)


def _nearest(a: Floats, b: Floats) -> float:
    return float(np.hypot(*(a[:, None] - b[None]).transpose(2, 0, 1)).min())


def walk_in_groups(party: Party, seconds: float) -> Iterator[Moment]:
    """Everybody, every STEP_S; the truth about them stands in `party.known`."""
    for i in range(round(seconds / STEP_S)):
        party.step(i * STEP_S)
        yield Moment(i * STEP_S, party.number.copy(), party.rows[:, :2].copy(), party.rows[:, 6].copy())
