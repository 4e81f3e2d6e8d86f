# SPDX-License-Identifier: Apache-2.0
"""Dressing a form: garments, shoes and hair around it, and the body under the clothes deleted.

There is one way through this module and it always dresses: `dress` picks an upper and a lower garment first and keeps
only the head, neck, hands, and bare forearms or shins that the garments leave open.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.synthetic.bodies import F32, I32, PART, Body
from models.synthetic.figure import ARMS, BODY_END, EYES, FOREARMS, HANDS, LEGS, Form, Tailor, unit_normals
from models.synthetic.mhclo import Garment, read_garment

Mask = NDArray[np.bool_]
LONG_TOPS = (
    "male_casualsuit02",
    "male_casualsuit03",
    "male_casualsuit05",
    "male_elegantsuit01",
    "female_elegantsuit01",
)
SHORT_TOPS = ("male_casualsuit04", "male_casualsuit06", "female_casualsuit01")
TROUSERS = ("male_casualsuit02", "male_elegantsuit01", "female_casualsuit01")
SHOES = ("shoes01", "shoes02", "shoes03", "shoes05")
LONG_HAIR = ("bob01", "bob02", "bob02", "braid01", "long01", "ponytail01", "ponytail01", "helper")
SHORT_HAIR = ("short02", "short02", "short03", "short04", "short04", "cap", "cap")


@dataclass(frozen=True)
class Outfit:
    """What a figure wears; names of garments, lengths as fractions of the leg, thickness in metres."""

    top: str
    long_sleeves: bool
    bottom: str
    hem: float
    coat: float
    loose_m: float
    hair: str
    hat: str
    shoes: str


@dataclass
class Pile:
    """Sub-meshes gathered so far, with their bones."""

    vertices: list[F32] = field(default_factory=list)
    faces: list[I32] = field(default_factory=list)
    parts: list[NDArray[np.uint8]] = field(default_factory=list)
    weights: list[F32] = field(default_factory=list)
    bones: list[I32] = field(default_factory=list)

    def add(self, part: int, vertices: F32, faces: I32, weights: F32, bones: I32) -> None:
        """Add the used part of a mesh."""
        if not len(faces):
            return
        used, compact = np.unique(faces, return_inverse=True)
        start = sum(len(v) for v in self.vertices)
        self.vertices.append(vertices[used])
        self.faces.append((compact.reshape(-1, 3) + start).astype(np.int32))
        self.parts.append(np.full(len(used), part, np.uint8))
        self.weights.append(weights[used])
        self.bones.append(bones[used])


def choose_outfit(form: Form, rng: np.random.Generator, garments: bool) -> Outfit:
    """An outfit for this age and sex; `garments` tells whether MakeHuman's fitted garments are at hand."""
    child, elder, female = form.human.age < 13, form.human.age >= 65, form.human.sex == "f"
    coat = float(rng.uniform(0.35, 0.95)) if rng.random() < (0.12 if child else 0.27) else 0.0
    long_sleeves = bool(coat or rng.random() < (0.75 if elder else 0.6))
    kind = rng.random()
    bottom, hem = "trousers", 0.06
    if female and kind < (0.35 if not elder else 0.15):
        bottom, hem = "skirt", float(rng.choice([rng.uniform(0.5, 0.6), rng.uniform(0.18, 0.45)]))
    elif kind > (0.6 if child else 0.9):
        bottom, hem = "shorts", float(rng.uniform(0.45, 0.62))
    top = "helper"
    if garments and rng.random() < 0.75:
        top = str(rng.choice(LONG_TOPS[:4] if (child or not female) and long_sleeves else LONG_TOPS))
        if not long_sleeves:
            top = str(rng.choice(SHORT_TOPS))
    if garments and bottom == "trousers" and rng.random() < 0.6:
        bottom = str(rng.choice(TROUSERS))
    long_hair = female and rng.random() < (0.45 if elder else 0.75)
    hair = str(rng.choice(LONG_HAIR if long_hair else SHORT_HAIR))
    if not garments:
        hair = "helper" if long_hair else "cap"
    if elder and not female and rng.random() < 0.25:
        hair = "bald"
    hat = str(rng.choice(["none", "cap", "brim", "beanie"], p=[0.8, 0.1, 0.06, 0.04]))
    if hat != "none" and hair not in ("helper", "long01", "braid01"):
        hair = "cap"
    return Outfit(
        top,
        long_sleeves,
        bottom,
        hem,
        coat,
        float(rng.uniform(0.006, 0.026)),
        hair,
        hat,
        str(rng.choice(SHOES)) if garments else "helper",
    )


