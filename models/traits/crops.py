# SPDX-License-Identifier: Apache-2.0
"""Pictures of single people with what is known of them, kept decoded: `python -m models.traits.crops OUT SHARDS...`

    python -m models.traits.crops RUN/rendered.npz SHARDS/train-*.tar
    python -m models.traits.crops RUN/real.npz DATA/person-boxes/train-*.tar --teacher person-attributes-0230.onnx

A rendered person is known exactly: age, sex, stature. Of a real one only what the teacher says of the sex, as a
probability. Windows are larger than those that the device cuts (`nigiwai.eye.portrait`), so that training can move and
scale them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models.training.errors import DataError, Skipped
from models.training.shards import centre_to_xyxy, decode_image, parse_yolo
from nigiwai.eye.portrait import Window, cut, upright
from nigiwai.eye.sight import BROADEST
from nigiwai.eye.view import View
from nigiwai.lab.rendered import true_view

KEPT = (72, 144)
KEPT_GROW = 1.5
"""Width, height of the windows kept, and their height over the box's."""

LEAST_PX = 28
LEAST_VISIBLE = 0.35
MOST_TRUNCATED = 0.3
MOST_TILT_DEG = 66.0
"""Seen more steeply, a person is hair and shoulders; the device measures no heights there either."""

TEACHER_SIZE = (80, 160)
UNKNOWN = -1

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Crops:
    """N people, parallel arrays.

    image (N, 144, 72, 3) uint8 BGR. age in years, UNKNOWN of real people. male 0..1. stature_m without shoes, NaN of
    real people. height_px of the box. visible 0..1. tilt_deg of the camera, NaN where unknown. scene: pictures of one
    scene share a number.
    """

    image: NDArray[np.uint8]
    age: NDArray[np.int16]
    male: Floats
    stature_m: Floats
    height_px: Floats
    visible: Floats
    tilt_deg: Floats
    scene: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.age)

    def take(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Crops:
        """Some of them."""
        return Crops(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    @property
    def body(self) -> list[tuple[int, float, float]]:
        """What tells rendered bodies apart: age, sex and stature to a millimetre."""
        rows = zip(self.age.tolist(), self.male.tolist(), self.stature_m.tolist(), strict=True)
        return [(age, male, round(tall, 3)) for age, male, tall in rows]

    def held_back(self, one_in: int = 10) -> NDArray[np.bool_]:
        """(N,) a tenth of the bodies, for calibration: training never sees them."""
        return np.array([round(1000 * tall) * 31 % 97 % one_in == 0 for _, _, tall in self.body], np.bool_)


Row = tuple[NDArray[np.uint8], int, float, float, float, float, float, int]


def rendered(path: Path, skipped: Skipped) -> Iterator[Row]:
    """The people of a rendered shard who are seen well enough. Raises DataError where it cannot be opened."""
    for name, image, text in pairs(path, ".json"):
        try:
            truth = json.loads(text)
            picture = decode_image(image, name)
            view, scene = view_of(truth), int(truth["seed"])
            people = truth["people"] if view.tilt_deg < MOST_TILT_DEG else []
        except (DataError, ValueError, KeyError) as error:
            skipped.add(name, f"{error}")
            continue
        for p in people:
            left, top, right, bottom = p["box"]
            high = bottom - top
            standing = high >= LEAST_PX and right - left <= BROADEST * high
            if standing and p["visible"] >= LEAST_VISIBLE and p["truncation"] <= MOST_TRUNCATED:
                (window,) = upright(picture, view, np.array([p["box"]]), KEPT, KEPT_GROW)
                yield window, p["age"], float(p["sex"] == "m"), p["stature_m"], high, p["visible"], view.tilt_deg, scene


def view_of(truth: dict[str, Any]) -> View:
    """The view of a shard's frame as the device would know it."""
    return true_view(truth["camera"], (truth["width"], truth["height"]))


def real(path: Path, teacher: Path, skipped: Skipped) -> Iterator[Row]:
    """The people of a labelled shard, with what the teacher says of their sex."""
    session = ort.InferenceSession(str(teacher), providers=["CPUExecutionProvider"])
    name_in = session.get_inputs()[0].name
    attributes = next((o.name for o in session.get_outputs() if list(o.shape)[1:2] == [8]), None)
    if attributes is None:
        raise DataError(f"{teacher}: has no output of eight attributes; person-attributes-0230 is meant")
    for number, (name, image, text) in enumerate(pairs(path, ".txt")):
        try:
            picture = decode_image(image, name)
            boxes = centre_to_xyxy(parse_yolo(text, name), picture.shape[1], picture.shape[0])
        except DataError as error:
            skipped.add(name, f"{error}")
            continue
        for box in boxes.tolist():
            if box[3] - box[1] < 2 * LEAST_PX or box[2] - box[0] > 0.9 * (box[3] - box[1]):
                continue
            body = cut(picture, Window.around(box, grow=1.05), TEACHER_SIZE).transpose(2, 0, 1)[None].astype(np.float32)
            male = float(np.ravel(session.run([attributes], {name_in: body})[0])[0])
            window = cut(picture, Window.around(box, grow=KEPT_GROW), KEPT)
            yield window, UNKNOWN, male, np.nan, box[3] - box[1], 1.0, np.nan, number


def pairs(path: Path, kind: str) -> Iterator[tuple[str, bytes, str]]:
    """Name, picture and label text of a shard's members. Raises DataError where it cannot be opened."""
    try:
        with tarfile.open(path) as tar:
            members = {m.name: m for m in tar if m.isfile()}
            for name in sorted(n for n in members if n.endswith(".jpg")):
                label = members.get(name.removesuffix(".jpg") + kind)
                if label is not None:
                    yield f"{path.name}:{name}", _read(tar, members[name]), _read(tar, label).decode()
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{path}: {error}") from None


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    return stream.read() if stream else b""


def gathered(rows: Iterator[Row]) -> Crops:
    """The rows as one set. Raises DataError where there are none."""
    columns = list(zip(*rows, strict=True))
    if not columns:
        raise DataError("no person in the shards is seen well enough")
    kinds = (np.uint8, np.int16, np.float32, np.float32, np.float32, np.float32, np.float32, np.int64)
    return Crops(*(np.array(c, k) for c, k in zip(columns, kinds, strict=True)))  # type: ignore[arg-type]


def save(crops: Crops, path: Path) -> None:
    """Writes a set, pictures not compressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{f.name: getattr(crops, f.name) for f in fields(crops)})


def load(path: Path) -> Crops:
    """Reads a set. Raises DataError where it is none."""
    try:
        with np.load(path) as data:
            return Crops(**{f.name: data[f.name] for f in fields(Crops)})
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"{path}: not a set of people ({error}); make it with `python -m models.traits.crops`"
        ) from None


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("shards", type=Path, nargs="+")
    parser.add_argument("--teacher", type=Path, help="the shards show real people; this network says of which sex")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    skipped = Skipped()
    try:
        rows = (
            row
            for path in args.shards
            for row in (real(path, args.teacher, skipped) if args.teacher else rendered(path, skipped))
        )
        crops = gathered(rows)
    except DataError as error:
        sys.exit(str(error))
    save(crops, args.out)
    print(f"{args.out}: {len(crops)} people; {skipped.summary()}")


if __name__ == "__main__":
    main()
