# SPDX-License-Identifier: Apache-2.0
"""Things: what people carry or push, and what stands in a room. Metres; at the origin, z up, front towards -y."""

import itertools
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.synthetic.clothes import BOTTOMS, BRIGHT, COATS, TOPS, linear, pick
from models.synthetic.mesh import Mesh, blob, box, join, quad, slab, tube

Rng = np.random.Generator
F64 = NDArray[np.float64]


def grey(rng: Rng, low: float, high: float) -> F64:
    """A nearly neutral linear colour between two levels."""
    return rng.uniform(low, high) * rng.uniform(0.92, 1.08, 3)


# -- carried and pushed ------------------------------------------------------------------------------------------------


def backpack(scale: float, rng: Rng, school: bool) -> Mesh:
    """A backpack, or a randoseru (the stiff school bag of primary pupils), centred on its own middle."""
    if school:
        colour = linear(
            [(150, 26, 34), (24, 24, 26), (30, 40, 70), (110, 66, 40), (205, 140, 160)][int(rng.integers(5))]
        )
        return join(
            [
                box((0, 0, 0), (0.125, 0.085, 0.15), colour),
                box((0, 0.03, 0.02), (0.128, 0.07, 0.132), colour * 0.9),
            ]
        )
    size = np.array([0.14, 0.085, 0.21]) * scale * rng.uniform(0.8, 1.15)
    colour = pick(BOTTOMS + BRIGHT[:1], rng)
    pocket = blob((0, size[1] * 0.8, -size[2] * 0.35), size * [0.75, 0.5, 0.45], colour * 0.85, "cloth", 0.5)
    return join([blob((0, 0, 0), size, colour, "cloth", 0.5), pocket])


def tote(scale: float, rng: Rng) -> Mesh:
    """A bag that hangs from the origin (the hand)."""
    w, t, h = np.array([rng.uniform(0.11, 0.18), rng.uniform(0.04, 0.07), rng.uniform(0.1, 0.16)]) * scale
    colour = pick(TOPS + COATS, rng)
    drop = 0.1 * scale
    body = blob((0, 0, -drop - h), (t, w, h), colour, "cloth", 0.35)
    straps = [tube((0, s * w * 0.5, -drop), (0, 0, 0.01), 0.008, colour * 0.7) for s in (-1, 1)]
    return join([body, *straps])


def shoulder_bag(scale: float, rng: Rng) -> Mesh:
    """A small bag at the hip, centred."""
    size = np.array([0.05, 0.12, 0.085]) * scale * rng.uniform(0.8, 1.3)
    return blob((0, 0, 0), size, pick(COATS, rng), "plain", 0.5)


def umbrella(rng: Rng, is_open: bool) -> Mesh:
    """An umbrella; its grip is the origin, open it shades what is below."""
    colour = pick(TOPS, rng)
    if not is_open:
        return join(
            [
                tube((0, 0, 0.08), (0, 0, -0.62), (0.028, 0.008), colour),
                tube((0, 0, 0.2), (0, 0, 0.05), 0.01, (0.03,) * 3),
            ]
        )
    parts = [tube((0, 0, -0.05), (0, 0, 0.78), 0.008, (0.1, 0.1, 0.1))]
    rise = [(0.78, 0.02), (0.74, 0.25), (0.65, 0.42), (0.52, 0.53)]
    for (z1, r1), (z0, r0) in itertools.pairwise(rise):
        parts.append(tube((0, 0, z0), (0, 0, z1), (r0, r1), colour, sides=12))
    return join(parts)


def cane() -> Mesh:
    """A walking stick; the grip is the origin."""
    return join(
        [
            tube((0, 0, 0), (0.0, -0.06, -0.78), 0.011, (0.05, 0.03, 0.02)),
            tube((0, -0.05, 0), (0, 0.06, 0), 0.012, (0.05, 0.03, 0.02)),
        ]
    )


PRAMS = ("pushchair", "carrycot", "buggy")
PRAM_SHARES = (0.5, 0.2, 0.3)


def turned(centre: tuple[float, float], radius: float, low_deg: float, high_deg: float, steps: int = 9) -> F64:
    """Points (steps, 2) on an arc in the y-z plane; 0 degrees points to +y (the pusher), 90 up."""
    turn = np.radians(np.linspace(low_deg, high_deg, steps))
    return np.asarray(centre) + radius * np.stack([np.cos(turn), np.sin(turn)], 1)


