# SPDX-License-Identifier: Apache-2.0
"""Films: a place, a cast with trajectories, drawn frame by frame into H.264 with truth beside it.

NAME.mp4            the film
NAME.truth.jsonl    crossings: {"t": seconds, "gate": "door", "direction": "in" | "out"}
NAME.tracks.jsonl   a line a frame: who is where, boxes as in the training shards
NAME.mot.txt        the same in MOTChallenge form: frame, id, left, top, width, height, 1, 1, visible
NAME.gates.toml     the line in the picture, as the device's settings take it
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.synthetic.actors import Actor, State, pose_things
from models.synthetic.camera import Camera
from models.synthetic.damage import Sensor, auto_exposure, expose
from models.synthetic.paths import Crossing, Trajectory, find_crossings
from models.synthetic.render import Renderer, Thing
from models.synthetic.rooms import Place
from models.synthetic.truth import describe_camera, describe_person, to_json

STATIC = 5000


@dataclass(frozen=True)
class Cast:
    """An actor and its way."""

    actor: Actor
    way: Trajectory


@dataclass(frozen=True)
class Film:
    """All that is needed to draw a film; the same values give the same truth to the byte."""

    name: str
    camera: Camera
    place: Place
    cast: list[Cast]
    fps: int
    seconds: float
    seed: int
    line_m: float = 0.0
    """Where people are counted: y of the line, as wide as the door, that they cross. 0 is the door, less is inside."""


def crossings(film: Film) -> list[Crossing]:
    """Crossings within the film, by time."""
    found = [
        c
        for cast in film.cast
        for c in find_crossings(cast.actor.number, cast.way, film.place.door_half_m, film.line_m)
    ]
    return sorted((c for c in found if 0 <= c.t < film.seconds), key=lambda c: (c.t, c.number))


def states_at(film: Film, t: float) -> dict[int, tuple[Actor, State]]:
    """Everybody who is in the scene at t seconds."""
    return {c.actor.number: (c.actor, c.way.state(t)) for c in film.cast if c.way.present(t)}


def film_things(film: Film, t: float) -> list[Thing]:
    """Everything that is drawn at t seconds; heads turn slowly, each in its own rhythm."""
    things = [Thing(STATIC + k, s.mesh, False, None) for k, s in enumerate(film.place.statics)]
    present = states_at(film, t)
    for number, (actor, state) in present.items():
        turn = 0.25 * np.sin(0.9 * t + number * 1.7) * np.sin(0.37 * t + number)
        things += pose_things(actor, state, present, float(turn))
    return things


def frame_truth(film: Film, frame: int, things: list[Thing], drawing: Any) -> dict[str, Any]:
    """One line of tracks.jsonl."""
    present = states_at(film, frame / film.fps)
    people = []
    for thing in things:
        if thing.person:
            entry = describe_person(film.camera, thing, *present[thing.number], drawing)
            if entry:
                people.append(entry)
    return {"frame": frame, "t": round(frame / film.fps, 4), "people": people}


def film_sensor(film: Film, colour: NDArray[np.float32]) -> Sensor:
    """A decent camera, exposed for the first frame."""
    rng = np.random.default_rng([film.seed, 9])
    return Sensor(
        auto_exposure(colour, 0.27),
        0.009,
        0.002,
        0.5,
        (float(rng.uniform(0.97, 1.05)), 1.0, float(rng.uniform(0.95, 1.04))),
        0.3,
        0.15,
        0.95,
        0.25,
    )


def draw_frames(film: Film, every: int = 1) -> Iterator[tuple[NDArray[np.uint8], dict[str, Any]]]:
    """Pictures (H, W, 3) and their truth, frame by frame."""
    renderer = Renderer()
    renderer.open(film.place.stage, film.camera)
    sensor = None
    for frame in range(0, round(film.seconds * film.fps), every):
        things = film_things(film, frame / film.fps)
        drawing = renderer.draw(things)
        sensor = sensor or film_sensor(film, drawing.colour)
        picture = expose(drawing.colour, sensor, np.random.default_rng([film.seed, 10, frame]))
        yield picture, frame_truth(film, frame, things, drawing)


def gate_toml(camera: Camera, door_half_m: float, line_m: float = 0.0) -> str:
    """The ground line and a point inside, in normalised picture coordinates; bent lines get more points."""
    count = 2 if camera.distortion < 0.02 else 7
    line = [(float(x), line_m, 0.0) for x in np.linspace(-door_half_m, door_half_m, count)]
    size = np.array([camera.width, camera.height])
    pixels, front = camera.project(line)
    inside, _ = camera.project([(0.0, line_m - 1.2, 0.0)])
    shown = [p / size for p, seen in zip(pixels, front, strict=True) if seen]
    points = ", ".join(f"[{min(max(x, 0), 1):.4f}, {min(max(y, 0), 1):.4f}]" for x, y in shown)
    x, y = inside[0] / size
    return (
        "# The line on the floor that feet cross; normalised picture coordinates.\n"
        f'[[gate]]\nname = "door"\nline = [{points}]\ninside = [{min(max(x, 0), 1):.4f}, {min(max(y, 0), 1):.4f}]\n'
    )


def view_toml(camera: Camera) -> str:
    """How the camera hangs, as the device's settings take it: of somebody who measured it without any error."""
    return (
        f"\n[view]\nheight_m = {camera.eye[2]:.3f}\ntilt_deg = {camera.tilt_deg}\nfov_deg = {camera.hfov_deg}\n"
        f"distortion = {camera.distortion}\n"
    )


