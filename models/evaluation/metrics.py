# SPDX-License-Identifier: Apache-2.0
"""Average precision, precision and recall of one class, as COCO counts them but with every recall level.

A detection is right if it overlaps a person that no better detection has taken, by the threshold or more. People
marked as ignored cost nothing when missed, and detections on them count neither way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.training.boxes import Floats, covered, iou


@dataclass(frozen=True)
class Picture:
    """Detections `xyxy (N, 4)`, `score (N,)` and truth `people (M, 4)`, `ignore (M,)` of one image, in pixels."""

    xyxy: Floats
    score: Floats
    people: Floats
    ignore: NDArray[np.bool_]


@dataclass(frozen=True)
class Verdict:
    """Scores (D,) of all detections that count, whether each is right (D,), and the number of people to find."""

    score: Floats
    right: NDArray[np.bool_]
    people: int


def match(picture: Picture, iou_min: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each detection is right (N,), and whether it is to be left out of the count (N,)."""
    right, out = np.zeros(len(picture.score), np.bool_), np.zeros(len(picture.score), np.bool_)
    overlap = iou(picture.xyxy, picture.people)
    inside = covered(picture.xyxy, picture.people)
    free = np.ones(len(picture.people), np.bool_)
    for k in np.argsort(-picture.score, kind="stable"):
        usable = np.where(free & ~picture.ignore, overlap[k], 0.0)
        j = int(usable.argmax()) if usable.size else -1
        if j >= 0 and usable[j] >= iou_min:
            right[k], free[j] = True, False
        elif picture.ignore.any():
            ignored = np.maximum(inside[k], overlap[k])[picture.ignore]
            out[k] = bool(ignored.max() >= 0.5)
    return right, out


def judge(pictures: list[Picture], iou_min: float) -> Verdict:
    """The verdict over all images at one overlap threshold."""
    scores, rights = [np.zeros(0, np.float32)], [np.zeros(0, np.bool_)]
    for picture in pictures:
        right, out = match(picture, iou_min)
        scores.append(picture.score[~out])
        rights.append(right[~out])
    people = sum(int((~p.ignore).sum()) for p in pictures)
    return Verdict(np.concatenate(scores), np.concatenate(rights), people)


def average_precision(verdict: Verdict) -> float:
    """Area under the precision-recall curve, precision made monotone; 0 where there is nobody to find."""
    if verdict.people == 0 or verdict.score.size == 0:
        return 0.0
    right = verdict.right[np.argsort(-verdict.score, kind="stable")]
    found = np.cumsum(right)
    precision = found / np.arange(1, len(found) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(np.concatenate(([0.0], found / verdict.people)))
    return float(np.sum(steps * precision))


def precision_recall(verdict: Verdict, score_min: float) -> tuple[float, float]:
    """Precision and recall of the detections with at least this score; precision is 1 where there are none."""
    chosen = verdict.score >= score_min
    right = int(verdict.right[chosen].sum())
    precision = right / int(chosen.sum()) if chosen.any() else 1.0
    return precision, right / verdict.people if verdict.people else 0.0