def cloth_sheet(line: list[tuple[float, float]], thick: float, half: float, colour: F64) -> Mesh:
    """A padded sheet along a line in the y-z plane, from x = -half to half."""
    points = np.asarray(line, float)
    along = np.gradient(points, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], 1) / np.linalg.norm(along, axis=1)[:, None]
    return slab(points - across * thick, points + across * thick, half, colour, "cloth")


def hood(hinge: tuple[float, float], radius: float, half: float, open_deg: float, colour: F64) -> Mesh:
    """A folding hood: part of a cylinder around its hinge with cloth sides. `open_deg`: its front edge."""
    roof = slab(turned(hinge, radius - 0.012, 8, open_deg), turned(hinge, radius, 8, open_deg), half, colour, "cloth")
    parts, rim = [roof], turned(hinge, radius - 0.004, 8, open_deg)
    low = np.broadcast_to(np.asarray(hinge), rim.shape)
    side = slab(low, rim, 0.006, colour * 0.8, "cloth")
    parts += [side.moved((s * (half - 0.006), 0, 0)) for s in (-1, 1)]
    for y, z in turned(hinge, radius + 0.004, 8, open_deg, 4):  # the ribs
        parts.append(tube((-half, y, z), (half, y, z), 0.007, colour * 0.55, sides=5))
    return join(parts)


def undercarriage(half: float, wheel: float, frame: F64, handle: bool) -> list[Mesh]:
    """Handles, crossed tubes, axles and four wheels; `handle`: one bar from side to side, else two hooks."""
    parts = [tube((-half, -0.12, wheel), (half, -0.12, wheel), 0.009, frame)]
    if handle:
        parts.append(tube((-half, 0, 1.0), (half, 0, 1.0), 0.015, (0.02,) * 3))
    for s in (-1, 1):
        x = s * half
        parts += [
            tube((x, 0, 1.0), (x, -0.72, wheel + 0.04), 0.012, frame, sides=6),
            tube((x, -0.3, 0.6), (x, -0.1, wheel), 0.012, frame, sides=6),
        ]
        if not handle:
            parts.append(tube((x, -0.03, 1.0), (x, 0.09, 0.97), 0.016, (0.02,) * 3))
        for y in (-0.1, -0.74):
            for w in (0.0,) if handle else (-0.025, 0.025):
                at = x + s * 0.02 + w
                parts.append(tube((at - 0.016, y, wheel), (at + 0.016, y, wheel), wheel, (0.015,) * 3, sides=14))
                parts.append(tube((at - 0.018, y, wheel), (at + 0.018, y, wheel), wheel * 0.55, frame, sides=8))
    return parts


def pram(rng: Rng, kind: str | None = None) -> Mesh:
    """A pushchair, a pram with a carrycot or a light buggy; the handle is at (0, 0, 1.0), it extends towards -y.

    Takes two draws from the scene's generator and the rest from one of its own, so that what a pram looks like changes
    nobody else in a scene.
    """
    colour, shade = pick(COATS + BOTTOMS, rng), float(rng.uniform(0.6, 4))
    own = np.random.default_rng(int(shade * 2**40))
    kind = kind or str(own.choice(PRAMS, p=PRAM_SHARES))
    if own.random() < 0.35:
        colour = pick(TOPS + BRIGHT, own)
    frame = np.array([0.05, 0.05, 0.055]) * shade if own.random() < 0.7 else np.array([0.5, 0.5, 0.52])
    lining = pick(TOPS, own) if own.random() < 0.5 else colour * 0.6
    cover = colour if own.random() < 0.7 else pick(COATS + BRIGHT, own)
    if kind == "carrycot":
        return join(carrycot(colour, lining, cover, frame, own))
    return join(seat_pram(kind == "buggy", colour, lining, cover, frame, own))


def carrycot(colour: F64, lining: F64, cover: F64, frame: F64, rng: Rng) -> list[Mesh]:
    """A tub to lie in, a blanket over its foot, a hood over its head end."""
    half = float(rng.uniform(0.19, 0.23))
    tub = slab(
        np.array([(-0.08, 0.56), (-0.14, 0.46), (-0.78, 0.46), (-0.86, 0.60)]),
        np.array([(-0.06, 0.78), (-0.14, 0.76), (-0.80, 0.74), (-0.90, 0.74)]),
        half, colour, "cloth",
    )  # fmt: skip
    blanket = blob((0, -0.60, 0.745), (half * 0.95, 0.27, 0.035), lining, "cloth", 0.4)
    basket = slab(
        np.array([(-0.16, 0.20), (-0.66, 0.20)]),
        np.array([(-0.10, 0.32), (-0.72, 0.32)]),
        half * 0.9,
        frame * 0.5,
        "cloth",
    )
    top = hood((-0.36, 0.74), float(rng.uniform(0.25, 0.29)), half + 0.01, float(rng.uniform(95, 150)), cover)
    return [tub, blanket, basket, top, *undercarriage(half + 0.03, float(rng.uniform(0.11, 0.15)), frame, True)]


