# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 - colour tables
"""Colours: what people in Japan wear in the street, skin and hair, as linear light.

Muted on purpose: black, white, grey, navy, beige and denim make up most of it, with a few accents; children's clothes
are a little brighter. Shares are our own choice, not a survey.
"""

import numpy as np
from numpy.typing import NDArray

from models.synthetic.bodies import F32, PARTS, Body
from models.synthetic.mesh import MATERIAL

Colour = tuple[int, int, int]

TOPS: list[tuple[Colour, float]] = [
    ((28, 28, 30), 16), ((236, 234, 228), 15), ((150, 150, 150), 8), ((95, 97, 100), 6), ((34, 42, 66), 13),
    ((205, 190, 165), 9), ((228, 218, 200), 6), ((92, 84, 66), 5), ((120, 140, 165), 6), ((88, 40, 44), 3),
    ((170, 180, 190), 5), ((120, 92, 70), 3), ((150, 60, 55), 2), ((190, 160, 170), 3), ((200, 165, 70), 1.5), ((70, 95, 88), 3),
]  # fmt: skip
BRIGHT: list[tuple[Colour, float]] = [
    ((190, 60, 60), 2), ((235, 200, 90), 2), ((90, 150, 200), 3), ((240, 175, 190), 3), ((110, 175, 120), 2), ((245, 245, 245), 3),
]  # fmt: skip
BOTTOMS: list[tuple[Colour, float]] = [
    ((26, 26, 28), 20), ((36, 42, 60), 13), ((52, 68, 98), 14), ((92, 116, 150), 7), ((80, 80, 82), 9), ((180, 165, 138), 10),
    ((105, 92, 72), 6), ((225, 220, 210), 4), ((70, 66, 50), 4), ((140, 140, 140), 4),
]  # fmt: skip
COATS: list[tuple[Colour, float]] = [
    ((24, 24, 26), 20), ((30, 36, 54), 14), ((170, 145, 112), 12), ((85, 85, 88), 9), ((75, 72, 54), 7), ((60, 48, 40), 6),
    ((215, 208, 195), 4), ((96, 38, 40), 2),
]  # fmt: skip
SHOES: list[tuple[Colour, float]] = [
    ((22, 22, 22), 20), ((228, 226, 222), 14), ((70, 48, 34), 10), ((110, 110, 112), 6), ((40, 46, 66), 5), ((150, 120, 90), 3),
]  # fmt: skip
SKINS: list[tuple[Colour, float]] = [
    ((232, 196, 170), 10), ((224, 184, 154), 14), ((212, 168, 136), 10), ((238, 208, 186), 6), ((196, 150, 118), 4),
    ((150, 104, 78), 1.5), ((96, 64, 48), 1),
]  # fmt: skip
HAIRS: list[tuple[Colour, float]] = [
    ((22, 19, 18), 20),
    ((38, 29, 24), 12),
    ((62, 44, 32), 7),
    ((104, 74, 48), 2),
]
GREY_HAIRS: list[tuple[Colour, float]] = [
    ((120, 118, 116), 4),
    ((190, 188, 184), 5),
    ((66, 62, 60), 4),
    ((28, 25, 24), 3),
]
CLOTH_SHARES = (("cloth", 0.62), ("stripes", 0.12), ("check", 0.12), ("print", 0.14))


def linear(colour: Colour | NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB bytes to linear light 0..1."""
    c = np.asarray(colour, float) / 255
    return np.asarray(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4))


def pick(choices: list[tuple[Colour, float]], rng: np.random.Generator) -> NDArray[np.float64]:
    """A linear colour drawn by weight, slightly varied."""
    weights = np.array([w for _, w in choices])
    colour = np.array(choices[int(rng.choice(len(choices), p=weights / weights.sum()))][0], float)
    return linear(np.clip(colour + rng.normal(0, 7) + rng.normal(0, 3, 3), 8, 248))


def cloth_material(rng: np.random.Generator, child: bool) -> str:
    """Plain, striped, checked or printed."""
    names, shares = zip(*CLOTH_SHARES, strict=True)
    p = np.array(shares) + (np.array([0.0, 0.05, 0.0, 0.1]) if child else 0)
    return str(rng.choice(np.array(names), p=p / p.sum()))


def colour_body(body: Body, rng: np.random.Generator) -> tuple[F32, F32]:
    """Linear colour (V, 3) and material number (V,) for every vertex of a body; every part gets one."""
    child, elder = body.human.age < 13, body.human.age >= 62
    skin = pick(SKINS, rng)
    hair = pick(GREY_HAIRS if elder and rng.random() < 0.8 else HAIRS, rng)
    bottom, top = pick(BOTTOMS, rng), pick(BRIGHT if child and rng.random() < 0.4 else TOPS, rng)
    denim = bool(bottom[2] > bottom[0] * 1.25)
    dress = "skirt" in (body.outfit.get("bottom"),) and rng.random() < 0.45
    suit = body.outfit.get("top") == "male_elegantsuit01" and rng.random() < 0.8
    if suit:
        top = bottom = pick(BOTTOMS[:5], rng)
        denim = False
    upper = "cloth" if suit else cloth_material(rng, child)
    lower = "denim" if denim else "cloth"
    looks: dict[str, tuple[NDArray[np.float64], str]] = {
        "skin": (skin, "skin"),
        "hair": (hair, "hair"),
        "top": (top, upper),
        "bottom": (bottom, lower),
        "shoes": (pick(SHOES, rng), "plain"),
        "eyes": (linear((42, 34, 32)), "plain"),
        "inner": (pick(TOPS, rng), "cloth"),
        "coat": (pick(COATS, rng), "cloth"),
        "skirt": (top if dress else pick(BOTTOMS, rng), upper if dress else "cloth"),
        "hat": (pick(TOPS, rng), "cloth"),
        "brow": (0.6 * hair + 0.25 * skin, "plain"),
        "lips": (skin * np.array([0.85, 0.6, 0.6]), "skin"),
        "socks": (pick(TOPS, rng), "plain"),
    }
    colours = np.stack([looks[name][0] for name in PARTS]).astype(np.float32)
    materials = np.array([MATERIAL[looks[name][1]] for name in PARTS], np.float32)
    return colours[body.parts], materials[body.parts]
