# SPDX-License-Identifier: Apache-2.0
"""Drawing on the CPU: OpenGL through EGL (Mesa's llvmpipe), linear HDR colour and exact identity masks.

The undistorted frustum is drawn larger than the picture and then bent by the lens. Identities are drawn without
antialiasing in a second pass; each person alone in a third gives what would be seen without the others.
"""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.synthetic.camera import NEAR_M, Camera
from models.synthetic.light import Light, Panorama
from models.synthetic.mesh import MATERIALS, Mesh
from models.synthetic.shaders import GROUP_OF, GROUPS, PLAIN_FRAGMENT, PLAIN_VERTEX, VERTEX, fragment_shader

F32 = NDArray[np.float32]
SHADOW_PX = 1024
SHADOW_REACH_M = 7.0
FEET_MAX = 40
DRAWN_MAX_PX = 1600
OVERSAMPLE = 1.25  # drawn pixels a picture pixel, in the middle of the picture
GROUP_NUMBER = np.array([GROUPS.index(GROUP_OF[name]) for name in MATERIALS])


class RendererMissingError(RuntimeError):
    """OpenGL without a screen does not work here; `apt install libegl1 libgl1-mesa-dri` and moderngl help."""


@dataclass(frozen=True)
class Thing:
    """Something that moves: an identity (0: none asked for), its mesh now, whether it is a person, its ground point."""

    number: int
    mesh: Mesh
    person: bool
    ground: tuple[float, float] | None
    key: int = 0


@dataclass(frozen=True)
class Stage:
    """What stays: a shell that casts no shadow (walls, sky) and furniture that does."""

    shell: Mesh
    furniture: Mesh
    panorama: Panorama
    light: Light
    pattern_seed: float
    middle: tuple[float, float, float] = (0.0, 1.0, 0.0)


@dataclass
class Drawing:
    """A drawn moment: linear colour (H, W, 3); per identity the pixels seen, and the pixels it would have alone.

    Pixels are counted in the undistorted drawing (OVERSAMPLE a picture pixel), only where it falls into the picture.
    """

    colour: F32
    seen: dict[int, int] = field(default_factory=dict)
    alone: dict[int, int] = field(default_factory=dict)


SIZES = {"p": "3f", "n": "3f", "c": "3f", "m": "1f", "r": "3f"}


def _layout(names: list[str]) -> str:
    """The buffer layout with the attributes that a program does not use left out."""
    gap = {"3f": "12x", "1f": "4x"}
    return " ".join(size if name in names else gap[size] for name, size in SIZES.items())