def seat_pram(light: bool, colour: F64, lining: F64, cover: F64, frame: F64, rng: Rng) -> list[Mesh]:
    """A seat with back, leg rest and harness, a hood up, half up or (on a light buggy) folded away, a net below."""
    half = float(rng.uniform(0.15, 0.18) if light else rng.uniform(0.18, 0.22))
    back = float(rng.uniform(0.02, 0.16))  # how far the back leans
    line = [(-0.30 + back, 0.90), (-0.36, 0.50), (-0.62, 0.50), (-0.70, 0.27), (-0.80, 0.25)]
    parts = [cloth_sheet(line, 0.012 if light else 0.03, half, lining)]
    for s in (-1, 1):
        wing = slab(
            np.array([(-0.36, 0.50), (-0.62, 0.50)]), np.array([(-0.33, 0.72), (-0.60, 0.62)]), 0.012, colour, "cloth"
        )
        parts.append(wing.moved((s * half, 0, 0)))
        parts.append(tube((s * half * 0.4, -0.36 + back, 0.82), (0, -0.47, 0.54), 0.012, (0.02,) * 3, sides=5))
    parts.append(cloth_sheet([(-0.27 + back, 0.92), (-0.33, 0.48), (-0.60, 0.47)], 0.006, half + 0.005, colour))
    if not light:
        parts.append(tube((-half, -0.62, 0.68), (half, -0.62, 0.68), 0.018, (0.02,) * 3))
    up = rng.random()
    if up < (0.6 if light else 0.9):
        open_deg = float(rng.uniform(75, 115) if up < 0.35 else rng.uniform(115, 165))
        radius = float(rng.uniform(0.22, 0.27) if light else rng.uniform(0.27, 0.33))
        parts.append(hood((-0.34 + back * 0.6, 0.76), radius, half + 0.012, open_deg, cover))
    net = slab(
        np.array([(-0.14, 0.17), (-0.52, 0.17)]),
        np.array([(-0.10, 0.30), (-0.58, 0.27)]),
        half * 0.9,
        colour * 0.4,
        "cloth",
    )
    if rng.random() < 0.3:  # a bag over the handle
        parts.append(blob((0, 0.05, 0.82), (0.15, 0.06, 0.13), pick(COATS + TOPS, rng), "cloth", 0.4))
    wheel = float(rng.uniform(0.065, 0.085) if light else rng.uniform(0.10, 0.14))
    return [*parts, net, *undercarriage(half + 0.03, wheel, frame, not light)]


def hoop(centre: tuple[float, float, float], radius: float) -> Mesh:
    """A large thin wheel that stands along y."""
    turn = np.linspace(0, 2 * np.pi, 17)
    rim = np.stack([np.full(17, centre[0]), centre[1] + radius * np.cos(turn), centre[2] + radius * np.sin(turn)], 1)
    tyre = [tube(a, b, 0.018, (0.03, 0.03, 0.03), sides=5) for a, b in pairwise(rim)]
    return join([*tyre, *[tube(centre, p, 0.005, (0.3, 0.3, 0.3), sides=3) for p in rim[:-1:4]]])


def wheelchair(rng: Rng) -> Mesh:
    """A wheelchair around somebody who sits over the origin, facing -y."""
    seat, frame = pick(COATS, rng) * 0.8, np.array([0.25, 0.25, 0.27]) * rng.uniform(0.2, 1.6)
    parts = [
        box((0, -0.05, 0.44), (0.21, 0.23, 0.02), seat, "cloth"),
        box((0, 0.2, 0.68), (0.21, 0.02, 0.24), seat, "cloth"),
        box((0, -0.52, 0.1), (0.17, 0.08, 0.01), frame, "metal"),
    ]
    for s in (-1, 1):
        parts += [
            hoop((s * 0.27, 0.08, 0.3), 0.29),
            tube((s * 0.24, -0.38, 0.08), (s * 0.27, -0.38, 0.08), 0.08, (0.03, 0.03, 0.03)),
            tube((s * 0.22, 0.2, 0.9), (s * 0.22, 0.34, 0.9), 0.014, frame),
            tube((s * 0.22, 0.2, 0.4), (s * 0.22, 0.2, 0.92), 0.012, frame),
            tube((s * 0.23, 0.2, 0.64), (s * 0.23, -0.2, 0.64), 0.018, frame),
            tube((s * 0.2, -0.25, 0.44), (s * 0.15, -0.5, 0.1), 0.012, frame),
        ]
    return join(parts)