class Wardrobe:
    """Fitted MakeHuman garments, read once; empty when the folder is missing."""

    def __init__(self, folder: Path | None) -> None:
        self._paths = {p.stem: p for p in folder.rglob("*.mhclo")} if folder else {}
        self._read: dict[str, Garment] = {}

    def __bool__(self) -> bool:
        return bool(self._paths)

    def get(self, name: str) -> Garment:
        """The garment of that name. Raises KeyError when it is not in the wardrobe."""
        if name not in self._read:
            self._read[name] = read_garment(self._paths[name])
        return self._read[name]


class Dresser:
    """Dresses one form into one body."""

    def __init__(
        self, tailor: Tailor, form: Form, outfit: Outfit, wardrobe: Wardrobe, rng: np.random.Generator
    ) -> None:
        self.tailor, self.form, self.outfit, self.wardrobe, self.rng = tailor, form, outfit, wardrobe, rng
        self.v, self.pile, self.scale = form.vertices, Pile(), form.human.stature_m / 1.7
        groups = tailor.groups
        self.n_body = unit_normals(self.v, groups["body"])
        helpers = np.concatenate([groups["helper-tights"], groups["helper-skirt"], groups["helper-hair"]])
        self.n_cloth = unit_normals(self.v, helpers)
        self.arms, self.hands, self.legs = (tailor.moved_by(p) for p in (ARMS, HANDS, LEGS))
        self.forearms, self.feet = tailor.moved_by(FOREARMS), tailor.moved_by(("foot", "toe"))
        self.headed = tailor.moved_by(("head", "neck02", "neck03", "eye"))
        self.skull = tailor.moved_by(("head",))
        self.eye = self.v[EYES].mean(0)
        self.crown = float(self.v[:BODY_END, 2].max())
        self.head_m = self.crown - float(self.eye[2])

    def joint(self, bone: str) -> F32:
        """Where a bone starts, metres."""
        return np.asarray(self.form.heads[self.tailor.skeleton.index(bone)], np.float32)

    def base(self, part: str, faces: I32, vertices: F32 | None = None, hips: float = 0.0) -> None:
        """Add faces of the base mesh; `hips` mixes in that much of the root bone, so that a skirt hangs together."""
        weights, bones = self.tailor.weights, self.tailor.bones
        if hips:
            weights = np.concatenate([weights[:, :3] * (1 - hips), np.full((len(weights), 1), hips)], 1)
            weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
            bones = np.concatenate([bones[:, :3], np.zeros((len(bones), 1), np.int32)], 1)
        self.pile.add(PART[part], self.v if vertices is None else vertices, faces, weights, bones)

    def fitted(self, name: str, keep: str) -> bool:
        """Add a garment's upper or lower half; False when the wardrobe lacks it."""
        try:
            garment = self.wardrobe.get(name)
        except KeyError:
            return False
        vertices, faces = garment.fit(self.v), garment.faces
        strongest = garment.anchors[np.arange(len(vertices)), garment.weights.argmax(1)]
        weights, bones = self.tailor.weights[strongest], self.tailor.bones[strongest]
        arm, leg = (
            self.arms[strongest],
            self.legs[strongest] & (vertices[:, 2] < self.joint("upperleg01.L")[2]),
        )
        label = garment.components
        has_arm = np.bincount(label, arm, minlength=len(label))[label] > 0
        has_leg = np.bincount(label, leg, minlength=len(label))[label] > 20
        if keep == "any":
            self.pile.add(PART["hair"], vertices, faces, weights, bones)
            return True
        lower = has_leg & ~has_arm
        if keep == "lower":
            self.pile.add(PART["bottom"], vertices, faces[lower[faces].all(1)], weights, bones)
            return True
        inner = ~has_arm & ~lower
        grow = unit_normals(vertices, faces) * np.float32(0.004 * self.scale)
        self.pile.add(PART["top"], vertices + grow, faces[has_arm[faces].all(1)], weights, bones)
        self.pile.add(PART["inner"], vertices, faces[inner[faces].all(1)], weights, bones)
        return True

    def shoe(self, name: str) -> None:
        """Shoes, fitted or swollen feet."""
        try:
            garment = self.wardrobe.get(name)
        except KeyError:
            faces = self.tailor.groups["body"]
            swollen = self.v + self.n_body * np.float32(0.011 * self.scale)
            self.base("shoes", faces[self.feet[faces].all(1)], swollen)
            return
        strongest = garment.anchors[np.arange(len(garment.anchors)), garment.weights.argmax(1)]
        self.pile.add(
            PART["shoes"],
            garment.fit(self.v),
            garment.faces,
            self.tailor.weights[strongest],
            self.tailor.bones[strongest],
        )

    def folds(self) -> F32:
        """Small waves (V,) in -1..1 that stand for folds."""
        x, y, z = self.v.T / np.float32(self.scale)
        return np.asarray(0.5 * np.sin(z * 38 + x * 9) + 0.5 * np.sin(z * 61 - y * 23 + x * 31), np.float32)

    def shell(self, part: str, wanted: Mask, out_m: float | F32, fold_m: float) -> None:
        """Add helper-tights faces whose vertices are all wanted, moved outwards (by one distance or one a vertex)."""
        faces = self.tailor.groups["helper-tights"]
        grow = (out_m + fold_m * self.folds())[:, None] * self.n_cloth * self.scale
        self.base(part, faces[wanted[faces].all(1)], (self.v + grow).astype(np.float32))

    def skirt(self, part: str, cut_m: float, out_m: float, flare: float) -> None:
        """Add the helper skirt down to a height, flared towards the hem."""
        faces, vertices = (
            self.tailor.groups["helper-skirt"],
            self.v + self.n_cloth * np.float32(out_m * self.scale),
        )
        hip = float(self.joint("upperleg01.L")[2])
        below = np.clip((hip - self.v[:, 2]) / hip, 0, 1)[:, None]
        middle = np.array([0, float(self.joint("root")[1]), 0], np.float32)
        spread = (vertices - middle) * np.array([1, 1, 0], np.float32) * (flare * below)
        self.base(
            part,
            faces[(self.v[:, 2] > cut_m)[faces].all(1)],
            (vertices + spread).astype(np.float32),
            hips=0.35,
        )

    def wear_top(self) -> None:
        """Upper garment: fitted, or a shell over torso and arms."""
        o = self.outfit
        if o.top != "helper" and self.fitted(o.top, "upper"):
            return
        hip, neck = float(self.joint("upperleg01.L")[2]), float(self.joint("neck01")[2])
        wanted = (self.arms | (self.v[:, 2] > hip + 0.02 * self.scale)) & ~self.hands & ~self.headed
        wanted &= self.v[:, 2] < neck + 0.03 * self.scale
        if not o.long_sleeves:
            wanted &= ~self.forearms
        hem = np.clip(1 - (self.v[:, 2] - hip) / (0.22 * self.scale), 0, 1) * ~self.arms
        self.shell("top", wanted, (o.loose_m + 0.006 + 0.014 * hem).astype(np.float32), 0.005)

    def wear_bottom(self) -> None:
        """Lower garment: trousers, shorts or a skirt."""
        o, hip = self.outfit, float(self.joint("upperleg01.L")[2])
        waist = float(self.joint("spine04")[2])
        if o.bottom == "skirt":
            self.skirt("skirt", o.hem * hip, 0.008 + o.loose_m * 0.5, float(self.rng.uniform(0.0, 0.45)))
            self.shell("skirt", (self.v[:, 2] < waist) & (self.v[:, 2] > hip * 0.93) & ~self.arms, 0.006, 0.0)
            return
        if o.bottom not in ("trousers", "shorts") and self.fitted(o.bottom, "lower"):
            return
        wanted = (self.v[:, 2] < waist) & ~self.arms & ~self.hands & (self.v[:, 2] > o.hem * hip) & ~self.feet
        slack = np.clip((hip * 0.98 - self.v[:, 2]) / (0.12 * self.scale), 0.1, 1)
        self.shell("bottom", wanted, (0.004 + o.loose_m * 0.8 * slack).astype(np.float32), 0.003)

    def wear_coat(self) -> None:
        """A coat over everything, down to a fraction of the leg."""
        hip, neck = float(self.joint("upperleg01.L")[2]), float(self.joint("neck01")[2])
        thick = float(self.rng.uniform(0.022, 0.04))
        wanted = (self.arms | (self.v[:, 2] > hip * 0.97)) & ~self.hands & ~self.headed
        wanted &= self.v[:, 2] < neck + 0.05 * self.scale
        self.shell("coat", wanted, thick, 0.006)
        if self.outfit.coat < 0.9:
            self.skirt("coat", self.outfit.coat * hip, thick, float(self.rng.uniform(0.05, 0.3)))

    def bare(self) -> None:
        """The skin that an outfit leaves open: head, neck, hands, and forearms or shins; nothing else exists."""
        o, body = self.outfit, self.tailor.groups["body"]
        neck, hip = float(self.joint("neck01")[2]), float(self.joint("upperleg01.L")[2])
        keep = self.headed | self.hands | (self.tailor.moved_by(("neck",)) & (self.v[:, 2] > neck - 0.07 * self.scale))
        if not o.long_sleeves and not o.coat:
            keep |= self.arms
        if o.bottom in ("skirt", "shorts"):
            keep |= self.legs & (self.v[:, 2] < (o.hem + 0.1) * hip)
        keep &= ~self.feet if o.shoes == "helper" else np.ones(len(keep), bool)
        cavity = self.skull & (self.n_body[:, 1] > 0) & (self.v[:, 1] < self.eye[1] + 0.5 * self.head_m)
        cavity &= (abs(self.v[:, 0]) < 0.5 * self.head_m) & (self.v[:, 2] < self.eye[2] + 0.3 * self.head_m)
        open_faces = body[keep[body].all(1) & ~cavity[body].all(1) & ~self.feet[body].any(1)]
        self.paint_head(open_faces)
        for side in ("l", "r"):
            self.base("eyes", self.tailor.groups[f"helper-{side}-eye"])

    def paint_head(self, faces: I32) -> None:
        """Split skin faces into skin, scalp hair, brows and lips."""
        x, y, z = self.v.T
        h, ez = self.head_m, float(self.eye[2])
        back = np.clip((y - self.eye[1]) / (h * 1.1), 0, 1.4)
        line = ez + h * (0.55 - 0.75 * np.clip((back - 0.35) / 0.5, 0, 1) - 0.5 * np.clip(back * 0.7 - 0.6, 0, 1))
        scalp = self.skull & (z > line) & ~((back < 0.75) & (z < ez + h * 0.15))
        if self.outfit.hair == "bald":
            scalp &= z < ez + h * 0.45
        front = back < 0.18
        brow = self.skull & front & (abs(z - ez - 0.16 * h) < 0.05 * h) & (abs(x) > 0.09 * h) & (abs(x) < 0.45 * h)
        lips = self.skull & front & (abs(z - ez + 0.62 * h) < 0.07 * h) & (abs(x) < 0.22 * h)
        swell = np.clip((z - line) / (h * 0.35), 0, 1) * h * self.rng.uniform(0.06, 0.2) * scalp
        if self.outfit.hair == "bald":
            swell *= 0.1
        shaped = (self.v + self.n_body * swell[:, None]).astype(np.float32)
        is_hair, is_brow, is_lips = (m[faces].all(1) for m in (scalp, brow, lips))
        self.base("hair", faces[is_hair], shaped)
        self.base("brow", faces[is_brow & ~is_hair], shaped)
        self.base("lips", faces[is_lips & ~is_hair & ~is_brow], shaped)
        self.base("skin", faces[~is_hair & ~is_brow & ~is_lips], shaped)

    def wear_hair(self) -> None:
        """Hair beyond the scalp: a fitted mesh or the helper mesh of long hair."""
        name = self.outfit.hair
        if name in ("cap", "bald") or (name != "helper" and self.fitted(name, "any")):
            return
        faces = self.tailor.groups["helper-hair"]
        cut = float(self.joint("neck01")[2]) - float(self.rng.uniform(-0.02, 0.25)) * self.scale
        grown = self.v + self.n_cloth * np.float32(0.007 * self.scale)
        self.base("hair", faces[(self.v[:, 2] > cut)[faces].all(1)], grown)

    def wear_hat(self) -> None:
        """A cap, brimmed hat or beanie: a dome over the skull and a brim."""
        if self.outfit.hat == "none":
            return
        skull = self.v[:BODY_END][self.skull[:BODY_END] & (self.v[:BODY_END, 2] > self.eye[2] + 0.3 * self.head_m)]
        low, high = skull.min(0), skull.max(0)
        middle = (low + high) / 2
        radius = (high - low) / 2 + np.array([0.018, 0.018, 0], np.float32) * self.scale
        rim = float(self.eye[2] + 0.42 * self.head_m)
        tall = self.crown + 0.02 * self.scale - rim
        dome, faces = dome_mesh(np.array([middle[0], middle[1], rim]), radius[0], radius[1], tall, self.outfit.hat)
        head = self.tailor.skeleton.index("head")
        weights = np.tile(np.array([1, 0, 0, 0], np.float32), (len(dome), 1))
        self.pile.add(PART["hat"], dome, faces, weights, np.full((len(dome), 4), head, np.int32))


