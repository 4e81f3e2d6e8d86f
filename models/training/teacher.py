# SPDX-License-Identifier: Apache-2.0
"""Labels by an ensemble of teachers: three public detectors, the fastest also on the mirror image, fused.

Why: the labels of rotated copies are loose (a box around a rotated box), and a detector that learns from loose boxes
has boxes that wobble. Where the ensemble and the label agree that somebody is there, the box is pulled to the
ensemble's; a label that no teacher confirms stays, but teaches the box little; people whom only the ensemble sees
are added if most teachers agree, and are otherwise neither person nor background.

Boxes are fused as a score-weighted mean of a cluster (Solovyev et al., Weighted boxes fusion, arXiv:1910.13302).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.evaluation.reference import DECODERS, Found, Reference
from models.training.boxes import Floats, iou
from models.training.cache import ImageSet, load_set, save_labels

CLUSTER_IOU = 0.55
SAME_IOU = 0.5  # a label and a fused box are the same person from here on
LOOSE_IOU = 0.75  # below it the label counts as loose and the ensemble's box wins
ADD_SCORE, ADD_VOTES = 0.45, 0.6  # teacher-only people: mean score and share of the votes
IGNORE_SCORE = 0.15
UNCONFIRMED_WEIGHT = 0.3


class Detector(Protocol):
    """Whatever finds people in a BGR image."""

    def detect(self, image: NDArray[np.uint8], score_min: float = ..., iou_max: float = ...) -> Found:
        """Boxes and scores."""
        ...


def mirrored(xyxy: Floats, width_px: int) -> Floats:
    """The boxes as they lie in the mirror image."""
    out = xyxy.copy()
    out[:, 0], out[:, 2] = width_px - xyxy[:, 2], width_px - xyxy[:, 0]
    return out


def votes(image: NDArray[np.uint8], teachers: Sequence[Detector], mirror: int = 1) -> list[Found]:
    """Each teacher's boxes on the image, and the first `mirror` teachers' on its mirror image, in the image's pixels.

    Mirroring all three raised AP50 of the ensemble on the validation images little and took twice the time.
    """
    found = [teacher.detect(image, 0.08, 0.6) for teacher in teachers]
    flipped = np.ascontiguousarray(image[:, ::-1])
    for teacher in teachers[:mirror]:
        other = teacher.detect(flipped, 0.08, 0.6)
        found.append(replace(other, xyxy=mirrored(other.xyxy, image.shape[1])))
    return found


def fuse(found: Sequence[Found]) -> tuple[Found, Floats]:
    """Fused boxes with the mean score over all voters, and the share (N,) of voters behind each.

    Greedy, best score first: a box joins the cluster whose mean it overlaps most, if by CLUSTER_IOU or more and its
    voter is not in it yet; else it opens a cluster.
    """
    voter = np.concatenate([np.full(len(f.score), i) for i, f in enumerate(found)])
    xyxy = np.concatenate([f.xyxy for f in found])
    score = np.concatenate([f.score for f in found])
    mean, total, members = np.zeros((0, 4), np.float32), np.zeros(0, np.float32), list[set[int]]()
    for k in np.argsort(-score, kind="stable"):
        overlap = iou(xyxy[k : k + 1], mean)[0]
        free = np.array([voter[k] not in m for m in members], np.bool_)
        overlap = np.where(free, overlap, 0.0) if len(members) else overlap
        j = int(overlap.argmax()) if len(members) else -1
        if j < 0 or overlap[j] < CLUSTER_IOU:
            mean, total = np.vstack((mean, xyxy[k : k + 1])), np.append(total, score[k])
            members.append({int(voter[k])})
            continue
        mean[j] += (xyxy[k] - mean[j]) * score[k] / (total[j] + score[k])
        total[j] += score[k]
        members[j].add(int(voter[k]))
    share = np.array([len(m) / len(found) for m in members], np.float32)
    return Found(mean.astype(np.float32), (total / len(found)).astype(np.float32)), share


def relabel(xyxy: Floats, fused: Found, share: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """New boxes, box-loss weights and ignore flags from an image's labels and the ensemble's view of it."""
    overlap = iou(xyxy, fused.xyxy)
    taken = np.zeros(len(fused.score), np.bool_)
    boxes, weight, ignore = [], [], []
    for i in np.argsort(-overlap.max(1, initial=0.0), kind="stable"):
        row = np.where(taken, 0.0, overlap[i])
        j = int(row.argmax()) if row.size else -1
        if j < 0 or row[j] < SAME_IOU:
            boxes.append(xyxy[i])
            weight.append(UNCONFIRMED_WEIGHT)
        else:
            taken[j] = True
            pull = 0.85 if row[j] < LOOSE_IOU else 0.5
            boxes.append(pull * fused.xyxy[j] + (1 - pull) * xyxy[i])
            weight.append(0.6 if row[j] < LOOSE_IOU else 1.0)
        ignore.append(False)
    for j in map(int, np.flatnonzero(~taken & (fused.score >= IGNORE_SCORE))):
        if overlap.size and overlap[:, j].max(initial=0.0) > SAME_IOU:
            continue
        boxes.append(fused.xyxy[j])
        sure = fused.score[j] >= ADD_SCORE and share[j] >= ADD_VOTES
        weight.append(0.8)
        ignore.append(not sure)
    return (
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(weight, np.float32),
        np.asarray(ignore, np.bool_),
    )


def teach(data: ImageSet, teachers: Sequence[Detector], say_every: int = 500) -> ImageSet:
    """The set with the ensemble's labels in place of its own."""
    rows, start = [], time.monotonic()
    height, width = data.images.shape[1:3]
    for i, image in enumerate(data.images):
        fused, share = fuse(votes(np.asarray(image), teachers))
        xyxy, weight, ignore = relabel(data.xyxy[i], fused, share)
        rows.append((xyxy.clip(0, [width, height, width, height]).astype(np.float32), weight, ignore))
        if (i + 1) % say_every == 0:
            left_s = (time.monotonic() - start) / (i + 1) * (len(data) - i - 1)
            print(f"{data.name}: {i + 1} of {len(data)}, {left_s:.0f} s left", flush=True)
    boxes, weights, ignores = (list(column) for column in zip(*rows, strict=True))
    return replace(data, xyxy=boxes, weight=weights, ignore=ignores)


def main() -> None:
    """`python -m models.training.teacher CACHE MODELS SET...` writes SET.teacher.npz beside each cached set."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("sets", nargs="+")
    args = parser.parse_args()
    teachers = [Reference(args.models / f"{name}.onnx", threads=1) for name in DECODERS]
    for name in args.sets:
        data = load_set(args.cache, name)
        taught = teach(data, teachers)
        save_labels(args.cache / f"{name}.teacher.npz", taught)
        ignored = sum(int(i.sum()) for i in taught.ignore)
        people = sum(len(b) for b in taught.xyxy) - ignored
        print(
            f"{name}: {sum(len(b) for b in data.xyxy)} labels -> {people} people, {ignored} ignored",
            flush=True,
        )


if __name__ == "__main__":
    main()