def phone() -> Mesh:
    """A telephone in the hand (the origin)."""
    return box((0, -0.03, 0.05), (0.036, 0.006, 0.075), (0.02, 0.02, 0.025))


def suitcase(rng: Rng) -> Mesh:
    """A trolley case; the grip is at (0, 0, 0.95), it stands at +y (behind)."""
    colour = pick(COATS + BRIGHT[:2], rng)
    return join(
        [
            blob((0, 0.42, 0.36), (0.19, 0.13, 0.30), colour, "plain", 0.35),
            tube((-0.08, 0.36, 0.6), (-0.06, 0.0, 0.95), 0.008, (0.3,) * 3),
            tube((0.08, 0.36, 0.6), (0.06, 0.0, 0.95), 0.008, (0.3,) * 3),
            tube((-0.1, 0, 0.95), (0.1, 0, 0.95), 0.013, (0.03,) * 3),
        ]
    )


# -- furniture ---------------------------------------------------------------------------------------------------------


def shelf(rng: Rng) -> Mesh:
    """A filled shelf."""
    w, h = rng.uniform(0.4, 1.0), rng.uniform(0.5, 1.05)
    return box((0, 0, h), (w, rng.uniform(0.15, 0.3), h), grey(rng, 0.2, 0.6) * rng.uniform(0.6, 1.2, 3), "shelf")


def table(rng: Rng) -> Mesh:
    """A table with things on it; sometimes with a cloth to the floor."""
    w, d, h = rng.uniform(0.5, 1.0), rng.uniform(0.25, 0.45), 0.72
    wood = np.array([0.35, 0.24, 0.15]) * rng.uniform(0.6, 1.8)
    parts = [box((0, 0, h), (w, d, 0.02), wood if rng.random() < 0.6 else grey(rng, 0.5, 0.8), "planks")]
    if rng.random() < 0.4:
        parts.append(box((0, 0, h / 2), (w * 0.99, d * 0.98, h / 2), pick(TOPS + BRIGHT, rng), "cloth"))
    else:
        parts += [
            tube((sx * w * 0.9, sy * d * 0.85, 0), (sx * w * 0.9, sy * d * 0.85, h), 0.02, grey(rng, 0.1, 0.4))
            for sx in (-1, 1)
            for sy in (-1, 1)
        ]
    for _ in range(int(rng.integers(1, 6))):
        x, y, s = rng.uniform(-w, w) * 0.8, rng.uniform(-d, d) * 0.7, rng.uniform(0.04, 0.13, 3)
        parts.append(box((x, y, h + 0.02 + s[2]), s, rng.uniform(0.03, 0.8, 3), "plain"))
    return join(parts)