def dome_mesh(rim: NDArray[np.float64], rx: float, ry: float, tall: float, kind: str) -> tuple[F32, I32]:
    """A hat: half an ellipsoid with a peak in front (cap) or a brim all round (brim)."""
    turn = np.linspace(0, 2 * np.pi, 21)[:-1]
    front = np.clip(-np.sin(turn), 0, 1) ** 2
    brim = {"cap": 0.55 * front, "brim": np.full(20, 0.45), "beanie": np.zeros(20)}[kind]
    rings = [np.stack([np.cos(turn) * rx * (1 + brim), np.sin(turn) * ry * (1 + brim), np.full(20, -0.012)], 1)]
    for rise in np.linspace(0, 1, 6):
        wide = np.sqrt(max(0.0, 1 - rise**2.6))
        rings.append(np.stack([np.cos(turn) * rx * wide, np.sin(turn) * ry * wide, np.full(20, tall * rise)], 1))
    faces = []
    for ring in range(len(rings) - 1):
        for k in range(20):
            a, b = ring * 20 + k, ring * 20 + (k + 1) % 20
            faces += [(a, b, b + 20), (a, b + 20, a + 20)]
    return (np.concatenate(rings) + rim).astype(np.float32), np.array(faces, np.int32)


def dress(tailor: Tailor, form: Form, wardrobe: Wardrobe, key: str, rng: np.random.Generator) -> Body:
    """A clothed body from a form. Raises ValueError when the clothes do not cover it."""
    outfit = choose_outfit(form, rng, bool(wardrobe))
    dresser = Dresser(tailor, form, outfit, wardrobe, rng)
    dresser.wear_bottom()
    if outfit.coat:  # closed: what is under it would only poke through
        dresser.wear_coat()
    else:
        dresser.wear_top()
    dresser.shoe(outfit.shoes)
    dresser.bare()
    dresser.wear_hair()
    dresser.wear_hat()
    pile = dresser.pile
    body = Body(
        key,
        form.human,
        np.concatenate(pile.vertices),
        np.concatenate(pile.faces),
        np.concatenate(pile.parts),
        np.concatenate(pile.weights),
        np.concatenate(pile.bones),
        form.heads,
        tailor.skeleton,
        dict(vars(outfit)),
    )
    if not body.is_clothed():
        raise ValueError(f"{key}: the clothes do not cover the figure: {outfit}")
    return body
