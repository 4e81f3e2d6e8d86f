# SPDX-License-Identifier: Apache-2.0
"""The worst pictures of the held-out rendered scenes, for the card. No picture of a real person is ever drawn here.

    python -m models.evaluation.failures --synthetic SHARDS --out models/cards/nigiwai-person.failures.jpg

Green: found. Red: missed although at least half is seen. Yellow: found where nobody is. At most one picture a scene.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.evaluation.metrics import match
from models.evaluation.ours import Ours
from models.evaluation.report import Detect, Judged, look
from models.evaluation.sets import EvalSet, rendered
from models.training.errors import Skipped

FOUND, MISSED, FALSE = (80, 200, 80), (40, 40, 230), (0, 215, 255)  # BGR
HALF = 0.5
MODELS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Verdicts:
    """Boxes (N, 4) of one picture by what became of them."""

    found: NDArray[np.float32]
    missed: NDArray[np.float32]
    false: NDArray[np.float32]

    @property
    def mistakes(self) -> int:
        """How many people were missed or invented."""
        return len(self.missed) + len(self.false)


def verdicts(judged: Judged, score_min: float) -> Verdicts:
    """What was found, missed and invented at a threshold, at an overlap of 0.5."""
    picture = judged.picture
    sure = picture.score >= score_min
    picture = type(picture)(picture.xyxy[sure], picture.score[sure], picture.people, picture.ignore)
    right, out = match(picture, 0.5)
    hit = np.zeros(len(picture.people), np.bool_)
    for box in picture.xyxy[right]:
        hit[overlap(box, picture.people).argmax()] = True
    asked = ~hit & ~picture.ignore & (judged.visible >= HALF)
    return Verdicts(picture.xyxy[right], picture.people[asked], picture.xyxy[~right & ~out])


def overlap(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of one box (4,) with others (N, 4)."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    inside = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    return np.asarray(inside / np.maximum(areas - inside, 1e-9), np.float32)


def drawn(image: NDArray[np.uint8], found: Verdicts) -> NDArray[np.uint8]:
    """The picture with its boxes."""
    out = image.copy()
    for boxes, colour in ((found.found, FOUND), (found.false, FALSE), (found.missed, MISSED)):
        for x0, y0, x1, y1 in boxes.round().astype(int).tolist():
            cv2.rectangle(out, (x0, y0), (x1, y1), colour, 2)
    return out


def worst(detect: Detect, data: EvalSet, score_min: float, count: int) -> list[NDArray[np.uint8]]:
    """The `count` pictures with most mistakes, drawn; neighbours of a picture already taken are passed over."""
    rows = [verdicts(judged, score_min) for judged in look(detect, data)]
    order = sorted(range(len(rows)), key=lambda k: (-rows[k].mistakes, k))
    taken: list[int] = []
    for k in order:
        if len(taken) < count and all(abs(k - other) > 3 for other in taken):
            taken.append(k)
    return [drawn(data.items[k].image, rows[k]) for k in taken]


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--synthetic", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=MODELS / "nigiwai-person.int8.onnx")
    parser.add_argument("--score", type=float, default=0.4)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    data = rendered(sorted(args.synthetic.glob("heldout*.tar")), Skipped())
    tiles = worst(Ours(args.model, *data.size, threads=1).detect, data, args.score, 9)
    sheet = np.vstack([np.hstack(tiles[k : k + 3]) for k in range(0, 9, 3)])
    cv2.imwrite(str(args.out), sheet, [cv2.IMWRITE_JPEG_QUALITY, 78])


if __name__ == "__main__":
    main()
