# SPDX-License-Identifier: Apache-2.0
"""The bundled clip: forty seconds at a hall's entrance, directed so that every case a counter must know occurs once.

Its seed and bodies are used nowhere else. Writes the film, the crossings, the people per frame and the gate.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.synthetic import props
from models.synthetic.actors import Actor, Item, make_actor
from models.synthetic.bodies import Body
from models.synthetic.camera import Camera
from models.synthetic.film import Cast, Film, write_film
from models.synthetic.gait import comfortable_mps
from models.synthetic.outfit import SHORT_HAIR
from models.synthetic.paths import Leg, Route, trajectory
from models.synthetic.rooms import Place, Static, build_place, still_figure

SEED = 40_040
FPS, SECONDS = 15, 40
SIZE = (640, 360)
DOOR_HALF_M = 1.5
WAIT_M = 0.28  # the body over its heels; the toes, which a box ends at, are then on the line
LEFT, RIGHT = -4.6, 4.6  # beside the door outside, hidden by the wall
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Part:
    """One person of the script: age band, sex, when and where, what is carried."""

    ages: tuple[int, int]
    sex: str
    route: tuple[Leg, ...]
    start_s: float
    pace: float = 1.0
    carries: str = ""
    group: int = 0
    hand: int = 0  # +1: holds the next person's hand with its left; -1: the one before with its right


def shifted(points: Points, by: float) -> tuple[Leg, ...]:
    """One leg through the points, all moved sideways and a little on, so that companions keep their distance."""
    return (Leg(tuple((x + by, y + 0.2 * by) for x, y in points)),)


def enter(x: float, side: float, end: float, beside: float = 0.0) -> tuple[Leg, ...]:
    """From the street at one side, through the door at x, on into the hall; `beside`: metres to the right of that."""
    way = ((side, 3.4), (x + (side - x) * 0.25, 2.3), (x, 1.0), (x, 0.0), (x + (end - x) * 0.15, -1.4), (end, -5.8))
    return shifted(way, beside)


def leave(x: float, side: float, begin: float, beside: float = 0.0) -> tuple[Leg, ...]:
    """From the hall through the door at x into the street; `beside`: metres to the right of that."""
    way = ((begin, -5.8), (x + (begin - x) * 0.15, -1.6), (x, 0.0), (x, 1.0), (x + (side - x) * 0.25, 2.3), (side, 3.4))
    return shifted(way, beside)


def script() -> list[Part]:
    """Who does what when."""
    back = (
        Leg(((-1.7, -5.8), (-1.05, -2.0), (-0.85, -0.3), (-0.85, 0.05)), 0.8, -np.pi / 2),
        Leg(((-0.85, 0.05), (-0.95, -1.0), (-1.7, -5.8))),
    )
    waits = (
        Leg(((LEFT, 3.2), (-1.6, 2.0), (-1.0, 1.0), (-1.0, WAIT_M)), 6.0, -1.2),
        Leg(((-1.0, WAIT_M), (-0.9, -1.2), (-1.6, -5.8))),
    )
    return [
        Part((28, 45), "m", enter(-0.35, RIGHT, -0.8), -2.6, carries="back"),
        Part((20, 40), "f", leave(0.6, RIGHT, 0.9), -0.5, carries="tote"),
        Part((30, 44), "m", enter(-0.3, LEFT, 0.9), 2.0, 0.85, group=2, hand=1),
        Part((4, 7), "f", enter(-0.3, LEFT, 0.9, 0.52), 2.0, 0.85, group=2, hand=-1),
        Part((27, 42), "f", enter(0.2, LEFT, 1.1), 3.9, 0.85, "hip", group=2, hand=1),
        Part((7, 11), "m", enter(0.2, LEFT, 1.1, 0.55), 3.9, 0.85, group=2, hand=-1),
        Part((35, 60), "f", back, 7.2, 1.0, "hip"),
        Part((18, 30), "f", leave(0.35, RIGHT, -0.3), 13.2, 0.95, "tote", group=3),
        Part((18, 30), "m", leave(0.35, RIGHT, -0.3, 0.62), 13.2, 0.95, group=3),
        Part((40, 62), "m", waits, 13.4),
        Part((68, 90), "f", enter(0.75, LEFT, 1.6), 15.2, 1.0, "cane"),
        Part((25, 40), "f", enter(-0.2, RIGHT, -0.6), 23.7, 0.9, "pram"),
        Part((18, 60), "m", enter(-0.7, LEFT, -1.3), 27.6, 1.0, "back"),
        Part((30, 64), "m", leave(0.75, LEFT, 1.0), 27.3),
        Part((9, 13), "f", enter(0.0, RIGHT, 0.6), 31.0, 1.0, "school"),
    ]


def clip_camera() -> Camera:
    """2.8 m up inside the hall, 30 degrees down, the door line in the middle of the picture."""
    return Camera(*SIZE, (0.15, -4.7, 2.8), 30.0, -1.5, 0.4, 84.0, 0.10)


def pick_body(bodies: list[Body], part: Part, used: set[str]) -> Body:
    """A body of the right age and sex that no one else in the clip has."""
    fresh = [b for b in bodies if b.key not in used]
    fits = [b for b in fresh if part.ages[0] <= b.human.age <= part.ages[1] and b.human.sex == part.sex]
    middle = sum(part.ages) / 2
    fits.sort(key=lambda b: (b.outfit["hat"] != "none", b.human.sex == "f" and b.outfit["hair"] in SHORT_HAIR))
    chosen = fits or sorted(fresh, key=lambda b: abs(b.human.age - middle) + (4 if b.human.sex != part.sex else 0))
    used.add(chosen[0].key)
    return chosen[0]


def carried(part: Part, scale: float, rng: np.random.Generator) -> list[Item]:
    """What a part carries."""
    makers = {
        "back": lambda: Item("back", props.backpack(scale, rng, school=False)),
        "school": lambda: Item("back", props.backpack(0.85, rng, school=True)),
        "tote": lambda: Item("hand", props.tote(scale, rng), "R"),
        "hip": lambda: Item("hip", props.shoulder_bag(scale, rng), "R"),
        "cane": lambda: Item("hand", props.cane(), "R"),
        "pram": lambda: Item("push", props.pram(rng)),
    }
    return [makers[part.carries]()] if part.carries else []


def clip_cast(bodies: list[Body], rng: np.random.Generator) -> list[Cast]:
    """The script with bodies, colours and trajectories."""
    used: set[str] = set()
    out: list[Cast] = []
    pace_of: dict[int, float] = {}
    for number, part in enumerate(script(), 1):
        body = pick_body(bodies, part, used)
        actor: Actor = make_actor(number, body, part.group or 100 + number, rng)
        actor.items = carried(part, body.human.stature_m / 1.7, rng)
        pace = comfortable_mps(body.leg_m, body.human.age) * part.pace
        if part.group:
            pace = pace_of.setdefault(part.group, min(pace, 1.15))
        if part.hand:
            actor.holds["L" if part.hand > 0 else "R"] = number + part.hand
        way = trajectory(Route(part.start_s, pace, part.route), body.leg_m, float(rng.uniform(0, 6.28)))
        out.append(Cast(actor, way))
    return out


def clip_place(bodies: list[Body], camera: Camera) -> Place:
    """The lobby with its shop-window figure beside the door."""
    rng = np.random.default_rng([SEED, 102])
    place = build_place("lobby", camera, [], rng, door_half=DOOR_HALF_M, crowded=0.5, backlight=0.3)
    figure = next(b for b in reversed(bodies) if b.human.age >= 20)
    mesh = still_figure(figure, np.random.default_rng([SEED, 2]))
    place.statics = [Static("mannequin", mesh.moved((-2.7, -1.5, 0), 0.6))]
    return place


def make_clip(bodies: list[Body], folder: Path, every: int = 1) -> Film:
    """Write entrance.mp4 and its truth into a folder; `every` above 1 draws only every n-th frame (for a look)."""
    camera = clip_camera()
    place = clip_place(bodies, camera)
    cast = clip_cast(bodies, np.random.default_rng([SEED, 3]))
    film = Film("entrance", camera, place, cast, FPS, SECONDS, SEED)
    write_film(film, folder, every=every, crf=21)
    return film
