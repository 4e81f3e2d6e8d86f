# SPDX-License-Identifier: Apache-2.0
"""Bake bodies once: a form, its clothes, fewer triangles, one `.npz`. Needs torch, anny and fast-simplification."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.synthetic.bodies import F32, I32, PARTS, SETS, Body, save_body, set_folder
from models.synthetic.figure import Tailor, describe
from models.synthetic.outfit import Wardrobe, dress
from models.synthetic.stature import draw_human

# Shares of visitors by age band: an event in a town hall or on a festival day; children and elders on purpose frequent.
AGE_BANDS = (
    (1, 3, 0.07),
    (4, 6, 0.10),
    (7, 12, 0.15),
    (13, 17, 0.08),
    (18, 39, 0.24),
    (40, 64, 0.22),
    (65, 90, 0.14),
)
TRIANGLES = {
    "skin": 1500,
    "hair": 900,
    "top": 1300,
    "bottom": 900,
    "shoes": 320,
    "coat": 1300,
    "skirt": 600,
    "inner": 300,
}
SMALL_PART = 200


def garment_folder() -> Path | None:
    """MakeHuman's CC0 assets in $NIGIWAI_SYNTHETIC_PARTS, or None: then helper meshes are the clothes."""
    root = os.environ.get("NIGIWAI_SYNTHETIC_PARTS")
    folder = Path(root) / "makehuman-assets" if root else None
    return folder if folder and folder.is_dir() else None


def nearest(points: F32, among: F32) -> I32:
    """For each point the row of the nearest in `among`."""
    rows = [((among - p) ** 2).sum(1).argmin() for p in points]
    return np.array(rows, np.int32)


def simplify(body: Body) -> Body:
    """The body with fewer triangles, part by part, so that borders between materials stay sharp."""
    import fast_simplification

    vertices, faces, parts, weights, bones = [], [], [], [], []
    start = 0
    for number, name in enumerate(PARTS):
        mine = body.faces[body.parts[body.faces[:, 0]] == number]
        if not len(mine):
            continue
        used, compact = np.unique(mine, return_inverse=True)
        v, f = body.vertices[used], compact.reshape(-1, 3).astype(np.int32)
        w, b = body.weights[used], body.bones[used]
        goal = TRIANGLES.get(name, SMALL_PART)
        if len(f) > goal * 1.15:
            v2, f2 = fast_simplification.simplify(v, f, target_reduction=1 - goal / len(f), agg=5)
            rows = nearest(v2, v)
            v, f, w, b = v2.astype(np.float32), f2.astype(np.int32), w[rows], b[rows]
        vertices.append(v)
        faces.append(f + start)
        parts.append(np.full(len(v), number, np.uint8))
        weights.append(w)
        bones.append(b)
        start += len(v)
    return replace(
        body,
        vertices=np.concatenate(vertices),
        faces=np.concatenate(faces),
        parts=np.concatenate(parts),
        weights=np.concatenate(weights),
        bones=np.concatenate(bones),
    )


def band_of(number: int) -> tuple[int, int]:
    """First and last year of age; `number` walks through the age bands so that small sets hold every age."""
    share = np.cumsum([band[2] for band in AGE_BANDS])
    band = int(np.searchsorted(share, (number * 0.618034) % 1.0 * share[-1]))
    low, high, _ = AGE_BANDS[min(band, len(AGE_BANDS) - 1)]
    return low, high


def bake_one(tailor: Tailor, wardrobe: Wardrobe, seed: int, years: tuple[int, int]) -> Body:
    """The body of this seed, of an age from the first to the last of `years`."""
    rng = np.random.default_rng(seed)
    form = tailor.form(draw_human(rng, *years), rng)
    return simplify(dress(tailor, form, wardrobe, str(seed), rng))


def bake_set(
    which: str, count: int, directory: Path | None = None, first: int = 0, years: tuple[int, int] | None = None
) -> None:
    """Bake `count` bodies of a set from number `first` on, skipping those that are there; `years`: of these ages only.

    The sample wears helper clothes only.
    """
    folder = set_folder(which, directory)
    tailor, wardrobe = Tailor(), Wardrobe(None if which == "sample" else garment_folder())
    for number in range(first, first + count):
        seed = SETS[which] + number
        path = folder / f"{seed}.npz"
        if path.exists():
            continue
        body = bake_one(tailor, wardrobe, seed, years or band_of(number))
        save_body(body, path)
        worn = {k: v for k, v in body.outfit.items() if k in ("top", "bottom", "hair", "hat")}
        print(f"{path.name} {body.human} {len(body.faces)} triangles {worn}", flush=True)


__all__ = ["bake_one", "bake_set", "describe"]
