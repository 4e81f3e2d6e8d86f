# SPDX-License-Identifier: Apache-2.0
"""Training shards: tar files of pictures and truth, one random scene for every one to three pictures."""

import io
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.synthetic.actors import pose_things
from models.synthetic.bodies import Body
from models.synthetic.damage import draw_sensor, expose, through_h264, to_jpeg
from models.synthetic.render import Drawing, Renderer, Thing
from models.synthetic.scene import EVERYDAY, Mix, Scene, draw_scene
from models.synthetic.truth import clip_box, describe_camera, describe_person, projected_box, to_json

STATIC = 5000  # identities of mannequins and the like


@dataclass(frozen=True)
class Frame:
    """One picture and its truth, ready to be written."""

    jpeg: bytes
    truth: dict[str, Any]


def static_things(scene: Scene) -> list[Thing]:
    """Mannequins, pictures of people, coats."""
    return [Thing(STATIC + k, s.mesh, False, None) for k, s in enumerate(scene.place.statics)]


def scene_things(scene: Scene, t: float, rng: np.random.Generator | None = None) -> list[Thing]:
    """Everybody and everything that is drawn at t seconds."""
    states = {a.number: scene.walks[a.number].state(t, a.body.leg_m) for a in scene.actors}
    partners = {a.number: (a, states[a.number]) for a in scene.actors}
    things = static_things(scene)
    for actor in scene.actors:
        turn = 0.0 if rng is None else float(np.clip(rng.normal(0, 0.25), -0.8, 0.8))
        things += pose_things(actor, states[actor.number], partners, turn)
    return things


def truth_of(scene: Scene, t: float, things: list[Thing], drawing: Drawing) -> dict[str, Any]:
    """The JSON truth of a moment."""
    camera = scene.camera
    people = []
    by_number = {thing.number: thing for thing in things if thing.person}
    for actor in scene.actors:
        state = scene.walks[actor.number].state(t, actor.body.leg_m)
        entry = describe_person(camera, by_number[actor.number], actor, state, drawing)
        if entry is not None:
            people.append(entry)
    static = []
    for k, item in enumerate(scene.place.statics):
        whole = projected_box(camera, item.mesh.vertices)
        box = clip_box(whole, camera.width, camera.height) if whole else None
        if box and drawing.seen.get(STATIC + k, 0) > 24:
            static.append({"box": [round(v, 2) for v in box], "kind": item.kind})
    return {
        "width": camera.width,
        "height": camera.height,
        "camera": describe_camera(camera),
        "place": scene.place.kind,
        "people": people,
        "static": static,
    }


def blurred(renderer: Renderer, scene: Scene, t: float, shutter_s: float, still: Drawing) -> NDArray[np.float32]:
    """Linear colour with motion blur: the mean of three moments while the shutter is open."""
    early = renderer.draw(scene_things(scene, t - shutter_s / 2), count=False)
    late = renderer.draw(scene_things(scene, t + shutter_s / 2), count=False)
    return np.asarray((early.colour + still.colour + late.colour) / 3, np.float32)


def render_scene(renderer: Renderer, scene: Scene, rng: np.random.Generator, count: int) -> list[Frame]:
    """`count` pictures of a scene, 0.4 to 1.2 s apart."""
    renderer.open(scene.place.stage, scene.camera)
    frames, t, sensor = [], 0.0, None
    codec, quality, crf = rng.random(), int(rng.integers(70, 96)), int(rng.integers(22, 35))
    shutter = float(rng.uniform(0.02, 0.07)) if rng.random() < 0.16 else 0.0
    for _ in range(count):
        things = scene_things(scene, t)
        drawing = renderer.draw(things)
        truth = truth_of(scene, t, things, drawing)
        colour = blurred(renderer, scene, t, shutter, drawing) if shutter and scene.actors else drawing.colour
        sensor = sensor or draw_sensor(colour, rng)
        picture = expose(colour, sensor, rng)
        if codec < 0.3:
            picture = through_h264(picture, crf)
        frames.append(Frame(to_jpeg(picture, quality), truth))
        t += float(rng.uniform(0.4, 1.2))
    return frames


def add_file(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add bytes with a fixed date, so that a shard depends on nothing but its content."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def write_shard(
    path: Path,
    renderer: Renderer,
    bodies: list[Body],
    first_seed: int,
    frames: int,
    size: tuple[int, int] = (416, 256),
    mix: Mix = EVERYDAY,
) -> float:
    """Write one shard of `frames` pictures from scenes first_seed, first_seed + 1, ...; return pictures a second."""
    started, written, seed = time.monotonic(), 0, first_seed
    temporary = path.with_name(path.name + ".tmp")
    with tarfile.open(temporary, "w") as tar:
        while written < frames:
            rng = np.random.default_rng([2027, seed])
            scene = draw_scene(seed, bodies, *size, mix)
            count = min(int(rng.choice([1, 2, 3], p=[0.45, 0.3, 0.25])) if scene.actors else 1, frames - written)
            for frame in render_scene(renderer, scene, rng, count):
                frame.truth["seed"] = seed
                add_file(tar, f"{written:06d}.jpg", frame.jpeg)
                add_file(tar, f"{written:06d}.json", to_json(frame.truth).encode())
                written += 1
            seed += 1
    temporary.rename(path)
    return written / (time.monotonic() - started)
