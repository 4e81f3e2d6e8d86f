# SPDX-License-Identifier: Apache-2.0
"""A random entrance scene: camera, place, and people in groups, each with a straight way to go for a second or two."""

from dataclasses import dataclass, replace

import numpy as np

from models.synthetic import props
from models.synthetic.actors import Actor, Item, State, give_things, make_actor
from models.synthetic.bodies import Body
from models.synthetic.camera import Camera
from models.synthetic.gait import comfortable_mps, stride_m
from models.synthetic.rooms import KIND_SHARES, KINDS, Place, build_place

Rng = np.random.Generator
STEEP_SHARE = 0.28
LEAST_STEEP_DEG = 58.0
MOST_AGES_DEG = 66.0
FAR_M = 13.0


Years = tuple[int, int]
Ages = tuple[tuple[Years, ...], tuple[Years, ...]]
"""First and last years of age of children, and of others; each span as frequent, and each year within it."""


@dataclass(frozen=True)
class Mix:
    """How often scenes hold what a detector may take for people. Shares 0..1."""

    empty: float = 0.10  # scenes without people
    pram_family: float = 0.35  # families that push a pram
    pram_other: float = 0.02  # other companies with an adult that do
    suitcase: float = 0.0  # adults who pull a trolley case instead of what they carry
    steep: float = STEEP_SHARE  # scenes seen from steeply above or straight down
    decoys: bool = False  # parked prams and cases, sign stands, coat stands, posters and mannequins all about
    throng: bool = False  # eight companies or more, as far as there is room for them
    ages: Ages | None = None  # as many children as others, of these ages, before cameras from which ages are told


EVERYDAY = Mix()
DECOYS = Mix(empty=0.25, pram_family=0.75, pram_other=0.4, suitcase=0.35, decoys=True)
STEEP = Mix(steep=0.85)
THRONG = replace(STEEP, empty=0.0, throng=True)
EMPTY = Mix(empty=1.0)
AGES = Mix(empty=0.0, pram_family=0.0, pram_other=0.0, ages=(((1, 12),), ((13, 80),)))
ALIKE = replace(AGES, ages=(((9, 12),), ((13, 16), (62, 86))))  # those as tall as some of the others, and these


@dataclass(frozen=True)
class Walk:
    """A straight way: start, heading in radians, speed m/s (0: stands), phase at the start."""

    xy: tuple[float, float]
    heading: float
    speed_mps: float
    phase: float

    def state(self, t: float, leg_m: float) -> State:
        """Where and how the person is at t seconds."""
        way = self.speed_mps * t
        x, y = self.xy[0] + np.cos(self.heading) * way, self.xy[1] + np.sin(self.heading) * way
        turn = 2 * np.pi * way / max(stride_m(leg_m, self.speed_mps), 0.2)
        return State((float(x), float(y)), self.heading, self.speed_mps, self.phase + turn)


@dataclass
class Scene:
    """All that a seed stands for."""

    camera: Camera
    place: Place
    actors: list[Actor]
    walks: dict[int, Walk]


def draw_camera(rng: Rng, width: int, height: int, steep_share: float = STEEP_SHARE) -> Camera:
    """A camera over an entrance: 2.2 to 4 m, 15 to 90 degrees down, 60 to 110 degrees wide."""
    steep = rng.random() < steep_share
    tilt = (
        float(90.0 if rng.random() < 0.35 else rng.uniform(LEAST_STEEP_DEG, 90))
        if steep
        else float(np.clip(rng.normal(31, 10), 15, LEAST_STEEP_DEG))
    )
    return _hung(rng, width, height, tilt, steep)


def draw_ages_camera(rng: Rng, width: int, height: int) -> Camera:
    """A camera from which ages are told: half of them as `draw_camera` draws them, half from 40 degrees down on."""
    steep = rng.random() < 0.5
    tilt = float(rng.uniform(40, MOST_AGES_DEG) if steep else np.clip(rng.normal(31, 10), 15, LEAST_STEEP_DEG))
    return _hung(rng, width, height, tilt, steep)


def _hung(rng: Rng, width: int, height: int, tilt: float, steep: bool) -> Camera:
    """A camera of that tilt in degrees; steep: higher up and wider, as one hangs it then."""
    up = float(rng.uniform(2.6, 4.0) if steep else rng.uniform(2.2, 4.0))
    hfov = float(np.clip(rng.normal(82, 14), 60, 110))
    if steep:
        hfov = float(np.clip(hfov + 10, 70, 110))
    away = up / np.tan(np.radians(max(tilt, 16.0))) * rng.uniform(0.55, 1.15)
    away = float(np.clip(away, 0.3, 9.0))
    return Camera(
        width,
        height,
        (float(rng.normal(0, 0.5)), -away, up),
        tilt,
        float(rng.uniform(-180, 180) if tilt > 86 else rng.normal(0, 13)),
        float(rng.normal(0, 1.6)),
        hfov,
        float(rng.uniform(0.0, 0.30) * (hfov / 110) ** 1.5),
    )


