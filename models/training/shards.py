# SPDX-License-Identifier: Apache-2.0
"""Readers of labelled images: tar shards of YOLO text labels, tar shards of rendered scenes, animations.

A bad member never ends a run and is never dropped silently: it goes to `Skipped` with its name and the reason.
A shard that cannot be opened at all is a DataError for the caller to count or to raise.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.boxes import Floats
from models.training.errors import DataError, Skipped

VISIBLE_MIN = 0.25  # rendered people of whom less is seen are neither people nor background


@dataclass(frozen=True)
class Labelled:
    """An image (H, W, 3) uint8 BGR with its boxes.

    `xyxy (N, 4)` pixels; `weight (N,)` of the box in the box loss, 0..1; `ignore (N,)` marks regions that are
    neither person nor background; `visible (N,)` is the share of the person that is seen, 1 where nobody measured
    it. Parallel and complete; N may be 0.
    """

    name: str
    image: NDArray[np.uint8]
    xyxy: Floats
    weight: Floats
    ignore: NDArray[np.bool_]
    visible: Floats


def decode_image(data: bytes, name: str) -> NDArray[np.uint8]:
    """The image (H, W, 3) uint8 BGR. Raises DataError where OpenCV cannot decode it."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise DataError(f"{name}: the image does not decode")
    return np.asarray(image, np.uint8)


def parse_yolo(text: str, name: str) -> Floats:
    """Boxes (N, 4) as centre x, centre y, width, height in 0..1 from lines `class xc yc w h`.

    Raises DataError for a line of another shape, a class other than 0, or a value outside 0..1.
    """
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            kind, *values = (float(part) for part in line.split())
        except ValueError:
            raise DataError(f"{name}: label line {number} is not numbers") from None
        if len(values) != 4 or kind != 0:
            raise DataError(f"{name}: label line {number} is not `0 xc yc w h`")
        if not all(0.0 <= v <= 1.0 for v in values) or min(values[2:]) <= 0.0:
            raise DataError(f"{name}: label outside 0..1")
        rows.append(values)
    return np.asarray(rows, np.float32).reshape(-1, 4)


def centre_to_xyxy(cxcywh: Floats, width_px: int, height_px: int) -> Floats:
    """Corner boxes (N, 4) in pixels, clipped to the image, of relative centre boxes."""
    scale = np.array([width_px, height_px], np.float32)
    low = (cxcywh[:, :2] - cxcywh[:, 2:] / 2) * scale
    high = (cxcywh[:, :2] + cxcywh[:, 2:] / 2) * scale
    both = np.concatenate((low, high), 1).clip(0, np.tile(scale, 2))
    return np.asarray(both, np.float32)


def parse_scene(text: str, name: str) -> tuple[Floats, Floats]:
    """Boxes (N, 4) in pixels and visible shares (N,) of a rendered scene's JSON truth.

    Raises DataError where the JSON, a box or a visible fraction is not as agreed.
    """
    try:
        scene = json.loads(text)
        boxes = np.asarray([p["box"] for p in scene["people"]], np.float32).reshape(-1, 4)
        visible = np.asarray([p["visible"] for p in scene["people"]], np.float32)
        width_px, height_px = float(scene["width"]), float(scene["height"])
    except (ValueError, KeyError, TypeError) as cause:
        raise DataError(f"{name}: scene truth is malformed ({type(cause).__name__})") from None
    limit = np.array([width_px, height_px, width_px, height_px], np.float32)
    if np.any(boxes < -1) or np.any(boxes > limit + 1) or np.any(visible < 0) or np.any(visible > 1.001):
        raise DataError(f"{name}: scene box outside the frame or visible fraction outside 0..1")
    keep = np.all(boxes[:, 2:] - boxes[:, :2] > 1.0, axis=1)
    return boxes[keep], visible[keep]


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Each regular member of the tar with its bytes. Raises DataError where the archive is damaged."""
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isfile() else None
                if stream is not None:
                    yield member.name, stream.read()
    except (tarfile.TarError, OSError, EOFError) as cause:
        raise DataError(f"{path}: not a readable tar shard ({cause})") from cause


def _label(text: str, name: str, scene: bool, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    if scene:
        return parse_scene(text, name)
    xyxy = centre_to_xyxy(parse_yolo(text, name), shape[1], shape[0])
    return xyxy, np.ones(len(xyxy), np.float32)


def read_shard(path: Path, skipped: Skipped) -> Iterator[Labelled]:
    """Labelled images of a shard, in name order; `.txt` labels are YOLO lines, `.json` labels rendered scenes.

    A pair with a broken half is counted in `skipped`; a damaged archive raises DataError after what was readable.
    """
    waiting: dict[str, dict[str, bytes]] = {}
    for member, data in members(path):
        stem, _, suffix = member.rpartition(".")
        pair = waiting.setdefault(stem, {})
        pair[suffix] = data
        label = pair.get("txt", pair.get("json"))
        if "jpg" not in pair or label is None:
            continue
        name = f"{path.name}:{stem}"
        del waiting[stem]
        try:
            image = decode_image(pair["jpg"], name)
            xyxy, visible = _label(label.decode("utf-8", "replace"), name, "json" in pair, image.shape)
        except DataError as error:
            skipped.add(name, str(error).removeprefix(name + ": "))
            continue
        yield Labelled(name, image, xyxy, np.ones(len(xyxy), np.float32), visible < VISIBLE_MIN, visible)
    for stem in waiting:
        skipped.add(f"{path.name}:{stem}", "image without label or label without image")


def read_animation(path: Path) -> Iterator[Labelled]:
    """Frames of a video or GIF without labels. Raises DataError where no frame decodes."""
    video = cv2.VideoCapture(str(path))
    number = 0
    while True:
        good, frame = video.read()
        if not good:
            break
        image = np.asarray(frame[..., :3], np.uint8)
        none = np.zeros(0, np.float32)
        yield Labelled(f"{path.name}:{number}", image, none.reshape(0, 4), none, none.astype(np.bool_), none)
        number += 1
    if number == 0:
        raise DataError(f"{path}: no frame decodes")
