# SPDX-License-Identifier: Apache-2.0
"""Decodes the real images into the cache: `python -m models.training.prepare DATA CACHE`.

DATA is a folder with `person-boxes/` (train-*.tar, valid.tar), `unlabelled/` (GIFs) and `synthetic-parts/hdri/`
(panoramas of places without people, from which plain views are cut); what is absent is reported.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from models.training.boxes import Floats
from models.training.cache import ImageSet, build_set
from models.training.errors import Skipped
from models.training.kept import take
from models.training.shards import Labelled, read_animation, read_shard


def prepare(data: Path, cache: Path) -> list[str]:
    """Builds the sets `train`, `valid` and one for each animation; returns their names."""
    skipped, names = Skipped(), []
    for name, pattern in (("train", "train-*.tar"), ("valid", "valid*.tar")):
        shards = sorted((data / "person-boxes").glob(pattern))
        if not shards:
            print(f"{name}: no {pattern} in {data / 'person-boxes'}")
            continue
        items = chain.from_iterable(read_shard(shard, skipped) for shard in shards)
        made = build_set(cache, name, items, 1_000_000)
        names.append(name)
        print(f"{name}: {len(made)} images, {sum(len(b) for b in made.xyxy)} boxes{taught(made, cache)}")
    for path in sorted((data / "unlabelled").glob("*.gif")):
        name = f"unlabelled-{path.stem}"
        made = build_set(cache, name, read_animation(path), 1_000_000)
        names.append(name)
        print(f"{name}: {len(made)} frames{taught(made, cache)}")
    panoramas = sorted((data / "synthetic-parts" / "hdri").glob("*.hdr"))
    if panoramas:
        made = build_set(cache, "empty-panoramas", views(panoramas, skipped), 1_000_000)
        print(f"empty-panoramas: {len(made)} views")
    print(f"skipped: {skipped.summary()}", flush=True)
    return names


def taught(made: ImageSet, cache: Path) -> str:
    """What is said of the set's labels by teachers, which are laid into the cache where they are kept."""
    return ", teachers' labels kept with the recipe" if take(made, cache) else ""


def views(panoramas: list[Path], skipped: Skipped, each: int = 40) -> Iterator[Labelled]:
    """Perspective views of panoramas, 416x256, looking ahead or down as a camera at a door does; nobody in them."""
    rng = np.random.default_rng(11)
    none = np.zeros(0, np.float32)
    for path in panoramas:
        panorama = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if panorama is None:
            skipped.add(str(path), "the panorama does not decode")
            continue
        for k in range(each):
            yaw, pitch, half = rng.uniform(0, 2 * np.pi), rng.uniform(-0.9, 0.15), rng.uniform(0.5, 0.95)
            light = cut(panorama[..., :3].astype(np.float32), yaw, pitch, half)
            light = light / max(float(np.percentile(light, rng.uniform(80, 99))), 1e-6)
            image = (light.clip(0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
            yield Labelled(f"{path.name}:{k}", image, none.reshape(0, 4), none, none.astype(np.bool_), none)


def cut(panorama: Floats, yaw: float, pitch: float, half: float, size: tuple[int, int] = (416, 256)) -> Floats:
    """A view (H, W, 3) of an equirectangular panorama; `half` the horizontal field's half in radians, pitch up."""
    width, height = size
    x, y = np.meshgrid((np.arange(width) + 0.5) / width * 2 - 1, (np.arange(height) + 0.5) / width * 2 - height / width)
    x, y, z = x * np.tan(half), y * np.tan(half), np.ones_like(x)
    y, z = y * np.cos(pitch) - z * np.sin(pitch), y * np.sin(pitch) + z * np.cos(pitch)
    u = (np.arctan2(x, z) + yaw) / (2 * np.pi) % 1 * panorama.shape[1]
    v = (np.arctan2(y, np.hypot(x, z)) / np.pi + 0.5) * panorama.shape[0]
    maps = u.astype(np.float32), v.astype(np.float32)
    return np.asarray(cv2.remap(panorama, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)


def main() -> None:
    """Command line of `prepare`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("cache", type=Path)
    args = parser.parse_args()
    prepare(args.data, args.cache)


if __name__ == "__main__":
    main()