def group_offsets(size: int, rng: Rng) -> list[tuple[float, float]]:
    """Places (aside, behind) in metres of a group's members around its middle."""
    if size == 1:
        return [(0.0, 0.0)]
    gap = float(rng.uniform(0.5, 0.68))
    row = [((k - (size - 1) / 2) * gap, float(rng.normal(0, 0.10))) for k in range(min(size, 4))]
    if size > 3 or (size == 3 and rng.random() < 0.4):
        row[-1] = (float(rng.normal(0, 0.15)), float(rng.uniform(0.6, 0.9)))
    return row


def draw_even_group(bodies: list[Body], rng: Rng, ages: Ages) -> tuple[str, list[Body]]:
    """One to three people: as many children as others, of these ages."""
    chosen: list[Body] = []
    for _ in range(int(rng.integers(1, 4))):
        spans = ages[0] if rng.random() < 0.5 else ages[1]
        low, high = spans[int(rng.integers(len(spans)))] if len(spans) > 1 else spans[0]
        age = int(rng.integers(low, high + 1))
        near = min(abs(b.human.age - age) for b in bodies)
        alike = [b for b in bodies if abs(b.human.age - age) == near and b not in chosen]
        chosen += [alike[int(rng.integers(len(alike)))]] if alike else []
    return "even", chosen


def draw_group(bodies: list[Body], rng: Rng, oldest_child: int = 11) -> tuple[str, list[Body]]:
    """A kind of company and its bodies: single, pair, family or friends."""
    adults = [b for b in bodies if 20 <= b.human.age <= 50]
    grown = [b for b in bodies if b.human.age >= 13]
    children = [b for b in bodies if b.human.age <= oldest_child]

    def some(pool: list[Body], count: int) -> list[Body]:
        rows = rng.choice(len(pool), size=min(count, len(pool)), replace=False)
        return [pool[int(r)] for r in rows]

    kind = str(rng.choice(["single", "pair", "family", "friends", "child"], p=[0.44, 0.16, 0.26, 0.08, 0.06]))
    if kind == "single":
        return kind, some(grown, 1)
    if kind == "pair":
        return kind, some(grown, 2)
    if kind == "child":
        return kind, some([b for b in children if b.human.age >= 5] or grown, int(rng.integers(1, 3)))
    if kind == "friends":
        return kind, some([b for b in grown if abs(b.human.age - 17) < 12] or grown, int(rng.integers(2, 5)))
    return kind, some(adults, int(rng.integers(1, 3))) + some(children, int(rng.integers(1, 3)))


def join_hands(members: list[Actor], offsets: list[tuple[float, float]], rng: Rng) -> None:
    """Parents take the hand of a child beside them."""
    for k in range(len(members) - 1):
        a, b = members[k], members[k + 1]
        small = min(a.body.human.age, b.body.human.age)
        close = abs(offsets[k][1] - offsets[k + 1][1]) < 0.3
        if small <= 7 and max(a.body.human.age, b.body.human.age) >= 18 and close and rng.random() < 0.7:
            # offsets grow to the person's left: a walks on b's right-hand side, so a gives its left hand
            a.holds["L"], b.holds["R"] = b.number, a.number


def spot(camera: Camera, place: Place, rng: Rng, first: bool) -> tuple[float, float] | None:
    """A ground point in the picture (the first company), or also a little outside it."""
    edge, low, high = (-0.03, 0.25, 1.0) if first else (0.05, 0.15, 1.18)
    pixel = [[rng.uniform(-edge, 1 + edge) * camera.width, rng.uniform(low, high) * camera.height]]
    x, y, _ = camera.ground(pixel)[0]
    if y > 0.3 and rng.random() < 0.5:
        return None
    if not np.isfinite(x) or np.hypot(x - camera.eye[0], y - camera.eye[1]) > FAR_M or not place.free(x, y, 0.25):
        return None
    return float(x), float(y)


def heading_for(xy: tuple[float, float], place: Place, rng: Rng) -> float:
    """In, out, to or from the door, or anywhere."""
    way = np.pi / 2 if rng.random() < 0.45 else -np.pi / 2
    if rng.random() < 0.5:
        aim = (float(rng.uniform(-0.6, 0.6) * place.door_half_m), 0.0)
        to_door = float(np.arctan2(aim[1] - xy[1], aim[0] - xy[0]))
        return to_door if rng.random() < 0.5 else to_door + np.pi
    if rng.random() < 0.22:
        return float(rng.uniform(0, 2 * np.pi))
    return float(way + rng.normal(0, 0.22))