class Renderer:
    """One OpenGL context; `open` a stage and a camera, then `draw` moments of it."""

    def __init__(self) -> None:
        try:
            import moderngl

            self._gl: Any = moderngl.create_context(standalone=True, backend="egl")  # type: ignore[arg-type]
        except Exception as error:
            raise RendererMissingError(f"no OpenGL context through EGL: {error}") from error
        self._depth_test = moderngl.DEPTH_TEST
        self._linear = (moderngl.LINEAR, moderngl.LINEAR)
        gl = self._gl
        self._surfaces = [gl.program(vertex_shader=VERTEX, fragment_shader=fragment_shader(g)) for g in GROUPS]
        self._plain = gl.program(vertex_shader=PLAIN_VERTEX, fragment_shader=PLAIN_FRAGMENT)
        self._shadow = gl.depth_texture((SHADOW_PX, SHADOW_PX))
        self._shadow.compare_func = ""
        self._shadow_target = gl.framebuffer(depth_attachment=self._shadow)
        grain = np.random.default_rng(1).integers(0, 255, (64, 64), dtype=np.uint8)
        self._noise = gl.texture((64, 64), 1, grain.tobytes())
        self._noise.filter = self._linear
        self._panorama: Any = None
        self._held: list[Any] = []
        self._meshes: dict[int, Any] = {}
        self._uploads: list[Any] = []

    def name(self) -> str:
        """The renderer's own name, for logs."""
        return str(self._gl.info["GL_RENDERER"])

    def open(self, stage: Stage, camera: Camera) -> None:
        """Prepare targets and static meshes for a stage seen by a camera."""
        self.close()
        gl, (x, y) = self._gl, camera.reach
        scale = min(OVERSAMPLE * camera.focal_px * 2 * x, DRAWN_MAX_PX) / (2 * x)
        self._size = (int(2 * x * scale), int(2 * y * scale))
        self._fine_maps = camera.warp_maps(*self._size, over=2)
        self._inside = camera.inside_mask(*self._size)
        self._camera, self._stage, self._matrix = camera, stage, camera.gl_matrix()
        flat_texture = gl.texture(self._size, 4, dtype="f2")
        flat = gl.framebuffer([flat_texture], gl.depth_renderbuffer(self._size))
        number_texture = gl.texture(self._size, 1, dtype="f4")
        numbers = gl.framebuffer([number_texture], gl.depth_renderbuffer(self._size))
        self._flat, self._numbers = flat, numbers
        self._held = [flat, flat_texture, numbers, number_texture]
        picture = stage.panorama.picture
        self._panorama = gl.texture(
            picture.shape[1::-1], 3, np.ascontiguousarray(picture).astype("f2").tobytes(), dtype="f2"
        )
        self._panorama.filter = self._linear
        self._panorama.repeat_y = False
        self._held.append(self._panorama)
        self._shell, self._furniture = self._upload(stage.shell), self._upload(stage.furniture)

    def close(self) -> None:
        """Release what the last stage held."""
        for item in self._held + self._uploads:
            item.release()
        self._held, self._uploads = [], []

    def _upload(self, mesh: Mesh) -> tuple[list[Any], Any]:
        """Surface vertex arrays, one a group of materials, and the plain vertex array of a mesh."""
        gl = self._gl
        packed = np.concatenate(
            [mesh.vertices, mesh.normals, mesh.colours, mesh.materials[:, None], mesh.pattern], 1
        ).astype("f4")
        data, rows = gl.buffer(packed.tobytes()), gl.buffer(mesh.faces.astype("i4").tobytes())
        plain = gl.vertex_array(self._plain, [(data, "3f 40x", "p")], rows)
        self._uploads += [plain, data, rows]
        groups = GROUP_NUMBER[mesh.materials[mesh.faces[:, 2]].astype(int)]
        surfaces = []
        for number in np.unique(groups):
            mine = gl.buffer(mesh.faces[groups == number].astype("i4").tobytes())
            layout = [(data, "3f 3f 3f 1f 3f", "p", "n", "c", "m", "r")]
            program = self._surfaces[number]
            names = [n for n in layout[0][2:] if n in program]
            layout = [(data, _layout(names), *names)]
            surfaces.append(gl.vertex_array(program, layout, mine))
            self._uploads += [surfaces[-1], mine]
        return surfaces, plain

    def _set(self, program: Any, **values: Any) -> None:
        for name, value in values.items():
            if name in program:
                if isinstance(value, int | float):
                    program[name].value = value
                else:
                    program[name].write(np.ascontiguousarray(value, "f4").tobytes())

    def _light_matrix(self) -> NDArray[np.float64]:
        direction = np.array(self._stage.light.key_direction)
        side = np.cross([0.0, 1.0, 0.05], direction)
        side /= np.linalg.norm(side)
        up = np.cross(direction, side)
        view = np.eye(4)
        view[:3, :3] = np.stack([side, up, direction])
        view[:3, 3] = -view[:3, :3] @ (np.array(self._stage.middle) + direction * 15)
        flat = np.diag([1 / SHADOW_REACH_M, 1 / SHADOW_REACH_M, -1 / 13.0, 1.0])
        flat[2, 3] = -15 / 13.0
        return np.asarray(flat @ view)

    def draw(self, things: list[Thing], count: bool = True, colour: bool = True) -> Drawing:
        """Draw one moment; without `count` no identities are counted, without `colour` the picture stays black."""
        kept = len(self._uploads)
        arrays = [self._upload(thing.mesh) for thing in things]
        self._gl.enable(self._depth_test)
        blank = np.zeros((self._camera.height, self._camera.width, 3), np.float32)
        drawing = Drawing(self._draw_colour(things, arrays) if colour else blank)
        if count:
            seen = np.bincount(self._draw_numbers(things, arrays)[self._inside])
            drawing.seen = {int(n): int(seen[n]) for n in np.flatnonzero(seen) if n}
            drawing.alone = {
                t.number: self._count_alone(t, a[1]) for t, a in zip(things, arrays, strict=True) if t.person
            }
        for item in self._uploads[kept:]:
            item.release()
        del self._uploads[kept:]
        return drawing

    def _draw_colour(self, things: list[Thing], arrays: list[tuple[list[Any], Any]]) -> F32:
        stage, light_matrix = self._stage, self._light_matrix()
        self._shadow_target.use()
        self._shadow_target.clear(depth=1.0)
        self._set(self._plain, view_projection=light_matrix.T)
        for _, plain in [self._furniture, *arrays]:
            plain.render()
        self._flat.use()
        self._flat.clear()
        light, panorama = stage.light, stage.panorama
        feet = np.zeros((FEET_MAX, 4), "f4")
        placed = [t.ground for t in things if t.ground is not None][:FEET_MAX]
        for row, spot in enumerate(placed):
            feet[row, :3] = (*spot, 0.30)
        uniforms = {
            "view_projection": self._matrix.T,
            "light_projection": light_matrix.T,
            "eye": self._camera.eye,
            "key_direction": light.key_direction,
            "key_colour": light.key_colour,
            "door_direction": light.door_direction,
            "door_colour": light.door_colour,
            "up_light": light.up_light,
            "down_light": light.down_light,
            "key_soft": float(light.soft),
            "shadow_floor": float(light.shadow_floor),
            "seed": float(stage.pattern_seed),
            "pano_turn": float(panorama.turn),
            "pano_gain": float(panorama.gain),
            "pano_centre": panorama.centre,
            "feet": feet,
        }
        for program in self._surfaces:
            self._set(program, **uniforms, feet_count=len(placed), person=0.0)
            for unit, (name, texture) in enumerate(
                (("shadow_map", self._shadow), ("noise_map", self._noise), ("panorama", self._panorama))
            ):
                texture.use(unit)
                self._set(program, **{name: unit})
        draws = [(0.0, self._shell), (0.0, self._furniture)]
        draws += [(1.0 if thing.person else 0.0, array) for thing, array in zip(things, arrays, strict=True)]
        self._prepass([plain for _, (_, plain) in draws])
        for person, (surfaces, _) in draws:
            self._set(self._surfaces[0], person=person)
            for surface in surfaces:
                surface.render()
        self._gl.depth_func = "<"
        width, height = self._size
        raw = np.frombuffer(self._flat.read(components=3, dtype="f2", alignment=1), np.float16).reshape(
            height, width, 3
        )
        linear = np.clip(raw[::-1].astype(np.float32), 0.0, 30.0)
        bent = cv2.remap(linear, *self._fine_maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(cv2.resize(bent, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)

    def _prepass(self, plains: list[Any]) -> None:
        """Fill the depth buffer first, so that each pixel is shaded once."""
        self._set(self._plain, view_projection=self._matrix.T)
        self._flat.color_mask = (False,) * 4
        for plain in plains:
            plain.render()
        self._flat.color_mask = (True,) * 4
        self._gl.depth_func = "<="

    def _draw_numbers(self, things: list[Thing], arrays: list[tuple[list[Any], Any]]) -> NDArray[np.int64]:
        """The identity that each drawn pixel shows (rows, columns)."""
        self._numbers.use()
        self._numbers.clear()
        self._set(self._plain, view_projection=self._matrix.T, number=0.0)
        self._shell[1].render()
        self._furniture[1].render()
        for thing, (_, plain) in zip(things, arrays, strict=True):
            self._set(self._plain, number=float(thing.number))
            plain.render()
        return self._read_numbers(0, 0, *self._size)

    def _read_numbers(self, x: int, y: int, width: int, height: int) -> NDArray[np.int64]:
        raw = self._numbers.read(viewport=(x, y, width, height), components=1, dtype="f4", alignment=1)
        return np.frombuffer(raw, np.float32).reshape(height, width)[::-1].astype(np.int64)

    def _count_alone(self, thing: Thing, plain: Any) -> int:
        """Pixels that one thing would have without anything before it; only its own rectangle is drawn."""
        clip = np.concatenate([thing.mesh.vertices, np.ones((len(thing.mesh.vertices), 1))], 1) @ self._matrix.T
        ahead = clip[:, 3] > NEAR_M
        if not ahead.any():
            return 0
        size = np.array(self._size)
        pixels = (clip[ahead, :2] / clip[ahead, 3:] + 1) / 2 * size
        low = np.clip(np.floor(pixels.min(0)) - 1, 0, size - 1).astype(int)
        high = np.clip(np.ceil(pixels.max(0)) + 1, 1, size).astype(int)
        if not ahead.all():
            low, high = np.zeros(2, int), size
        wide, tall = (int(v) for v in np.maximum(high - low, 1))
        self._numbers.use()
        self._numbers.scissor = (int(low[0]), int(low[1]), wide, tall)
        self._numbers.clear()
        self._set(self._plain, number=1.0)
        plain.render()
        self._numbers.scissor = None
        drawn = self._read_numbers(int(low[0]), int(low[1]), wide, tall)
        top = self._size[1] - int(low[1]) - tall
        return int((drawn > 0)[self._inside[top : top + tall, low[0] : low[0] + wide]].sum())
