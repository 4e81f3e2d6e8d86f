# SPDX-License-Identifier: Apache-2.0
"""Evaluation sets: labelled images that nothing was trained on.

valid          the validation shard of person-boxes
corridor       every 5th frame of the CAVIAR corridor recording; people under 36 px tall are not asked for
synthetic      rendered scenes whose bodies, textures and seeds are not in the training shards
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.boxes import Floats
from models.training.errors import DataError, Skipped
from models.training.shards import Labelled, members, read_shard

CORRIDOR = "caviar-one-leave-shop-corridor"
CORRIDOR_EVERY, CORRIDOR_HEIGHT_MIN_PX = 5, 36.0


@dataclass(frozen=True)
class Note:
    """What only rendered truth knows: the camera's tilt in degrees, the age in years of each labelled person (N,)."""

    tilt_deg: float
    ages: NDArray[np.float32]


@dataclass(frozen=True)
class EvalSet:
    """Named images with truth; `size` (width, height) is what our detector is run at."""

    name: str
    items: list[Labelled]
    size: tuple[int, int]
    notes: dict[str, Note] = field(default_factory=dict)


def caviar_boxes(path: Path) -> dict[int, Floats]:
    """Boxes (N, 4) in pixels of each frame of a CAVIAR tracks file. Raises DataError where it is malformed."""
    try:
        root = ET.parse(path).getroot()  # noqa: S314
        frames: dict[int, Floats] = {}
        for frame in root.iter("frame"):
            rows = [
                [float(b.attrib[k]) for k in ("xc", "yc", "w", "h")] for b in frame.iterfind("objectlist/object/box")
            ]
            c = np.asarray(rows, np.float32).reshape(-1, 4)
            low, high = c[:, :2] - c[:, 2:] / 2, c[:, :2] + c[:, 2:] / 2
            frames[int(frame.attrib["number"])] = np.concatenate((low, high), 1)
    except (ET.ParseError, OSError, KeyError, ValueError) as cause:
        raise DataError(f"{path}: not a CAVIAR tracks file ({cause})") from cause
    return frames


def video_frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Frames of a recording, BGR. Raises DataError where none decodes."""
    video, count = cv2.VideoCapture(str(path)), 0
    while True:
        good, frame = video.read()
        if not good:
            break
        count += 1
        yield np.asarray(frame, np.uint8)
    if not count:
        raise DataError(f"{path}: no frame decodes")


def corridor(footage: Path) -> EvalSet:
    """CAVIAR corridor frames; what is too small is ignored, not background."""
    truth = caviar_boxes(footage / f"{CORRIDOR}.tracks.xml")
    items = []
    for number, image in enumerate(video_frames(footage / f"{CORRIDOR}.mpg")):
        if number % CORRIDOR_EVERY or number not in truth:
            continue
        limit = np.tile([image.shape[1], image.shape[0]], 2)
        xyxy = truth[number].clip(0, limit).astype(np.float32)
        small = xyxy[:, 3] - xyxy[:, 1] < CORRIDOR_HEIGHT_MIN_PX
        ones = np.ones(len(xyxy), np.float32)
        items.append(Labelled(f"{CORRIDOR}:{number}", image, xyxy, ones, small, ones))
    return EvalSet("corridor", items, (384, 288))


def shards(name: str, paths: list[Path], size: tuple[int, int], skipped: Skipped) -> EvalSet:
    """All images of some shards; a damaged shard is counted in `skipped`."""
    items: list[Labelled] = []
    for path in paths:
        try:
            items += read_shard(path, skipped)
        except DataError as error:
            skipped.add(str(path), str(error))
    return EvalSet(name, items, size)


def scene_notes(path: Path) -> dict[str, Note]:
    """Notes of a shard's rendered scenes by the name that `read_shard` gives the picture; broken scenes have none."""
    notes = {}
    for member, data in members(path):
        stem, _, suffix = member.rpartition(".")
        if suffix != "json":
            continue
        try:
            scene = json.loads(data)
            people = [p for p in scene["people"] if min(p["box"][2] - p["box"][0], p["box"][3] - p["box"][1]) > 1.0]
            ages = np.asarray([p["age"] for p in people], np.float32)
            notes[f"{path.name}:{stem}"] = Note(float(scene["camera"]["tilt_deg"]), ages)
        except (ValueError, KeyError, TypeError):
            continue  # `read_shard` names and counts it
    return notes


def rendered(paths: list[Path], skipped: Skipped) -> EvalSet:
    """The held-out scenes with their notes."""
    data = shards("synthetic", paths, (416, 256), skipped)
    notes: dict[str, Note] = {}
    for path in paths:
        try:
            notes |= scene_notes(path)
        except DataError:
            continue  # `shards` has counted it
    return replace(data, notes=notes)


def load_all(data: Path, synthetic: Path | None, skipped: Skipped) -> list[EvalSet]:
    """Every set whose files are there; what is missing is counted in `skipped`."""
    sets = []
    valid = sorted((data / "person-boxes").glob("valid*.tar"))
    if valid:
        sets.append(shards("valid", valid, (320, 320), skipped))
    if (data / "footage" / f"{CORRIDOR}.mpg").exists():
        sets.append(corridor(data / "footage"))
    heldout = sorted(synthetic.glob("heldout*.tar")) if synthetic else []
    if heldout:
        sets.append(rendered(heldout, skipped))
    for name in {"valid", "corridor", "synthetic"} - {s.name for s in sets}:
        skipped.add(name, "evaluation set is absent")
    return sets
