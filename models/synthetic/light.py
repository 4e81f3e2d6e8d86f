# SPDX-License-Identifier: Apache-2.0
"""Light: a key with shadows (lamps or sun), the door as a large soft source, ambient from above and below, panoramas.

All values are linear and relative; the camera's exposure brings them to a picture (damage.py).
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Colour = tuple[float, float, float]
INDOOR = ("empty_warehouse", "lebombo", "esplanade", "hall", "lab", "lobby", "workshop", "st_fagans")
OUTDOOR = ("potsdamer", "rooitou", "adams_place", "esplanade")


@dataclass(frozen=True)
class Light:
    """Key direction (towards the light) and colours; `soft` is the shadow blur in shadow-map texels."""

    key_direction: Colour
    key_colour: Colour
    door_direction: Colour
    door_colour: Colour
    up_light: Colour
    down_light: Colour
    soft: float
    shadow_floor: float
    name: str


@dataclass(frozen=True)
class Panorama:
    """An environment picture (H, W, 3), linear, mean about 0.5; turn in radians; gain; where it was taken (metres)."""

    picture: F32
    turn: float
    gain: float
    centre: Colour
    name: str


def panorama_folder() -> Path | None:
    """Folder of `.hdr` panoramas ($NIGIWAI_SYNTHETIC_PARTS/hdri), or None."""
    root = os.environ.get("NIGIWAI_SYNTHETIC_PARTS")
    folder = Path(root) / "hdri" if root else None
    return folder if folder and folder.is_dir() else None


@lru_cache(maxsize=16)
def read_panorama(path: Path) -> F32:
    """A panorama scaled to a median luminance of 0.3, cut at 12 (the sun itself comes from the key light)."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise ValueError(f"{path}: not a picture that OpenCV reads")
    picture = picture[:, :, ::-1].astype(np.float32)
    picture *= 0.3 / max(float(np.median(picture.mean(2))), 1e-6)
    return np.asarray(np.clip(picture, 0, 12), np.float32)


def painted_panorama(rng: np.random.Generator) -> F32:
    """A stand-in without files: sky, a band of blocks at the horizon, ground."""
    rows = np.linspace(0, 1, 256, dtype=np.float32)[:, None, None]
    sky = np.array([0.5, 0.62, 0.8], np.float32) * (0.7 + 0.9 * rows)
    ground = np.full((1, 1, 3), 0.28, np.float32) * rng.uniform(0.7, 1.2)
    picture = np.where(rows < 0.5, sky, ground) * np.ones((256, 512, 1), np.float32)
    for _ in range(60):
        x, wide, tall = rng.integers(0, 512), rng.integers(8, 50), rng.integers(3, 40)
        picture[128 - tall : 132, x : x + wide] = rng.uniform(0.08, 0.5) * rng.uniform(0.85, 1.15, 3)
    return np.asarray(cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.0), np.float32)


def choose_panorama(rng: np.random.Generator, indoor: bool) -> Panorama:
    """A panorama for the surroundings, turned at random."""
    folder = panorama_folder()
    names = INDOOR if indoor else OUTDOOR
    paths = sorted(p for p in folder.glob("*.hdr") if any(n in p.name for n in names)) if folder else []
    number, turn = rng.random(), float(rng.uniform(0, 2 * np.pi))
    if paths:
        path = paths[int(number * len(paths))]
        return Panorama(read_panorama(path), turn, float(rng.uniform(0.7, 1.5)), (0.0, 0.0, 1.6), path.stem)
    return Panorama(painted_panorama(rng), turn, 1.0, (0.0, 0.0, 1.6), "painted")


def unit(v: NDArray[np.float64] | list[float]) -> Colour:
    """The direction of v."""
    a = np.asarray(v, float)
    a = a / np.linalg.norm(a)
    return float(a[0]), float(a[1]), float(a[2])


def tint(level: float, warm: float) -> Colour:
    """A light colour: level, and warmth from -1 (blue sky) to 1 (lamp)."""
    return level * (1 + 0.16 * warm), level, level * (1 - 0.22 * warm)


def indoor_light(rng: np.random.Generator, backlight: float) -> Light:
    """Ceiling lamps; `backlight` 0..1 is how much the open door outshines them."""
    warm = float(rng.uniform(-0.35, 0.8))
    level = float(rng.uniform(0.5, 1.0))
    door = float(level * (0.12 + 1.7 * backlight * rng.uniform(0.5, 1.0)))
    return Light(
        unit([rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), 1.0]),
        tint(level * rng.uniform(0.3, 0.9), warm),
        unit([rng.uniform(-0.3, 0.3), 1.0, 0.35]),
        tint(door, float(rng.uniform(-0.6, 0.1))),
        tint(level * rng.uniform(0.5, 0.8), warm),
        tint(level * rng.uniform(0.15, 0.4), warm * 0.7),
        float(rng.uniform(2.0, 6.0)),
        float(rng.uniform(0.45, 0.75)),
        "indoor",
    )


def outdoor_light(rng: np.random.Generator) -> Light:
    """Noon to dusk: the sun sinks, warms and fades, or clouds hide it."""
    height = float(rng.uniform(0.08, 1.0))
    sunny = rng.random() < 0.55
    turn = float(rng.uniform(0, 2 * np.pi))
    flat = float(np.sqrt(1 - height**2 * 0.9))
    sun = float((1.6 if sunny else 0.25) * (0.4 + 0.6 * height))
    warm = float(0.9 - 1.1 * height)
    sky = float(rng.uniform(0.45, 0.8) * (0.35 + 0.65 * height))
    direction = unit([flat * np.cos(turn), flat * np.sin(turn), max(height, 0.22)])
    return Light(
        direction,
        tint(sun, warm),
        unit([0.2, 1.0, 0.5]),
        tint(0.08, 0.0),
        tint(sky, warm - 0.6),
        tint(sky * 0.4, warm * 0.4),
        float(rng.uniform(0.8, 1.6) if sunny else 7.0),
        0.45 if sunny else 0.8,
        "sun" if sunny else "cloud",
    )
