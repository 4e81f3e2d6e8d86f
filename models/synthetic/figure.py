# SPDX-License-Identifier: Apache-2.0
"""The parametric figure behind a body: anny's MakeHuman mesh at a given age, sex and stature. Needed only for baking.

The mesh is a tailor's form here: nothing in this module is ever drawn. `outfit.dress` turns it into a clothed body and
deletes what the clothes cover; the helper group for genitals is never read.
"""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.synthetic.bodies import F32, I32, Skeleton, cache_dir
from models.synthetic.stature import Human

BODY_END = 13380  # first vertex after the skin in the MakeHuman base mesh
EYES = slice(14598, 14742)
# Years -> anny's age parameter, from anny's shape calibration (boys and girls alike).
AGE_YEARS = (0.0, 1.0, 4.0, 11.0, 16.0, 18.0, 64.0, 110.0)
AGE_PARAMETER = (0.0, 0.05, 0.21, 0.41, 0.67, 0.77, 0.83, 1.0)
GROUPS = ("body", "helper-tights", "helper-skirt", "helper-hair", "helper-l-eye", "helper-r-eye")
LEGS = ("pelvis", "upperleg", "lowerleg", "foot", "toe")
FOREARMS = ("lowerarm", "wrist", "finger", "metacarpal")
ARMS = ("upperarm", *FOREARMS)
HANDS = ("wrist", "finger", "metacarpal")


@dataclass(frozen=True)
class Form:
    """A figure in rest pose: all base-mesh vertices (V, 3) and bone heads (B, 3), soles on z = 0, metres."""

    human: Human
    vertices: F32
    heads: F32


def unit_normals(vertices: F32, faces: I32) -> F32:
    """Vertex normals (V, 3), zero for vertices without faces."""
    normals = np.zeros_like(vertices)
    corners = vertices[faces]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    for k in range(3):
        np.add.at(normals, faces[:, k], flat)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9), np.float32)


def read_groups(path: Path) -> dict[str, I32]:
    """Triangles per wanted group of the base mesh."""
    faces: dict[str, list[tuple[int, int, int]]] = {name: [] for name in GROUPS}
    current: list[tuple[int, int, int]] | None = None
    for line in path.read_text().splitlines():
        if line.startswith("g "):
            current = faces.get(line.split()[1])
        elif line.startswith("f ") and current is not None:
            ring = [int(token.split("/")[0]) - 1 for token in line.split()[1:]]
            current += [(ring[0], ring[k], ring[k + 1]) for k in range(1, len(ring) - 1)]
    return {name: np.array(rows, np.int32) for name, rows in faces.items()}


class Tailor:
    """anny with its MakeHuman mesh: makes forms of a given stature and knows which bone moves which vertex."""

    def __init__(self) -> None:
        os.environ.setdefault("ANNY_CACHE_DIR", str(cache_dir() / "anny"))
        import anny
        import torch

        self._torch = torch
        self._model: Any = anny.Anny(topology="makehuman", rig="anny", phenotypes="default")
        self._data = Path(anny.__file__).parent / "data" / "mpfb2"
        self.skeleton = Skeleton(tuple(self._model.bone_labels), tuple(int(p) for p in self._model.bone_parents))
        weights = self._model.vertex_bone_weights.numpy()
        order = np.argsort(-weights, 1)[:, :4]
        kept = np.take_along_axis(weights, order, 1).astype(np.float32)
        self.weights: F32 = kept / kept.sum(1, keepdims=True)
        bones = self._model.vertex_bone_indices.numpy()
        self.bones: I32 = np.take_along_axis(bones, order, 1).astype(np.int32)

    @cached_property
    def groups(self) -> dict[str, I32]:
        """Triangles of the wanted base-mesh groups."""
        return read_groups(self._data / "3dobjs" / "base.obj")

    def moved_by(self, prefixes: tuple[str, ...]) -> NDArray[np.bool_]:
        """Mask (V,) of base vertices whose strongest bone has one of these prefixes."""
        wanted = np.array([name.startswith(prefixes) for name in self.skeleton.names])
        return np.asarray(wanted[self.bones[:, 0]])

    def _evaluate(self, parameters: dict[str, list[float]]) -> tuple[F32, F32]:
        tensors = {k: self._torch.tensor(v, dtype=self._model.dtype) for k, v in parameters.items()}
        with self._torch.no_grad():
            out = self._model(phenotype_kwargs=tensors)
        return out["rest_vertices"].numpy().astype(np.float32), out["rest_bone_heads"].numpy().astype(np.float32)

    def form(self, human: Human, rng: np.random.Generator) -> Form:
        """A form of exactly this stature: solved with anny's height parameter, the rest (a few percent) by scale."""
        fixed = {
            "gender": 1.0 if human.sex == "f" else 0.0,
            "age": float(np.interp(human.age, AGE_YEARS, AGE_PARAMETER)),
            "muscle": float(rng.uniform(0.35, 0.62)),
            "weight": float(np.clip(rng.normal(0.5, 0.14), 0.2, 0.9)),
            "proportions": float(rng.uniform(0.35, 0.7)),
        }
        ends, _ = self._evaluate({k: [v, v] for k, v in fixed.items()} | {"height": [0.0, 1.0]})
        low, high = np.ptp(ends[:, :BODY_END, 2], axis=1)
        height = float(np.clip((human.stature_m - low) / max(high - low, 1e-3), 0.03, 0.97))
        meshes, joints = self._evaluate({k: [v] for k, v in fixed.items()} | {"height": [height]})
        vertices, heads = meshes[0], joints[0]
        scale = human.stature_m / float(np.ptp(vertices[:BODY_END, 2]))
        shift = np.array([0, 0, vertices[:BODY_END, 2].min()], np.float32)
        return Form(human, (vertices - shift) * np.float32(scale), (heads - shift) * np.float32(scale))


def describe(form: Form) -> str:
    """One line for the baking log."""
    return json.dumps({"age": form.human.age, "sex": form.human.sex, "stature_m": form.human.stature_m})