def truth_lines(film: Film) -> str:
    """The content of NAME.truth.jsonl."""
    rows = [{"t": round(c.t, 3), "gate": "door", "direction": c.direction} for c in crossings(film)]
    return "".join(to_json(row) + "\n" for row in rows)


def mot_lines(row: dict[str, Any]) -> str:
    """One frame in MOTChallenge form (frames count from 1)."""
    out = ""
    for p in row["people"]:
        x0, y0, x1, y1 = p["box"]
        out += f"{row['frame'] + 1},{p['id']},{x0:.2f},{y0:.2f},{x1 - x0:.2f},{y1 - y0:.2f},1,1,{p['visible']:.3f}\n"
    return out


def beside(folder: Path, name: str, ending: str) -> Path:
    """The film's file of that ending; a name may have dots of its own, such as steep-1.2-1."""
    return folder / f"{name}{ending}"


def write_film(
    film: Film, folder: Path, every: int = 1, crf: int = 25, *, mot: bool = False, told: bool = False
) -> None:
    """Write the film and its truth; prints progress. told: the settings beside it say how the camera hangs."""
    import av

    folder.mkdir(parents=True, exist_ok=True)
    beside(folder, film.name, ".truth.jsonl").write_text(truth_lines(film))
    settings = gate_toml(film.camera, film.place.door_half_m, film.line_m) + (view_toml(film.camera) if told else "")
    beside(folder, film.name, ".gates.toml").write_text(settings)
    total = round(film.seconds * film.fps)
    tracks, boxes, started = [], [], time.monotonic()
    with av.open(str(beside(folder, film.name, ".mp4")), "w") as out:
        options = {"crf": str(crf), "preset": "slow", "threads": "1"}
        stream = out.add_stream("libx264", rate=Fraction(film.fps, every), options=options)
        stream.width, stream.height, stream.pix_fmt = film.camera.width, film.camera.height, "yuv420p"
        for done, (picture, row) in enumerate(draw_frames(film, every), 1):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            tracks.append(to_json(row) + "\n")
            boxes.append(mot_lines(row))
            if done % 60 == 0:
                rate = done / (time.monotonic() - started)
                print(f"{film.name}: {done * every}/{total} frames, {rate:.2f} a second", flush=True)
        out.mux(stream.encode())
    head = {
        "name": film.name,
        "fps": film.fps,
        "frames": total,
        "camera": describe_camera(film.camera),
        "seed": film.seed,
    }
    beside(folder, film.name, ".tracks.jsonl").write_text(to_json(head) + "\n" + "".join(tracks))
    if mot:
        beside(folder, film.name, ".mot.txt").write_text("".join(boxes))
