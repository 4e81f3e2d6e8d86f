# SPDX-License-Identifier: Apache-2.0
"""MakeHuman garments (`.mhclo` + `.obj`): read them and fit them to a body.

Each garment vertex hangs on three vertices of the base mesh: sum(w_i * v_i) + offset * scale, the scale per axis from
the distance of two landmark vertices. MakeHuman is y-up and faces +z in decimetres; bodies here are z-up and face -y.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
AXES = {"x_scale": 0, "z_scale": 1, "y_scale": 2}  # MakeHuman axis -> axis here


@dataclass(frozen=True)
class Garment:
    """A garment that fits any body: triangles (T, 3), and per vertex three anchors with weights and an offset."""

    name: str
    faces: I32
    components: I32
    anchors: I32
    weights: F32
    offsets: F32
    landmarks: tuple[tuple[int, int, float], ...]

    def fit(self, base: F32) -> F32:
        """Garment vertices (G, 3) on the base mesh's vertices."""
        scale = np.ones(3, np.float32)
        for axis, (a, b, reference) in enumerate(self.landmarks):
            scale[axis] = abs(base[a, axis] - base[b, axis]) / reference
        placed = np.einsum("gk,gkj->gj", self.weights, base[self.anchors])
        return np.asarray(placed + self.offsets * scale, np.float32)


def read_obj_faces(path: Path) -> tuple[int, I32]:
    """Number of vertices and the triangles of an `.obj`, quads split."""
    count, faces = 0, []
    for line in path.read_text().splitlines():
        if line.startswith("v "):
            count += 1
        elif line.startswith("f "):
            ring = [int(token.split("/")[0]) - 1 for token in line.split()[1:]]
            faces += [(ring[0], ring[k], ring[k + 1]) for k in range(1, len(ring) - 1)]
    return count, np.array(faces, np.int32)


def component_labels(count: int, faces: I32) -> I32:
    """A label per vertex, the same for vertices joined by faces."""
    label = np.arange(count)
    while True:
        low = label[faces].min(1)
        fresh = label.copy()
        for corner in range(3):
            np.minimum.at(fresh, faces[:, corner], low)
        fresh = fresh[fresh]
        if np.array_equal(fresh, label):
            return label.astype(np.int32)
        label = fresh


def read_garment(path: Path) -> Garment:
    """Read one `.mhclo` and the `.obj` it names."""
    landmarks: list[tuple[int, int, float]] = [(0, 0, 1.0)] * 3
    anchors, weights, offsets, obj = [], [], [], path.with_suffix(".obj")
    reading = False
    for line in path.read_text().splitlines():
        words = line.split()
        if not words or words[0] == "#":
            continue
        if words[0][0].isalpha():
            reading = (reading or words[0] == "verts") and words[0] != "delete_verts"
            if words[0] in AXES:
                landmarks[AXES[words[0]]] = (int(words[1]), int(words[2]), float(words[3]))
            elif words[0] == "obj_file":
                obj = path.parent / words[1]
        elif reading and len(words) == 1:
            anchors.append([int(words[0])] * 3)
            weights.append([1.0, 0.0, 0.0])
            offsets.append([0.0, 0.0, 0.0])
        elif reading:
            anchors.append([int(w) for w in words[:3]])
            weights.append([float(w) for w in words[3:6]])
            x, y, z = (float(w) for w in words[6:9])
            offsets.append([x, -z, y])
    count, faces = read_obj_faces(obj)
    if count != len(anchors):
        raise ValueError(f"{path}: {len(anchors)} fitted vertices, the mesh has {count}")
    return Garment(
        path.stem,
        faces,
        component_labels(count, faces),
        np.array(anchors, np.int32),
        np.array(weights, np.float32),
        np.array(offsets, np.float32),
        tuple(landmarks),
    )