def clear_of(spots: list[tuple[float, float]], taken: list[tuple[float, float]], gap: float) -> bool:
    """True when no spot is nearer than `gap` metres to a taken one."""
    return all((x - a) ** 2 + (y - b) ** 2 > gap * gap for x, y in spots for a, b in taken)


def member_walk(at: tuple[float, float], heading: float, mps: float, rng: Rng, stands: bool) -> Walk:
    """One member's way; those who stand turn a little."""
    turn = float(rng.normal(0, 0.5)) if stands else float(rng.normal(0, 0.04))
    return Walk(at, heading + turn, 0.0 if stands else mps, float(rng.uniform(0, 2 * np.pi)))


def pull_cases(members: list[Actor], share: float, rng: Rng) -> None:
    """Gives a trolley case to a share of the adults who have a hand free for it."""
    for member in members:
        busy = any(item.kind in ("push", "chair") for item in member.items) or "R" in member.holds
        if member.body.human.age >= 18 and not busy and rng.random() < share:
            member.items = [Item("pull", props.suitcase(rng))]


def add_group(
    scene: Scene, bodies: list[Body], taken: list[tuple[float, float]], number: int, rng: Rng, mix: Mix = EVERYDAY
) -> bool:
    """Place one company; False when there was no room for it."""
    kind, chosen = draw_even_group(bodies, rng, mix.ages) if mix.ages else draw_group(bodies, rng)
    for _ in range(40):
        at = spot(scene.camera, scene.place, rng, not taken)
        if at is None:
            continue
        heading, offsets = heading_for(at, scene.place, rng), group_offsets(len(chosen), rng)
        c, s = np.cos(heading), np.sin(heading)
        places = [(at[0] - s * a - c * b, at[1] + c * a - s * b) for a, b in offsets]
        if clear_of(places, taken, 0.48) and all(scene.place.free(x, y, 0.2) for x, y in places):
            break
    else:
        return False
    taken += places
    chosen = [chosen[int(k)] for k in rng.permutation(len(chosen))][: len(places)]
    outdoor = scene.place.kind in ("outside", "tent")
    members = [make_actor(len(scene.actors) + 1 + k, body, number, rng) for k, body in enumerate(chosen)]
    join_hands(members, offsets, rng)
    stands = rng.random() < 0.2
    pace = min(comfortable_mps(m.body.leg_m, m.body.human.age) * m.manner.pace for m in members)
    for member, place in zip(members, places, strict=True):
        give_things(member, rng, outdoor)
        scene.walks[member.number] = member_walk(place, heading, pace, rng, stands)
    adult = next((m for m in members if m.body.human.age >= 20 and not m.holds), None)
    if adult is not None and ((kind == "family" and rng.random() < mix.pram_family) or rng.random() < mix.pram_other):
        adult.items = [Item("push", props.pram(rng))] + [i for i in adult.items if i.kind in ("back", "hip")]
    if mix.suitcase:
        pull_cases(members, mix.suitcase, rng)
    alone = members[0]
    if len(members) == 1 and rng.random() < (0.06 if alone.body.human.age >= 65 else 0.015):
        alone.items = [Item("chair", props.wheelchair(rng))]
    free_hands = {"L", "R"}
    for member in members:
        member.items = [
            i
            for i in member.items
            if i.kind in ("back", "hip", "push", "chair") or i.side in free_hands - set(member.holds)
        ]
    scene.actors += members
    return True


def draw_scene(seed: int, bodies: list[Body], width: int = 416, height: int = 256, mix: Mix = EVERYDAY) -> Scene:
    """The scene of this seed. The same seed, bodies and mix give the same scene."""
    rng = np.random.default_rng([2026, seed])
    camera = draw_ages_camera(rng, width, height) if mix.ages else draw_camera(rng, width, height, mix.steep)
    kind = str(rng.choice(KINDS, p=KIND_SHARES))
    place = build_place(kind, camera, bodies, rng, crowded=float(rng.random()), decoys=mix.decoys)
    scene = Scene(camera, place, [], {})
    if rng.random() < mix.empty:
        return scene
    wanted = int(rng.integers(8, 19)) if mix.throng else int(np.clip(rng.geometric(0.24), 1, 11))
    taken: list[tuple[float, float]] = []
    for number in range(1, wanted + 1):
        add_group(scene, bodies, taken, number, rng, mix)
    return scene