def chair(rng: Rng) -> Mesh:
    """A folding chair."""
    seat = pick(BOTTOMS, rng)
    legs = [
        tube((sx * 0.2, sy * 0.19, 0), (sx * 0.2, sy * 0.14, 0.44), 0.012, (0.35, 0.35, 0.36), "metal")
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    return join([box((0, 0, 0.45), (0.21, 0.2, 0.02), seat), box((0, 0.2, 0.68), (0.2, 0.015, 0.12), seat), *legs])


def plant(rng: Rng) -> Mesh:
    """A potted plant."""
    tall = rng.uniform(0.6, 1.8)
    pot = tube((0, 0, 0), (0, 0, 0.35), (0.14, 0.19), np.array([0.4, 0.3, 0.22]) * rng.uniform(0.3, 1.6))
    green = np.array([0.06, 0.16, 0.05]) * rng.uniform(0.6, 1.8)
    leaves = [
        blob(
            (rng.normal(0, 0.1), rng.normal(0, 0.1), rng.uniform(0.45, tall)),
            rng.uniform(0.1, 0.28, 3),
            green,
            "leaves",
            1.0,
            5,
        )
        for _ in range(int(rng.integers(4, 9)))
    ]
    return join([pot, *leaves])


def signboard(rng: Rng) -> Mesh:
    """A standing sign (A-frame or on a pole)."""
    paper = grey(rng, 0.5, 0.9) * np.array([1, rng.uniform(0.7, 1.0), rng.uniform(0.5, 1.0)])
    if rng.random() < 0.5:
        h = rng.uniform(0.5, 0.75)
        return box((0, 0, h), (rng.uniform(0.22, 0.4), 0.03, h), paper, "poster")
    return join(
        [
            tube((0, 0, 0), (0, 0, 1.2), 0.018, (0.2,) * 3, "metal"),
            tube((0, 0, 0), (0, 0, 0.03), 0.18, (0.1,) * 3, "metal"),
            box((0, -0.02, 1.25), (0.21, 0.012, 0.28), paper, "poster"),
        ]
    )


def vending_machine(rng: Rng) -> Mesh:
    """A drinks machine."""
    colour = [np.array([0.75, 0.75, 0.75]), np.array([0.5, 0.03, 0.03]), np.array([0.05, 0.12, 0.4])][
        int(rng.integers(3))
    ]
    return join(
        [
            box((0, 0, 0.92), (0.5, 0.36, 0.92), colour),
            box((0, -0.365, 1.3), (0.42, 0.01, 0.42), (0.9, 0.9, 0.9), "shelf"),
            box((0, -0.365, 0.3), (0.3, 0.01, 0.1), (0.02, 0.02, 0.02)),
        ]
    )


def barrier(rng: Rng) -> Mesh:
    """Two queue posts with a belt."""
    w = rng.uniform(0.5, 1.0)
    posts = [
        join(
            [
                tube((s * w, 0, 0), (s * w, 0, 0.95), 0.025, (0.3,) * 3, "metal"),
                tube((s * w, 0, 0), (s * w, 0, 0.03), 0.16, (0.1,) * 3),
            ]
        )
        for s in (-1, 1)
    ]
    return join([*posts, box((0, 0, 0.88), (w, 0.005, 0.03), pick(BRIGHT + COATS, rng))])


def bin_or_box(rng: Rng) -> Mesh:
    """A waste bin or a pile of boxes."""
    if rng.random() < 0.4:
        return tube((0, 0, 0), (0, 0, rng.uniform(0.4, 0.8)), (0.17, 0.21), grey(rng, 0.03, 0.6))
    card = np.array([0.42, 0.29, 0.17]) * rng.uniform(0.6, 1.2)
    z, parts = 0.0, []
    for _ in range(int(rng.integers(1, 4))):
        h = rng.uniform(0.1, 0.25)
        parts.append(
            box(
                (rng.normal(0, 0.03), rng.normal(0, 0.03), z + h),
                (rng.uniform(0.15, 0.3), rng.uniform(0.15, 0.25), h),
                card * rng.uniform(0.85, 1.15),
                "plaster",
            )
        )
        z += 2 * h
    return join(parts)


def coat_rack(rng: Rng) -> tuple[Mesh, Mesh]:
    """A rack, and the coats on it (a thing that a detector may take for people)."""
    w = rng.uniform(0.3, 0.8)
    rack = join(
        [
            *[tube((s * w, 0, 0), (s * w, 0, 1.6), 0.015, (0.3,) * 3, "metal") for s in (-1, 1)],
            tube((-w, 0, 1.6), (w, 0, 1.6), 0.015, (0.3,) * 3, "metal"),
        ]
    )
    coats = []
    for x in np.linspace(-w * 0.85, w * 0.85, int(rng.integers(2, 7))):
        long, colour = rng.uniform(0.32, 0.55), pick(COATS + TOPS, rng)
        coats.append(blob((x, 0, 1.56 - long), (0.06, rng.uniform(0.17, 0.24), long), colour, "cloth", 0.6))
        coats.append(blob((x, 0.22, 1.45 - long * 0.8), (0.05, 0.06, long * 0.7), colour, "cloth", 0.7))
    return rack, join(coats)


def poster(rng: Rng, wide: float, tall: float) -> Mesh:
    """A sheet of print on a wall that faces -y, lower edge at z = 0."""
    paper = grey(rng, 0.35, 0.9) * np.array([1, rng.uniform(0.6, 1.0), rng.uniform(0.5, 1.0)])
    corners = [(-wide / 2, 0, 0), (wide / 2, 0, 0), (wide / 2, 0, tall), (-wide / 2, 0, tall)]
    return quad(corners, paper, "poster")


def parked_pram(rng: Rng) -> Mesh:
    """A pram that nobody holds."""
    return pram(rng).moved((0, 0.4, 0))


def parked_case(rng: Rng) -> Mesh:
    """A trolley case that nobody holds."""
    return suitcase(rng).moved((0, -0.4, 0))


FURNITURE = (
    shelf,
    table,
    table,
    chair,
    chair,
    plant,
    plant,
    signboard,
    signboard,
    vending_machine,
    barrier,
    bin_or_box,
)
# What a detector may take for a person, parked or standing about.
DECOYS = (
    *FURNITURE,
    *(parked_pram,) * 5,
    *(parked_case,) * 3,
    *(signboard,) * 3,
    plant,
    bin_or_box,
)
