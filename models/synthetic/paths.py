# SPDX-License-Identifier: Apache-2.0
"""Ways through the door: routes with waits, trajectories in time, planning without collisions, crossings of the line.

A crossing needs the ground point to come from more than CLEAR_M on one side of y = 0 to more than CLEAR_M on the other,
between the door posts; its time is that of the last passage over y = 0, interpolated between trajectory samples.

    y > 0  outside      in:  + to -
    y = 0  ===========  the door line
    y < 0  inside       out: - to +
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.synthetic.actors import State
from models.synthetic.gait import stride_m

F64 = NDArray[np.float64]
DT = 1 / 60
CLEAR_M = 0.4
TURN_RATE = 2.6  # radians a second
ACCELERATION = 1.6  # m/s2


@dataclass(frozen=True)
class Leg:
    """Walk through these points (metres); then wait for `wait_s`, facing `face` radians if given."""

    points: tuple[tuple[float, float], ...]
    wait_s: float = 0.0
    face: float | None = None


@dataclass(frozen=True)
class Route:
    """When somebody sets out (seconds), how fast (m/s), and the legs of the way."""

    start_s: float
    speed_mps: float
    legs: tuple[Leg, ...]


@dataclass(frozen=True)
class Crossing:
    """One passage over the line: seconds, person, "in" or "out"."""

    t: float
    number: int
    direction: Literal["in", "out"]


@dataclass(frozen=True)
class Trajectory:
    """Ground point, heading, speed and gait phase every DT seconds from start_s on."""

    start_s: float
    xy: F64
    heading: F64
    speed: F64
    phase: F64

    @property
    def end_s(self) -> float:
        """When the person leaves the scene."""
        return self.start_s + (len(self.xy) - 1) * DT

    def present(self, t: float) -> bool:
        """True while the person is in the scene."""
        return self.start_s <= t <= self.end_s

    def state(self, t: float) -> State:
        """Where and how the person is at t seconds, interpolated; held at the ends."""
        at = float(np.clip((t - self.start_s) / DT, 0, len(self.xy) - 1))
        low = min(int(at), max(len(self.xy) - 2, 0))
        high, part = min(low + 1, len(self.xy) - 1), at - low
        x, y = self.xy[low] * (1 - part) + self.xy[high] * part
        blend = [float(a[low] * (1 - part) + a[high] * part) for a in (self.heading, self.speed, self.phase)]
        return State((float(x), float(y)), blend[0], blend[1], blend[2])


def smooth(points: Sequence[tuple[float, float]], step_m: float = 0.02) -> F64:
    """A Catmull-Rom curve through the points, resampled every step_m metres."""
    p = np.array([points[0], *points, points[-1]], float)
    s = np.linspace(0, 1, 40, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False):
        pieces.append(0.5 * (2 * b + (c - a) * s + (2 * a - 5 * b + 4 * c - d) * s**2 + (3 * b - a - 3 * c + d) * s**3))
    curve = np.concatenate([*pieces, p[-1:]])
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    even = np.arange(0, way[-1], step_m)
    return np.stack([np.interp(even, way, curve[:, k]) for k in (0, 1)], 1)


def angle_between(a: float, b: float) -> float:
    """Signed difference b - a, within -pi..pi."""
    return float((b - a + np.pi) % (2 * np.pi) - np.pi)


class Walker:
    """Steps one person along a route; collects the trajectory."""

    def __init__(self, route: Route, leg_m: float, phase: float) -> None:
        self.route, self.leg_m = route, leg_m
        self.speed, self.phase = 0.0, phase
        first = smooth(route.legs[0].points)
        self.at = first[0]
        self.heading = float(np.arctan2(*(first[min(10, len(first) - 1)] - first[0])[::-1]))
        self.rows: list[tuple[float, float, float, float, float]] = []

    def record(self) -> None:
        """Keep the present state."""
        self.rows.append((float(self.at[0]), float(self.at[1]), self.heading, self.speed, self.phase))

    def turn(self, aim: float) -> float:
        """Turn towards a heading as fast as allowed; return what is left."""
        left = angle_between(self.heading, aim)
        self.heading += float(np.clip(left * 6 * DT, -TURN_RATE * DT, TURN_RATE * DT))
        return left

    def walk(self, points: Sequence[tuple[float, float]], stop: bool) -> None:
        """Follow the points; come to rest at the end if `stop`."""
        curve = smooth(points)
        length, gone = (len(curve) - 1) * 0.02, 0.0
        while gone < length - 1e-6:
            ahead = curve[min(int(gone / 0.02) + 8, len(curve) - 1)] - curve[min(int(gone / 0.02), len(curve) - 2)]
            left = self.turn(float(np.arctan2(ahead[1], ahead[0])))
            goal = self.route.speed_mps * float(np.clip(1.25 - abs(left), 0.0, 1.0))
            if stop:
                goal = min(goal, max(float(np.sqrt(2 * ACCELERATION * 0.6 * (length - gone))), 0.08))
            self.speed += float(np.clip(goal - self.speed, -2 * ACCELERATION * DT, ACCELERATION * DT))
            step = min(self.speed * DT, length - gone)
            gone += step
            self.phase += 2 * np.pi * step / stride_m(self.leg_m, max(self.speed, 0.2))
            place = gone / 0.02
            low = min(int(place), len(curve) - 2)
            self.at = curve[low] + (curve[low + 1] - curve[low]) * (place - low)
            self.record()

    def wait(self, seconds: float, face: float | None) -> None:
        """Stand still, turning to a heading if one is given."""
        for _ in range(round(seconds / DT)):
            self.speed = max(0.0, self.speed - 3 * ACCELERATION * DT)
            if face is not None:
                self.turn(face)
            self.record()

    def run(self) -> Trajectory:
        """The whole trajectory."""
        self.speed = self.route.speed_mps
        self.record()
        for number, leg in enumerate(self.route.legs):
            last = number == len(self.route.legs) - 1
            self.walk(leg.points, stop=leg.wait_s > 0 or not last)
            if leg.wait_s > 0:
                self.wait(leg.wait_s, leg.face)
        rows = np.array(self.rows)
        return Trajectory(self.route.start_s, rows[:, :2], rows[:, 2], rows[:, 3], rows[:, 4])


def trajectory(route: Route, leg_m: float, phase: float = 0.0) -> Trajectory:
    """The trajectory of a person with this leg length on a route."""
    return Walker(route, leg_m, phase).run()


def find_crossings(number: int, way: Trajectory, door_half_m: float, line_m: float = 0.0) -> list[Crossing]:
    """All crossings of the line y = `line_m` by one trajectory, in time order."""
    x, y = way.xy[:, 0], way.xy[:, 1] - line_m
    out: list[Crossing] = []
    side, last_zero = 0.0, 0.0
    valid = False
    for row in range(len(y)):
        if row and (y[row - 1] > 0) != (y[row] > 0):
            part = y[row - 1] / (y[row - 1] - y[row])
            last_zero = way.start_s + (row - 1 + part) * DT
            valid = abs(x[row]) <= door_half_m
        if abs(y[row]) > CLEAR_M:
            here = float(np.sign(y[row]))
            if side and here != side and valid:
                out.append(Crossing(round(last_zero, 4), number, "in" if here < 0 else "out"))
            side = here
    return out


def least_gap(a: Trajectory, b: Trajectory, step_s: float = 0.1) -> float:
    """The least distance in metres between two people while both are there; infinite if they never are."""
    low, high = max(a.start_s, b.start_s), min(a.end_s, b.end_s)
    count, every = int((high - low) / DT), max(round(step_s / DT), 1)
    if count < 1:
        return float("inf")
    row_a, row_b = (round((low - w.start_s) / DT) for w in (a, b))
    gap = a.xy[row_a : row_a + count : every] - b.xy[row_b : row_b + count : every]
    return float(np.sqrt((gap**2).sum(1).min()))


def clear_of_things(way: Trajectory, blocked: Sequence[tuple[float, float, float]], radius_m: float) -> bool:
    """True when a trajectory keeps its radius from all blocked discs (x, y, r)."""
    points = way.xy[::6]
    return all(bool((np.hypot(points[:, 0] - x, points[:, 1] - y) > r + radius_m).all()) for x, y, r in blocked)
