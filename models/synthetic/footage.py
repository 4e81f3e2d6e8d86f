# SPDX-License-Identifier: Apache-2.0
"""Longer recordings for counting tests: flows of people through a door, planned so that nobody walks through anybody.

People keep left by habit (as on most Japanese stairs and passages), come alone or in company, and the flow goes up to
1.8 people per metre of door and second, about where a crowd in a doorway begins to stall.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from models.synthetic.actors import Actor, give_things, make_actor
from models.synthetic.bodies import Body
from models.synthetic.camera import Camera
from models.synthetic.film import Cast, Film, write_film
from models.synthetic.gait import comfortable_mps
from models.synthetic.paths import Leg, Route, Trajectory, clear_of_things, least_gap, trajectory
from models.synthetic.rooms import Place, build_place
from models.synthetic.scene import draw_group, join_hands

View = Literal["oblique", "slanted", "tilted", "steep"]
VIEWS = get_args(View)
FROM_ABOVE_DEG: dict[View, float] = {"slanted": 45.0, "tilted": 60.0}
MAX_RATE = 1.8  # people per metre and second
FAR_OUT_M, FAR_IN_M = 5.0, -5.5
LANES = 8  # lanes tried for a company
CROWD_MPS = 1.05  # pace in a dense crowd, below the comfortable one


def footage_camera(view: View, rng: np.random.Generator, width: int, height: int) -> Camera:
    """A camera that looks at the door from 30, 45 or 60 degrees above, or straight down half a metre inside it."""
    if view == "steep":
        return Camera(
            width, height, (float(rng.normal(0, 0.15)), -0.55, float(rng.uniform(3.0, 3.6))), 90.0, 0.0, 0.0, 95.0, 0.15
        )
    if tilt := FROM_ABOVE_DEG.get(view):
        up = float(rng.uniform(3.0, 3.6))
        eye = float(rng.normal(0, 0.2)), -up / np.tan(np.radians(tilt)), up
        return Camera(width, height, eye, tilt, float(rng.normal(0, 3)), 0.0, 85.0, 0.1)
    up = float(rng.uniform(2.5, 3.2))
    return Camera(
        width,
        height,
        (float(rng.normal(0, 0.3)), -up / np.tan(np.radians(30)), up),
        30.0,
        float(rng.normal(0, 3)),
        0.0,
        float(rng.uniform(74, 92)),
        0.08,
    )


def counting_line(view: View, camera: Camera) -> float:
    """y of the line where people are counted: where the picture's middle is, as the installation guide asks.

    From straight above that is under the camera, inside the door, and people are in view on both of its sides.
    """
    return camera.eye[1] if view == "steep" else 0.0


def lane(way_in: bool, half: float, spread: float, rng: np.random.Generator) -> float:
    """Where in the door the middle of a company crosses; seen from inside, people coming in keep to the right side."""
    room = max(half - 0.3 - spread, 0.05)
    if rng.random() < 0.85:
        return float(rng.uniform(0.05, room) if way_in else rng.uniform(-room, -0.05))
    return float(rng.uniform(-room, room))


def company_ways(
    members: list[Actor], way_in: bool, start_s: float, half: float, dense: float, rng: np.random.Generator
) -> list[Trajectory]:
    """Side-by-side trajectories of a company (two abreast, the others behind).

    With `dense` near 1 people walk straight and at one pace, as crowds in a passage do; near 0 each as they like.
    """
    gap = 0.52
    abreast = min(len(members), 2)
    x = lane(way_in, half, gap * (abreast - 1) / 2, rng)
    bend = x + float(rng.uniform(-1.0, 1.0)) * (1 - dense)
    deep = FAR_IN_M - float(rng.uniform(0, 0.6))
    points = ((bend, FAR_OUT_M), (x, 1.6), (x, 0.0), (x, -1.6), (x + float(rng.uniform(-0.8, 0.8)) * (1 - dense), deep))
    if not way_in:
        points = points[::-1]
    pace = min(comfortable_mps(m.body.leg_m, m.body.human.age) * m.manner.pace for m in members)
    pace = pace * (1 - dense) + CROWD_MPS * dense
    out = []
    for number, member in enumerate(members):
        aside = (number % abreast - (abreast - 1) / 2) * gap
        behind = (number // abreast) * 0.85 / pace + float(rng.uniform(0, 0.12))
        legs = (Leg(tuple((px + aside, py) for px, py in points)),)
        out.append(trajectory(Route(start_s + behind, pace, legs), member.body.leg_m, float(rng.uniform(0, 6.28))))
    return out


def fits(ways: list[Trajectory], members: list[Actor], cast: list[Cast], place: Place) -> bool:
    """True when the company keeps clear of everybody else and of things."""
    for way, member in zip(ways, members, strict=True):
        if not clear_of_things(way, place.blocked, 0.05):
            return False
        for other in cast:
            if least_gap(way, other.way) < member.radius_m + other.actor.radius_m:
                return False
    return True


def find_room(
    members: list[Actor],
    way_in: bool,
    clock: float,
    cast: list[Cast],
    place: Place,
    dense: float,
    rng: np.random.Generator,
) -> list[Trajectory]:
    """Trajectories that fit among the cast, setting out at `clock` or up to two seconds later; empty when none do."""
    active = [c for c in cast if c.way.end_s > clock]
    for _ in range(LANES):
        ways = company_ways(members, way_in, clock, place.door_half_m, dense, rng)
        for delay in np.arange(0.0, 2.0, 0.1):
            later = [replace(w, start_s=w.start_s + float(delay)) for w in ways]
            if fits(later, members, active, place):
                return later
    return []


def plan_flow(
    bodies: list[Body],
    place: Place,
    rate: float,
    seconds: float,
    share_in: float,
    rng: np.random.Generator,
    oldest_child: int = 11,
) -> list[Cast]:
    """A cast whose flow comes close to `rate` people per metre and second.

    A company that fits nowhere within its lanes stays away, so very dense two-way flows end a little below the rate.
    Raises ValueError for a rate outside 0..MAX_RATE.
    """
    if not 0 < rate <= MAX_RATE:
        raise ValueError(f"rate: {rate!r}, more than 0 and at most {MAX_RATE} people per metre and second")
    cast: list[Cast] = []
    expected = rate * 2 * place.door_half_m
    lead = FAR_OUT_M / 1.2
    clock, number, group = -lead, 1, 1
    while clock < seconds:
        kind, chosen = draw_group(bodies, rng, oldest_child)
        members = [make_actor(number + k, body, group, rng) for k, body in enumerate(chosen[:4])]
        if kind == "family":
            join_hands(members, [(0.52 * k, 0.0) for k in range(len(members))], rng)
        for member in members:
            give_things(member, rng, outdoor=False)
            member.items = [i for i in member.items if i.kind in ("back", "hip") or i.side not in member.holds]
        way_in = bool(rng.random() < share_in)
        ways = find_room(members, way_in, clock, cast, place, rate / MAX_RATE, rng)
        if ways:
            cast += [Cast(m, w) for m, w in zip(members, ways, strict=True)]
            number, group = number + len(members), group + 1
        clock += float(rng.exponential(len(members) / expected))
    return cast


def make_footage(
    name: str,
    bodies: list[Body],
    folder: Path,
    seed: int,
    view: View = "oblique",
    rate: float = 0.4,
    seconds: float = 60.0,
    fps: int = 15,
    size: tuple[int, int] = (640, 360),
    share_in: float = 0.6,
    draw: bool = True,
    oldest_child: int = 11,
    line_m: float | None = None,
    told: bool = False,
) -> Film:
    """Plan a recording and write it; without `draw` nothing is written and only the plan comes back.

    line_m: y of the line where people are counted; None for the one that suits the view. told: the settings beside it
    say how the camera hangs.
    """
    rng = np.random.default_rng([2028, seed])
    camera = footage_camera(view, rng, *size)
    half = float(rng.uniform(0.9, 1.5))
    kind = str(rng.choice(["hall", "lobby", "arcade", "gym"]))
    place = build_place(kind, camera, bodies, rng, door_half=half, crowded=0.4)
    place.blocked = [b for b in place.blocked if abs(b[0]) > half]
    cast = plan_flow(bodies, place, rate, seconds, share_in, rng, oldest_child)
    line_m = counting_line(view, camera) if line_m is None else line_m
    film = Film(name, camera, place, cast, fps, seconds, seed, line_m)
    if draw:
        write_film(film, folder, mot=True, told=told)
    return film
