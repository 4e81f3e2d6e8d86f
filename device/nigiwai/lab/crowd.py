# SPDX-License-Identifier: Apache-2.0
"""Simulated people who walk through a door, and the exact truth about who passed it. Pure, repeatable from a seed.

A door `door_m` wide stands in a corridor at Y = 0; inside is Y > 0. People arrive at random at both ends, walk at their
own speeds, avoid each other (social forces, Helbing and Molnar 1995, Phys. Rev. E 51, 4282), keep to the left, and some
turn round at the door. Nothing here knows of pictures; simulate.py sees these people through a camera.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nigiwai.lab.matching import Event

Floats = NDArray[np.float64]

STEP_S = 1 / 30
GATE = "door"
CLEAR_M = 0.25
"""A passage is true once somebody was this far from the line on both sides: less is shifting from foot to foot."""

BODY_M = 0.45
"""Shoulder breadth of adults, 0.45 m: below this distance people press against each other."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many people, how they walk. `flow` is persons a second and metre of door, both directions together."""

    flow: float = 0.5
    door_m: float = 2.0
    inward: float = 0.6
    """Share of the arrivals that walk in; it swings to the opposite and back every `tide_s`."""
    tide_s: float = 40.0
    turn_back: float = 0.04
    """Share that turns round within half a metre of the line."""
    children: float = 0.15
    reach_m: float = 4.0
    """How far from the door people appear and disappear."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Everybody at one time: number, place X, Y in m, height in m. Arrays (N,), (N, 2), (N,)."""

    t: float
    number: NDArray[np.int64]
    xy: Floats
    height: Floats


class _Floor:
    """The people on the floor, in parallel arrays."""

    def __init__(self, crowd: Crowd, seed: int) -> None:
        self.crowd, self.rng = crowd, np.random.default_rng(seed)
        self.number = np.zeros(0, np.int64)
        # columns: X, Y, vX, vY, wished speed, heading (+1 in, -1 out), height, Y at which to turn round (nan: never)
        self.rows = np.zeros((0, 8))
        self.born = 0

    def step(self, t: float) -> None:
        """Moves everybody by STEP_S and lets people come and go."""
        self._arrive(t)
        rows = self.rows
        turning = (rows[:, 1] - rows[:, 7]) * rows[:, 5] > 0
        rows[turning, 5] *= -1
        rows[turning, 7] = np.nan
        rows[:, 2:4] += STEP_S * self._force()
        speed = np.hypot(rows[:, 2], rows[:, 3])
        rows[:, 2:4] *= np.minimum(1.0, 1.3 * rows[:, 4] / np.maximum(speed, 1e-6))[:, None]
        rows[:, :2] += STEP_S * rows[:, 2:4]
        half = self.crowd.door_m / 2 - 0.15
        rows[:, 0] = np.clip(rows[:, 0], -half, half)
        stay = rows[:, 1] * rows[:, 5] < self.crowd.reach_m
        self.rows, self.number = rows[stay], self.number[stay]

    def _arrive(self, t: float) -> None:
        crowd = self.crowd
        ebb = int(t // crowd.tide_s) % 2
        share = 1 - crowd.inward if ebb else crowd.inward
        for heading, part in ((1.0, share), (-1.0, 1 - share)):
            if self.rng.random() < crowd.flow * crowd.door_m * part * STEP_S:
                self._add(heading)

    def _add(self, heading: float) -> None:
        """One more person at the far end, if there is room; who finds none does not come."""
        rng, crowd = self.rng, self.crowd
        for _ in range(5):
            x = rng.uniform(-0.5, 0.5) * (crowd.door_m - 0.5)
            place = np.array([x, -heading * crowd.reach_m])
            if not len(self.rows) or np.hypot(*(self.rows[:, :2] - place).T).min() > 0.55:
                break
        else:
            return
        speed = float(np.clip(rng.normal(1.34, 0.26), 0.6, 2.2))
        height = rng.uniform(1.0, 1.45) if rng.random() < crowd.children else rng.normal(1.66, 0.08)
        turn = heading * rng.uniform(-0.6, 0.1) if rng.random() < crowd.turn_back else np.nan
        row = [x, -heading * crowd.reach_m, 0.0, heading * speed, speed, heading, height, turn]
        self.rows = np.vstack((self.rows, row))
        self.born += 1
        self.number = np.append(self.number, self.born)

    def _force(self) -> Floats:
        """Acceleration (N, 2) in m/s2: towards the wished velocity, away from people and walls, a bit to the left."""
        rows = self.rows
        wish = np.stack((-0.1 * rows[:, 5], rows[:, 5]), axis=1) * rows[:, 4:5]
        force = (wish - rows[:, 2:4]) / 0.5 + self.rng.normal(0, 0.6, (len(rows), 2))
        away = rows[:, None, :2] - rows[None, :, :2]
        distance = np.hypot(away[..., 0], away[..., 1]) + np.eye(len(rows)) * 9
        away = away / np.maximum(distance, 1e-6)[..., None]
        ahead = -(away[..., 1] * rows[:, None, 5])
        push = 3.0 * np.exp((BODY_M - distance) / 0.18) * (0.35 + 0.65 * (1 + ahead) / 2)
        # Who meets somebody head-on steps aside to the left, as people in Japan do.
        aside = np.stack((-rows[:, 5], np.zeros(len(rows))), axis=1)[:, None, :]
        meeting = (ahead > 0.8) & (rows[:, None, 5] != rows[None, :, 5]) & (distance < 1.5)
        force += (push[..., None] * (away + 0.6 * meeting[..., None] * aside)).sum(axis=1)
        half = self.crowd.door_m / 2
        force[:, 0] += 3.0 * (np.exp((-half - rows[:, 0] + 0.2) / 0.1) - np.exp((rows[:, 0] - half + 0.2) / 0.1))
        return force


def walk(crowd: Crowd, seconds: float, seed: int) -> Iterator[Moment]:
    """Everybody, every STEP_S. The first seconds are thin: people have yet to reach the door."""
    floor = _Floor(crowd, seed)
    for i in range(round(seconds / STEP_S)):
        floor.step(i * STEP_S)
        yield Moment(i * STEP_S, floor.number.copy(), floor.rows[:, :2].copy(), floor.rows[:, 6].copy())


class Referee:
    """Who truly passed the line Y = 0: fed every Moment, it keeps one row a person in view."""

    def __init__(self) -> None:
        self._people: dict[int, tuple[float, float, int, float]] = {}  # last t, last y, clear side, crossed at
        self.events: list[Event] = []

    def watch(self, moment: Moment) -> None:
        """Takes in one moment; complete passages are added to `events`."""
        people = {}
        for number, y in zip(moment.number.tolist(), moment.xy[:, 1].tolist(), strict=True):
            t0, y0, side, crossed = self._people.get(number, (moment.t, y, 0, moment.t))
            if (y0 < 0) != (y < 0):
                crossed = t0 + (moment.t - t0) * y0 / (y0 - y)
            clear = (y > CLEAR_M) - (y < -CLEAR_M)
            if clear and side and clear != side:
                self.events.append(Event(crossed, GATE, "in" if clear > 0 else "out"))
            people[number] = (moment.t, y, clear or side, crossed)
        self._people = people
