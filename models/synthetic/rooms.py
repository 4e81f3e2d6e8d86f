# SPDX-License-Identifier: Apache-2.0
"""Rooms around a doorway: halls, gyms, lobbies, arcades, tents, and places seen only as a panorama.

The door's threshold lies on y = 0 between x = -half and +half; y < 0 is inside, where the camera hangs.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.synthetic import props
from models.synthetic.actors import Actor, State, pose_things
from models.synthetic.bodies import PARTS, Body
from models.synthetic.camera import Camera
from models.synthetic.clothes import BOTTOMS, BRIGHT, TOPS, pick
from models.synthetic.light import Light, Panorama, choose_panorama, indoor_light, outdoor_light
from models.synthetic.mesh import MATERIAL, Mesh, box, join, make_mesh, quad, tube
from models.synthetic.props import Rng, grey
from models.synthetic.render import Stage

KINDS = ("hall", "gym", "lobby", "arcade", "tent", "inside", "outside")
KIND_SHARES = (0.2, 0.1, 0.16, 0.12, 0.12, 0.18, 0.12)
FLOORS = {
    "hall": ("tiles", "concrete", "carpet"),
    "gym": ("planks",),
    "lobby": ("tiles", "carpet", "planks"),
    "arcade": ("tiles", "concrete"),
    "tent": ("grass", "concrete"),
    "inside": ("panorama",),
    "outside": ("panorama",),
}


@dataclass(frozen=True)
class Static:
    """Something that looks like a person and is none: its kind and its mesh."""

    kind: str
    mesh: Mesh


@dataclass
class Place:
    """A built place: the stage to draw, how wide the door is, where nobody can stand (x, y, radius)."""

    kind: str
    stage: Stage
    door_half_m: float
    half_width_m: float
    depth_m: float
    blocked: list[tuple[float, float, float]] = field(default_factory=list)
    statics: list[Static] = field(default_factory=list)
    walled: bool = True

    def free(self, x: float, y: float, radius: float) -> bool:
        """True when a person of this radius can stand there."""
        if self.walled and abs(y) < 0.25 + radius and abs(x) > self.door_half_m - radius:
            return False
        if y < 0 and (abs(x) > self.half_width_m - radius or y < -self.depth_m + radius):
            return False
        if y > 9 or abs(x) > 9:
            return False
        return all((x - bx) ** 2 + (y - by) ** 2 > (r + radius) ** 2 for bx, by, r in self.blocked)


def floor_colour(material: str, rng: Rng) -> NDArray[np.float64]:
    """A linear floor colour that goes with a material."""
    if material == "planks":
        return np.array([0.42, 0.27, 0.14]) * rng.uniform(0.5, 1.5)
    if material == "grass":
        return np.array([0.10, 0.17, 0.05]) * rng.uniform(0.7, 1.4)
    if material == "carpet":
        return pick(BOTTOMS + TOPS, rng) * 0.8 + 0.02
    return np.asarray(grey(rng, 0.12, 0.55) * np.array([1, rng.uniform(0.9, 1), rng.uniform(0.78, 1.02)]))


def disc(centre: tuple[float, float], radius: float, material: str) -> Mesh:
    """A floor disc, finely cut in rings."""
    turn = np.linspace(0, 2 * np.pi, 49)[:-1]
    rings = [np.array([[*centre, 0.0]])]
    radii = np.linspace(0.12, 1, 8) * radius
    rings += [np.stack([centre[0] + r * np.cos(turn), centre[1] + r * np.sin(turn), 0 * turn], 1) for r in radii]
    faces = [(0, 1 + k, 1 + (k + 1) % 48) for k in range(48)]
    for ring in range(len(radii) - 1):
        for k in range(48):
            a, b = 1 + ring * 48 + k, 1 + ring * 48 + (k + 1) % 48
            faces += [(a, a + 48, b + 48), (a, b + 48, b)]
    points = np.concatenate(rings)
    up = np.tile(np.array([0.0, 0, 1]), (len(points), 1))
    return make_mesh(points.astype(np.float32), up, np.array(faces), (1, 1, 1), material)


def surroundings(centre: tuple[float, float], radius: float, floor: bool) -> Mesh:
    """The panorama as a drum with lid and floor around a centre; without the floor only the half beyond the door."""
    turn = np.linspace(0, 2 * np.pi, 49) if floor else np.linspace(0.03, np.pi - 0.03, 25)
    heights = np.array([-0.01, 1.0, 3.0, 6.0, 12.0])
    ring = np.stack([centre[0] + radius * np.cos(turn), centre[1] + radius * np.sin(turn)], 1)
    points = np.concatenate([np.concatenate([ring, np.full((len(turn), 1), z)], 1) for z in heights])
    count = len(turn)
    low = (np.arange(len(heights) - 1)[:, None] * count + np.arange(count - 1)).ravel()
    faces = np.concatenate(
        [np.stack([low, low + 1, low + count + 1], 1), np.stack([low, low + count + 1, low + count], 1)]
    )
    parts = [make_mesh(points.astype(np.float32), -points.astype(np.float32), faces, (1, 1, 1), "panorama")]
    wide = radius * 1.1
    lid = [(centre[0] + sx * wide, centre[1] + sy * wide, 12.0) for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    parts.append(quad(lid, (1, 1, 1), "panorama", 4))
    if floor:
        parts.append(disc(centre, radius, "panofloor"))
    return join(parts)


def wall_colour(kind: str, rng: Rng) -> NDArray[np.float64]:
    """A linear wall colour."""
    if kind == "tent":
        return grey(rng, 0.55, 0.85) if rng.random() < 0.7 else pick(BRIGHT, rng) * 0.6 + 0.2
    if kind == "gym":
        return np.array([0.5, 0.4, 0.28]) * rng.uniform(0.5, 1.4)
    base = grey(rng, 0.3, 0.8) * np.array([1, rng.uniform(0.92, 1.0), rng.uniform(0.8, 1.02)])
    return np.asarray(base if rng.random() < 0.8 else base * pick(TOPS + BRIGHT, rng) * 1.5 + 0.05)


def walls(kind: str, half: float, width: float, depth: float, height: float, rng: Rng) -> list[Mesh]:
    """Walls with the doorway, a ceiling where one is seen, door leaves or frame."""
    colour = wall_colour(kind, rng)
    material = {"tent": "canvas", "arcade": str(rng.choice(["brick", "plaster", "tiles"]))}.get(kind, "plaster")
    material = "plaster" if material == "tiles" else material
    lintel = float(rng.uniform(2.05, 2.7)) if kind != "arcade" else float(rng.uniform(2.5, 3.4))
    lintel = min(lintel, height - 0.1)
    side = (width - half) / 2
    parts = [box((s * (half + side), 0.1, height / 2), (side, 0.1, height / 2), colour, material) for s in (-1, 1)]
    parts.append(box((0, 0.1, (height + lintel) / 2), (half, 0.1, (height - lintel) / 2), colour, material))
    tone = colour * rng.uniform(0.75, 1.1)
    parts += [
        box((s * (width + 0.1), -depth / 2, height / 2), (0.1, depth / 2 + 0.2, height / 2), tone, material)
        for s in (-1, 1)
    ]
    parts.append(box((0, -depth - 0.1, height / 2), (width, 0.1, height / 2), tone, material))
    ceiling = grey(rng, 0.5, 0.85) if kind != "tent" else colour
    parts.append(box((0, -depth / 2, height + 0.05), (width + 0.2, depth / 2 + 0.2, 0.05), ceiling, material))
    frame = grey(rng, 0.02, 0.6)
    if kind != "tent":
        parts += [box((s * half, 0.0, lintel / 2), (0.045, 0.13, lintel / 2), frame, "metal") for s in (-1, 1)]
        parts.append(box((0, 0.0, lintel), (half, 0.13, 0.04), frame, "metal"))
    if kind in ("hall", "lobby") and rng.random() < 0.6:
        parts.append(box((0, 0.0, 0.004), (half, 0.13, 0.004), grey(rng, 0.05, 0.4), "metal"))
    if rng.random() < 0.45:
        mat = pick(BOTTOMS, rng)
        parts.append(box((0, -0.9, 0.006), (half * 0.9, 0.6, 0.006), mat, "carpet"))
    if rng.random() < 0.35 and kind != "tent":
        for s in (-1, 1):  # open door leaves, turned inwards
            leaf = box((0, -half / 2, lintel / 2), (0.025, half / 2, lintel / 2), frame * 0.8 + 0.05, "metal")
            parts.append(leaf.moved((s * half, -0.03, 0), float(s * rng.uniform(0.0, 0.6))))
    if rng.random() < 0.5:
        band = rng.uniform(0.25, 1.1)
        for s in (-1, 1):
            parts.append(
                box(
                    (s * (half + side), -0.006, band / 2),
                    (side, 0.006, band / 2),
                    colour * rng.uniform(0.3, 0.8),
                    "plaster",
                )
            )
    return parts


def lamps(width: float, depth: float, height: float, rng: Rng) -> list[Mesh]:
    """Glowing ceiling panels."""
    glow = np.array([1.0, 0.97, 0.9]) * rng.uniform(2.0, 5.0)
    return [
        box((x, y, height - 0.01), (rng.uniform(0.1, 0.5), 0.12, 0.01), glow, "glow")
        for x in np.arange(-width + 1, width, rng.uniform(1.6, 3.0))
        for y in np.arange(-depth + 0.8, -0.5, rng.uniform(1.8, 3.5))
    ]


def dress_room(place: Place, camera: Camera, bodies: list[Body], rng: Rng, crowded: float, decoys: bool) -> list[Mesh]:
    """Furniture along the walls and here and there, keeping the way and the camera clear; fills `blocked`."""
    parts: list[Mesh] = []
    pieces = props.DECOYS if decoys else props.FURNITURE
    for _ in range(int(rng.integers(*((6, 14) if decoys else (1, 5 + int(9 * crowded)))))):
        builder = pieces[int(rng.integers(len(pieces)))]
        for _ in range(6):
            inside = rng.random() < 0.8
            y = float(rng.uniform(-place.depth_m + 0.4, -0.4)) if inside else float(rng.uniform(2.0, 6.0))
            x = float(rng.choice([-1, 1]) * rng.uniform(place.door_half_m + 0.5, place.half_width_m - 0.3))
            if rng.random() < 0.6 and inside:
                x = float(np.sign(x) * (place.half_width_m - rng.uniform(0.25, 0.6)))
            near = np.hypot(x - camera.eye[0], y - camera.eye[1]) < 0.8
            if not near and place.free(x, y, 0.55):
                turn = float(rng.choice([0, np.pi / 2, -np.pi / 2]) + rng.normal(0, 0.15))
                parts.append(builder(rng).moved((x, y, 0), turn))
                place.blocked.append((x, y, 0.55))
                break
    if place.walled:
        for _ in range(int(rng.integers(0, 6))):
            sheet = props.poster(rng, float(rng.uniform(0.3, 0.9)), float(rng.uniform(0.4, 1.2)))
            x = float(
                rng.choice([-1, 1])
                * rng.uniform(place.door_half_m + 0.6, max(place.half_width_m - 0.5, place.door_half_m + 0.7))
            )
            if rng.random() < 0.6:
                parts.append(sheet.moved((x, -0.012, rng.uniform(0.8, 1.4))))
            else:
                s = float(np.sign(x))
                y = float(rng.uniform(-place.depth_m + 0.5, -0.5))
                parts.append(sheet.moved((s * (place.half_width_m - 0.012), y, rng.uniform(0.8, 1.4)), -s * np.pi / 2))
    add_statics(
        place, bodies, rng, int(rng.integers(2, 7)) if decoys else int(rng.choice([0, 1, 2], p=[0.62, 0.28, 0.10]))
    )
    return parts


def add_statics(place: Place, bodies: list[Body], rng: Rng, count: int) -> None:
    """Mannequins, pictures of people on the wall and coats on racks; each is truth of kind static."""
    for _ in range(count):
        x = float(rng.choice([-1, 1]) * rng.uniform(place.door_half_m + 0.4, place.half_width_m - 0.35))
        y = float(rng.uniform(-min(place.depth_m - 0.5, 6.0), -0.5))
        kind = str(rng.choice(["mannequin", "poster", "coats"], p=[0.4, 0.25, 0.35]))
        if kind == "poster" and not place.walled:
            kind = "mannequin"
        if not place.free(x, y, 0.35):
            continue
        if kind == "coats":
            rack, coats = props.coat_rack(rng)
            turn = float(rng.uniform(0, np.pi))
            place.statics.append(Static("coats", coats.moved((x, y, 0), turn)))
            place.statics.append(Static("", rack.moved((x, y, 0), turn)))
            place.blocked.append((x, y, 0.6))
        elif bodies:
            mesh = still_figure(bodies[int(rng.integers(len(bodies)))], rng)
            if kind == "mannequin":
                place.statics.append(Static(kind, mesh.moved((x, y, 0), float(rng.uniform(0, 2 * np.pi)))))
                place.blocked.append((x, y, 0.35))
            else:
                place.statics.append(Static(kind, flat_figure(mesh, rng).moved((x, -0.02, rng.uniform(0.3, 0.8)))))


def still_figure(body: Body, rng: Rng) -> Mesh:
    """A shop-window figure: dressed, without hair, skin of plain plastic or cloth."""
    from models.synthetic.actors import make_actor

    actor: Actor = make_actor(0, body, 0, rng)
    plastic = grey(rng, 0.03, 0.8) if rng.random() < 0.7 else np.array([0.6, 0.42, 0.3])
    bare = np.isin(body.parts, [PARTS.index(n) for n in ("skin", "hair", "eyes", "brow", "lips")])
    actor.colours = np.where(bare[:, None], plastic.astype(np.float32), actor.colours).astype(np.float32)
    actor.materials = np.where(bare, MATERIAL["plain"], actor.materials).astype(np.float32)
    return pose_things(actor, State((0.0, 0.0), -np.pi / 2, 0.0, 0.0), {})[0].mesh


def flat_figure(figure: Mesh, rng: Rng) -> Mesh:
    """A picture of a person: the figure pressed flat on a sheet, smaller or life-size."""
    scale = float(rng.uniform(0.45, 0.95))
    flat = figure.vertices * np.array([scale, 0.004, scale], np.float32)
    ahead = np.tile(np.array([0, -1, 0], np.float32), (len(flat), 1))
    mesh = Mesh(flat, ahead, figure.colours, np.zeros(len(flat), np.float32), figure.pattern, figure.faces)
    tall = float(flat[:, 2].max())
    sheet = quad(
        [(-0.4, 0.012, -0.1), (0.4, 0.012, -0.1), (0.4, 0.012, tall + 0.1), (-0.4, 0.012, tall + 0.1)],
        grey(rng, 0.3, 0.9),
        "plain",
    )
    return join([sheet, mesh])


def outdoors_floor(rng: Rng, radius: float) -> Mesh:
    """The ground outside the door."""
    material = str(rng.choice(["concrete", "tiles", "grass", "panofloor"], p=[0.3, 0.2, 0.1, 0.4]))
    size = radius
    if material == "panofloor":
        return quad(
            [(-size, 0, -0.001), (size, 0, -0.001), (size, size, -0.001), (-size, size, -0.001)], (1, 1, 1), material
        )
    return quad(
        [(-size, 0, -0.001), (size, 0, -0.001), (size, size, -0.001), (-size, size, -0.001)],
        floor_colour(material, rng) * 0.9,
        material,
    )


def panorama_light(panorama: Panorama, light: Light, rng: Rng, indoor: bool) -> Light:
    """The light of a place that is only a panorama: its own mean above and below, a key from `light`."""
    half = panorama.picture.shape[0] // 2
    above, below = (
        np.minimum(p, 4.0).mean((0, 1)) * panorama.gain for p in (panorama.picture[:half], panorama.picture[half:])
    )
    up = tuple(float(v) for v in above * rng.uniform(0.7, 1.1))
    down = tuple(float(v) for v in below * rng.uniform(0.4, 0.7))
    level = float(np.mean(above)) * rng.uniform(0.25, 0.6) if indoor else float(np.mean(above)) * rng.uniform(0.3, 1.2)
    key = tuple(float(level * c / max(float(np.mean(light.key_colour)), 1e-6)) for c in light.key_colour)
    return Light(
        light.key_direction,
        (key[0], key[1], key[2]),
        light.door_direction,
        (level * 0.15,) * 3,
        (up[0], up[1], up[2]),
        (down[0], down[1], down[2]),
        light.soft,
        light.shadow_floor,
        f"panorama {light.name}",
    )


def build_place(
    kind: str,
    camera: Camera,
    bodies: list[Body],
    rng: Rng,
    door_half: float | None = None,
    crowded: float = 0.5,
    backlight: float | None = None,
    decoys: bool = False,
) -> Place:
    """A place of this kind around the door, fit for the camera to hang in it; `decoys`: full of false people."""
    half = door_half if door_half is not None else float(rng.uniform(0.6, 1.9))
    depth = float(max(-camera.eye[1] + rng.uniform(0.8, 3.0), 3.0))
    width = float(max(half + rng.uniform(1.2, 3.8), abs(camera.eye[0]) + 0.6))
    walled = kind not in ("inside", "outside")
    light = (
        outdoor_light(rng)
        if kind == "outside"
        else indoor_light(rng, float(rng.random() ** 1.5) if backlight is None else backlight)
    )
    panorama = choose_panorama(rng, kind == "inside" or kind == "arcade")
    if walled:
        height = float(max(camera.eye[2] + 0.15, rng.uniform(2.6, 4.5)))
        material = str(rng.choice(FLOORS[kind]))
        indoors = quad(
            [(-width, -depth, 0), (width, -depth, 0), (width, 0, 0), (-width, 0, 0)],
            floor_colour(material, rng),
            material,
        )
        radius, centre = 13.0, (0.0, 0.0)
        gain = float(np.mean(light.door_colour)) * rng.uniform(1.2, 2.2) + 0.15
        panorama = Panorama(panorama.picture, panorama.turn, gain, (0.0, 1.0, 1.5), panorama.name)
        shell = [indoors, surroundings(centre, radius, floor=False), outdoors_floor(rng, radius + 1)]
        shell += walls(kind, half, width, depth, height, rng) + lamps(width, depth, height, rng)
    else:
        radius = float(rng.uniform(9, 14))
        middle = (0.0, float(-depth / 2 + rng.uniform(0, 2.0)))
        panorama = Panorama(
            panorama.picture,
            panorama.turn,
            panorama.gain,
            (*middle, float(rng.uniform(1.3, 1.9))),
            panorama.name,
        )
        light = panorama_light(panorama, light, rng, kind == "inside")
        shell = [surroundings(middle, radius, floor=True)]
        width = 6.0
    stage = Stage(shell[0], shell[0], panorama, light, float(rng.uniform(0, 10)), (0.0, -min(depth / 2, 3.0), 0.0))
    place = Place(kind, stage, half, width, depth, [], [], walled)
    furniture = dress_room(place, camera, bodies, rng, crowded, decoys)
    if not walled and rng.random() < 0.5:
        furniture += [tube((s * half, 0, 0), (s * half, 0, 2.4), 0.05, grey(rng, 0.05, 0.6), "metal") for s in (-1, 1)]
        if rng.random() < 0.6:
            furniture.append(box((0, 0, 2.45), (half + 0.05, 0.03, 0.22), pick(TOPS + BRIGHT, rng), "poster"))
    furniture += [s.mesh for s in place.statics if not s.kind]
    place.statics = [s for s in place.statics if s.kind]
    if not furniture:
        furniture = [box((0, 60, -1), (0.1, 0.1, 0.1), (0, 0, 0))]
    place.stage = Stage(join(shell), join(furniture), panorama, light, stage.pattern_seed, stage.middle)
    return place
