# SPDX-License-Identifier: Apache-2.0
"""Baked bodies: dressed figures as plain arrays, loaded without torch or anny.

A body stands in its rest pose (arms down at about 45 degrees), faces -y, x to its left, z up, soles on z = 0, metres.
Bodies are made by `python -m models.synthetic bake` and kept outside the repository, one `.npz` a body.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.synthetic.stature import Human, Sex

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

# What a face of the mesh is made of; colours are given at render time. Every body has TOP or COAT, and BOTTOM or SKIRT.
PARTS = (
    "skin",
    "hair",
    "top",
    "bottom",
    "shoes",
    "eyes",
    "inner",
    "coat",
    "skirt",
    "hat",
    "brow",
    "lips",
    "socks",
)
PART = {name: number for number, name in enumerate(PARTS)}
UPPER_CLOTHES = (PART["top"], PART["coat"])
LOWER_CLOTHES = (PART["bottom"], PART["skirt"], PART["coat"])

# First seed of each set; the sets share no body. "sample" is a handful that comes with the code, for tests.
SETS = {"train": 10_000, "heldout": 20_000, "demo": 30_000, "sample": 60_000}
FORMAT = 4


class BodiesMissingError(RuntimeError):
    """No baked bodies where they are looked for; baking them helps."""


@dataclass(frozen=True)
class Skeleton:
    """Bone names and parents, parents before children; -1 is the root."""

    names: tuple[str, ...]
    parents: tuple[int, ...]

    def index(self, name: str) -> int:
        """The bone's row."""
        return self.names.index(name)


@dataclass(frozen=True)
class Body:
    """One dressed figure: rest mesh (V vertices, T triangles), up to four bones a vertex, bone heads (B, 3)."""

    key: str
    human: Human
    vertices: F32
    faces: I32
    parts: NDArray[np.uint8]
    weights: F32
    bones: I32
    heads: F32
    skeleton: Skeleton
    outfit: dict[str, Any]

    @property
    def leg_m(self) -> float:
        """Hip joint height in metres."""
        return float(self.heads[self.skeleton.index("upperleg01.L"), 2])

    def head(self, bone: str) -> F32:
        """Where the bone starts in the rest pose, metres."""
        return np.asarray(self.heads[self.skeleton.index(bone)], np.float32)

    def is_clothed(self) -> bool:
        """True when the figure wears something above and below the waist."""
        worn = np.bincount(self.parts[self.faces[:, 0]], minlength=len(PARTS))
        return bool(worn[list(UPPER_CLOTHES)].sum() > 100 and worn[list(LOWER_CLOTHES)].sum() > 80)


def cache_dir() -> Path:
    """Where baked bodies are kept: $NIGIWAI_SYNTHETIC_DIR, else ~/.cache/nigiwai/synthetic."""
    return Path(os.environ.get("NIGIWAI_SYNTHETIC_DIR", "~/.cache/nigiwai/synthetic")).expanduser()


def set_folder(which: str, directory: Path | None = None) -> Path:
    """Where a set's bodies lie: the cache (or `directory`); the sample beside this file."""
    return Path(__file__).parent / "sample" if which == "sample" else (directory or cache_dir()) / which


def save_body(body: Body, path: Path) -> None:
    """Write a body; refuse one that is not clothed."""
    if not body.is_clothed():
        raise ValueError(f"{path}: the figure is not clothed, it is not written")
    about = {
        "format": FORMAT,
        "key": body.key,
        "age": body.human.age,
        "sex": body.human.sex,
        "stature_m": body.human.stature_m,
        "bones": body.skeleton.names,
        "parents": body.skeleton.parents,
        "outfit": body.outfit,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp.npz")
    np.savez_compressed(
        temporary,
        about=np.array(json.dumps(about)),
        vertices=np.round(body.vertices, 4).astype(np.float32),
        faces=body.faces.astype(np.uint16),
        parts=body.parts,
        weights=np.round(body.weights * 255).astype(np.uint8),
        bones=body.bones.astype(np.uint8),
        heads=np.round(body.heads, 4).astype(np.float32),
    )
    temporary.rename(path)


def load_body(path: Path) -> Body:
    """Read a baked body. Raises ValueError for another format or an unclothed figure."""
    with np.load(path) as data:
        about = json.loads(str(data["about"]))
        if about.get("format") != FORMAT:
            raise ValueError(f"{path}: format {about.get('format')!r}, {FORMAT} is needed; bake the bodies again")
        weights = data["weights"].astype(np.float32)
        weights /= np.maximum(weights.sum(1, keepdims=True), 1)
        sex: Sex = "f" if about["sex"] == "f" else "m"
        body = Body(
            key=about["key"],
            human=Human(about["age"], sex, about["stature_m"]),
            vertices=data["vertices"],
            faces=data["faces"].astype(np.int32),
            parts=data["parts"],
            weights=weights,
            bones=data["bones"].astype(np.int32),
            heads=data["heads"],
            skeleton=Skeleton(tuple(about["bones"]), tuple(about["parents"])),
            outfit=about["outfit"],
        )
    if not body.is_clothed():
        raise ValueError(f"{path}: the figure is not clothed")
    return body


def load_bodies(which: str, directory: Path | None = None) -> list[Body]:
    """All bodies of a set, by key. Raises BodiesMissingError when there are none."""
    folder = set_folder(which, directory)
    paths = sorted(folder.glob("[0-9]*.npz"))
    if not paths:
        raise BodiesMissingError(f"{folder}: no bodies; make them with `python -m models.synthetic bake --set {which}`")
    return [load_body(path) for path in paths if not path.name.endswith(".tmp.npz")]
