# SPDX-License-Identifier: Apache-2.0
"""Truth of a drawn moment: amodal boxes, visible fractions, truncation, who it is and where."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.synthetic.actors import Actor, State
from models.synthetic.camera import Camera
from models.synthetic.render import Drawing, Thing

MIN_SIDE_PX = 4.0


def projected_box(camera: Camera, vertices: NDArray[np.float32]) -> tuple[float, float, float, float] | None:
    """Unclipped box (x0, y0, x1, y1) in pixels of the vertices in front of the camera; None when there are none."""
    pixels, front = camera.project(vertices)
    if front.sum() < 3:
        return None
    low, high = pixels[front].min(0), pixels[front].max(0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def clip_box(
    box: tuple[float, float, float, float], width: int, height: int
) -> tuple[float, float, float, float] | None:
    """The part of a box inside the picture; None when it is smaller than MIN_SIDE_PX a side."""
    x0, y0, x1, y1 = max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height))
    return (x0, y0, x1, y1) if x1 - x0 >= MIN_SIDE_PX and y1 - y0 >= MIN_SIDE_PX else None


def describe_person(
    camera: Camera, thing: Thing, actor: Actor, state: State, drawing: Drawing
) -> dict[str, Any] | None:
    """One entry of "people"; None for somebody outside the picture or fully hidden."""
    whole = projected_box(camera, thing.mesh.vertices)
    box = clip_box(whole, camera.width, camera.height) if whole else None
    alone = drawing.alone.get(thing.number, 0)
    if whole is None or box is None or alone < 16:
        return None
    seen = drawing.seen.get(thing.number, 0)
    if not seen:
        return None
    area = (whole[2] - whole[0]) * (whole[3] - whole[1])
    human = actor.body.human
    return {
        "box": [round(v, 2) for v in box],
        "visible": round(min(seen / alone, 1.0), 3),
        "truncation": round(1 - (box[2] - box[0]) * (box[3] - box[1]) / max(area, 1e-6), 3),
        "id": thing.number,
        "age": human.age,
        "sex": human.sex,
        "stature_m": round(human.stature_m, 3),
        "group": actor.group,
        "xy_m": [round(float(v), 3) for v in state.xy],
    }


def describe_camera(camera: Camera) -> dict[str, float]:
    """The camera in truth files."""
    return {
        "height_m": round(camera.eye[2], 3),
        "tilt_deg": round(camera.tilt_deg, 2),
        "yaw_deg": round(camera.yaw_deg, 2),
        "roll_deg": round(camera.roll_deg, 2),
        "hfov_deg": round(camera.hfov_deg, 2),
        "distortion": round(camera.distortion, 4),
        "x_m": round(camera.eye[0], 3),
        "y_m": round(camera.eye[1], 3),
    }


def to_json(value: Any) -> str:
    """Compact JSON with a fixed key order: the same truth gives the same bytes."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=False)
