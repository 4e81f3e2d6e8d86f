# SPDX-License-Identifier: Apache-2.0
"""Coloured triangle meshes and the few primitives that rooms and things are built of."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

# How the fragment shader treats a surface (shaders.py).
MATERIALS = (
    "plain",
    "cloth",
    "stripes",
    "check",
    "hair",
    "skin",
    "denim",
    "print",
    "tiles",
    "plaster",
    "shelf",
    "glow",
    "planks",
    "carpet",
    "concrete",
    "panorama",
    "poster",
    "metal",
    "leaves",
    "grass",
    "brick",
    "canvas",
    "panofloor",
)
MATERIAL = {name: float(number) for number, name in enumerate(MATERIALS)}


@dataclass(frozen=True)
class Mesh:
    """Vertices (V, 3) in metres, normals, linear colours 0..1, materials, pattern coordinates; faces (T, 3)."""

    vertices: F32
    normals: F32
    colours: F32
    materials: F32
    pattern: F32
    faces: I32

    def moved(self, offset: ArrayLike, turn: float = 0.0) -> "Mesh":
        """The mesh turned about z by `turn` radians, then shifted."""
        c, s = np.cos(turn), np.sin(turn)
        rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)
        placed = self.vertices @ rotation.T + np.asarray(offset, np.float32)
        return replace(self, vertices=placed.astype(np.float32), normals=(self.normals @ rotation.T).astype(np.float32))


def make_mesh(vertices: F32, normals: F32, faces: I32, colour: ArrayLike, material: str) -> Mesh:
    """A mesh of one colour and material; the pattern coordinates are the vertices."""
    count = len(vertices)
    colours = np.broadcast_to(np.asarray(colour, np.float32), (count, 3)).copy()
    materials = np.full(count, MATERIAL[material], np.float32)
    v = np.asarray(vertices, np.float32)
    return Mesh(v, np.asarray(normals, np.float32), colours, materials, v.copy(), np.asarray(faces, np.int32))


def join(meshes: list[Mesh]) -> Mesh:
    """One mesh from several. Raises ValueError for an empty list."""
    starts = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.colours for m in meshes]),
        np.concatenate([m.materials for m in meshes]),
        np.concatenate([m.pattern for m in meshes]),
        np.concatenate([m.faces + start for m, start in zip(meshes, starts, strict=True)]).astype(np.int32),
    )


def box(centre: ArrayLike, half: ArrayLike, colour: ArrayLike, material: str = "plain") -> Mesh:
    """An axis-aligned box: centre and half extents in metres."""
    c, h = np.asarray(centre, float), np.asarray(half, float)
    points: list[NDArray[np.float64]] = []
    normals: list[NDArray[np.float64]] = []
    faces: list[tuple[int, int, int]] = []
    for axis in range(3):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        for sign in (-1, 1):
            start = len(points)
            for u, w in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                p = c.copy()
                p[axis] += sign * h[axis]
                p[a] += u * h[a]
                p[b] += w * h[b]
                points.append(p)
                normals.append(np.eye(3)[axis] * sign)
            faces += [(start, start + 1, start + 2), (start, start + 2, start + 3)]
    return make_mesh(np.array(points), np.array(normals), np.array(faces), colour, material)


def tube(
    low: ArrayLike,
    high: ArrayLike,
    radius: float | tuple[float, float],
    colour: ArrayLike,
    material: str = "plain",
    sides: int = 10,
) -> Mesh:
    """A closed cylinder or cone between two points; `radius` at both ends or (low, high), metres."""
    a, b = np.asarray(low, float), np.asarray(high, float)
    r0, r1 = radius if isinstance(radius, tuple) else (radius, radius)
    axis = (b - a) / max(float(np.linalg.norm(b - a)), 1e-9)
    side = np.cross(axis, [1, 0, 0] if abs(axis[0]) < 0.9 else [0, 1, 0])
    side /= np.linalg.norm(side)
    other = np.cross(axis, side)
    turn = np.linspace(0, 2 * np.pi, sides + 1)[:-1]
    ring = np.cos(turn)[:, None] * side + np.sin(turn)[:, None] * other
    points = np.concatenate([a + ring * r0, b + ring * r1, [a], [b]])
    normals = np.concatenate([ring, ring, [-axis], [axis]])
    faces = []
    for k in range(sides):
        n = (k + 1) % sides
        faces += [
            (k, n, sides + n),
            (k, sides + n, sides + k),
            (n, k, 2 * sides),
            (sides + k, sides + n, 2 * sides + 1),
        ]
    return make_mesh(points, normals, np.array(faces), colour, material)


def blob(
    centre: ArrayLike, half: ArrayLike, colour: ArrayLike, material: str = "plain", square: float = 1.0, rings: int = 8
) -> Mesh:
    """An ellipsoid; `square` below 1 makes it boxier (a superquadric exponent)."""
    around = 2 * rings
    u = np.linspace(0, 2 * np.pi, around + 1)[:-1]
    v = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
    uu, vv = np.meshgrid(u, v)

    def power(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.sign(x) * np.abs(x) ** square)

    unit = np.stack([power(np.cos(vv) * np.cos(uu)), power(np.cos(vv) * np.sin(uu)), power(np.sin(vv))], -1).reshape(
        -1, 3
    )
    h = np.asarray(half, float)
    normals = unit / h
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    faces = []
    for i in range(rings):
        for j in range(around):
            a, b = i * around + j, i * around + (j + 1) % around
            faces += [(a, b, b + around), (a, b + around, a + around)]
    return make_mesh(unit * h + np.asarray(centre, float), normals, np.array(faces), colour, material)


def quad(corners: ArrayLike, colour: ArrayLike, material: str, cells: int = 1) -> Mesh:
    """A flat four-cornered sheet, cut into cells x cells."""
    p = np.asarray(corners, float)
    s, t = np.meshgrid(np.linspace(0, 1, cells + 1), np.linspace(0, 1, cells + 1))
    s, t = s.reshape(-1, 1), t.reshape(-1, 1)
    points = p[0] * (1 - s) * (1 - t) + p[1] * s * (1 - t) + p[2] * s * t + p[3] * (1 - s) * t
    normal = np.cross(p[1] - p[0], p[3] - p[0])
    normal /= np.linalg.norm(normal)
    faces = []
    for i in range(cells):
        for j in range(cells):
            a = i * (cells + 1) + j
            faces += [(a, a + 1, a + cells + 2), (a, a + cells + 2, a + cells + 1)]
    return make_mesh(points, np.tile(normal, (len(points), 1)), np.array(faces), colour, material)


def slab(low: ArrayLike, high: ArrayLike, half: float, colour: ArrayLike, material: str = "plain") -> Mesh:
    """A bent slab along x from -half to half: its cross-section lies between two lines (N, 2) of y and z, N >= 2.

    high 0 --- high 1 --- ...       flat sides at x = -half and half, closed ends,
      |          |                  flat normals
    low 0  --- low 1  --- ...
    """
    a, b = np.asarray(low, float), np.asarray(high, float)
    quads: list[NDArray[np.float64]] = []

    def wall(p: NDArray[np.float64], q: NDArray[np.float64]) -> None:
        quads.append(np.array([(-half, *p), (half, *p), (half, *q), (-half, *q)]))

    for k in range(len(a) - 1):
        wall(b[k], b[k + 1])
        wall(a[k + 1], a[k])
        quads.extend(np.array([(x, *a[k]), (x, *a[k + 1]), (x, *b[k + 1]), (x, *b[k])]) for x in (-half, half))
    wall(a[0], b[0])
    wall(b[-1], a[-1])
    corners = np.stack(quads)
    # the diagonals' product is a normal even where two corners of a quad coincide
    normals = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    area = np.linalg.norm(normals, axis=1, keepdims=True)
    whole = area[:, 0] > 1e-9
    corners, normals = corners[whole], normals[whole] / area[whole]
    start = 4 * np.arange(len(corners))[:, None]
    faces = np.concatenate([start + np.array([0, 1, 2]), start + np.array([0, 2, 3])])
    return make_mesh(corners.reshape(-1, 3), np.repeat(normals, 4, 0), faces, colour, material)
