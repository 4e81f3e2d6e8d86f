# SPDX-License-Identifier: Apache-2.0
"""What the networks' output means: boxes and scores of people. Pure numpy; one function per family of networks.

Every decoder throws away what scores below `low` first, and works on the handful of cells that are left. Boxes come out
as (N, 4) float32 left, top, right, bottom in pixels of the network's input, scores as (N,) in 0..1, neither in order.

A cell of stride s at column x and row y stands for the s x s pixels from (x s, y s). Networks of the GFL family
(Li et al. 2020, "Generalized Focal Loss", arXiv:2006.04388) say four distances from the cell's centre to the box's
sides, each as a distribution over bins 0..n-1 in strides; the distance is its expectation.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nigiwai.eye.manifest import Entry
from nigiwai.eye.types import Detections, Float32s

NIGIWAI_STRIDES = (8, 16, 32)
YOLOX_STRIDES = (8, 16, 32)
GFL_STRIDES = (8, 16, 32, 64)
BINS = 8

MAX_CANDIDATES = 300
"""Boxes that suppression looks at, best first; a crowd that fills the picture gives about 200 above 0.1."""

MAX_DETECTIONS = 100
"""Boxes that leave the detector at most; nobody counts more people in one picture."""

Outputs = Sequence[NDArray[Any]]
Shape = tuple[int, ...]


class Boxes(NamedTuple):
    """Boxes (N, 4) and their scores (N,), in no order."""

    xyxy: Float32s
    score: Float32s


class Decoder(NamedTuple):
    """How one family's output is shaped and read."""

    shapes: Callable[[tuple[int, int], int], list[Shape]]
    """The shapes of all outputs for an input (width, height) and a number of classes."""
    read: Callable[[Outputs, tuple[int, int], int, int, float], Boxes]
    """The boxes in outputs, given the input size, the number of classes, the person's index, the lowest score."""


def decode(outputs: Outputs, size: tuple[int, int], entry: Entry) -> Detections:
    """The people in the network's outputs: above the entry's `low`, after suppression, highest score first.

    Boxes are in pixels of the input of width and height `size`.
    """
    limits = entry.thresholds
    boxes = DECODERS[entry.decode].read(outputs, size, entry.classes, entry.person, limits.low)
    kept = suppress(boxes.xyxy, boxes.score, limits.nms_iou)
    return Detections(boxes.xyxy[kept], boxes.score[kept], np.zeros(len(kept), np.uint8))


def suppress(xyxy: Float32s, score: Float32s, iou: float) -> NDArray[np.intp]:
    """Indices of the boxes to keep, highest score first: each overlaps all better ones by at most `iou`.

    Of equal scores the earlier box comes first. At most MAX_DETECTIONS of the best MAX_CANDIDATES.
    """
    order = np.argsort(-score, kind="stable")[:MAX_CANDIDATES]
    if len(order) < 2:
        return order
    apart = pairwise_iou(xyxy[order]) <= iou
    left, kept = np.ones(len(order), bool), list[int]()
    while len(kept) < MAX_DETECTIONS and left[best := int(left.argmax())]:
        kept.append(best)
        left &= apart[best]
        left[best] = False
    return order[kept]


def pairwise_iou(xyxy: Float32s) -> Float32s:
    """Intersection over union (N, N) of every two of N boxes; 0 where both have no area."""
    left, top, right, bottom = np.ascontiguousarray(xyxy.T)
    width = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    height = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    inter = np.maximum(width, 0) * np.maximum(height, 0)
    area = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
    union = area[:, None] + area - inter
    overlap: Float32s = inter / np.maximum(union, np.finfo(np.float32).tiny)
    return overlap


def cells(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Columns and rows of cells of that stride; a last cell may reach past the edge."""
    return -(-size[0] // stride), -(-size[1] // stride)


def _distances(logits: Float32s) -> Float32s:
    """Expected distance in strides (N, 4) of logits (N, 4, bins)."""
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    bins = np.arange(logits.shape[2], dtype=np.float32)
    expected: Float32s = (weights @ bins) / weights.sum(axis=2)
    return expected


def _around(centre: Float32s, ltrb: Float32s) -> Float32s:
    """Boxes (N, 4) from points (N, 2) and distances (N, 4) to left, top, right, bottom."""
    return np.concatenate([centre - ltrb[:, :2], centre + ltrb[:, 2:]], axis=1)


def _points(cell: NDArray[np.intp], columns: int, offset: float) -> Float32s:
    """Columns and rows (N, 2) of cells numbered row by row, plus `offset`, in strides."""
    return np.stack([cell % columns, cell // columns], axis=1).astype(np.float32) + np.float32(offset)


def _joined(parts: list[Boxes]) -> Boxes:
    return Boxes(np.concatenate([p.xyxy for p in parts]), np.concatenate([p.score for p in parts]))


# nigiwai-person: per stride (1, 33, rows, columns): the score's logit, then 4 x 8 distance logits.


def _nigiwai_shapes(size: tuple[int, int], classes: int) -> list[Shape]:
    return [(1, classes + 4 * BINS, *cells(size, s)[::-1]) for s in NIGIWAI_STRIDES]


def _read_nigiwai(outputs: Outputs, size: tuple[int, int], classes: int, person: int, low: float) -> Boxes:
    least = math.log(low / (1.0 - low))
    found, places, begin = [], [], 0
    for output in outputs:
        flat = output[0].reshape(classes + 4 * BINS, -1)
        (cell,) = (flat[person] >= least).nonzero()
        if len(cell):
            found.append(flat.take(cell, axis=1))
            places.append(cell + begin)
        begin += flat.shape[1]
    if not found:
        return Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    values, place = np.concatenate(found, axis=1), np.concatenate(places)
    centres, strides = _nigiwai_grid(size)
    ltrb = _distances(values[classes:].T.reshape(-1, 4, BINS)) * strides[place]
    return Boxes(_around(centres[place], ltrb), 1.0 / (1.0 + np.exp(-values[person])))


@lru_cache(maxsize=8)
def _nigiwai_grid(size: tuple[int, int]) -> tuple[Float32s, Float32s]:
    """Centres (cells, 2) and strides (cells, 1) of all cells in px, as the outputs have them one after the other."""
    grids = [(np.arange(math.prod(cells(size, s))), cells(size, s)[0], s) for s in NIGIWAI_STRIDES]
    centres = [_points(cell, columns, 0.5) * stride for cell, columns, stride in grids]
    strides = [np.full((len(cell), 1), stride, np.float32) for cell, _, stride in grids]
    return np.concatenate(centres), np.concatenate(strides)


# YOLOX: (1, cells, 5 + classes): x, y offset and log width, height in strides; objectness; classes.
# Scores come activated. (Ge et al. 2021, arXiv:2107.08430; Megvii's demo/ONNXRuntime)


def _yolox_shapes(size: tuple[int, int], classes: int) -> list[Shape]:
    return [(1, sum(math.prod(cells(size, s)) for s in YOLOX_STRIDES), 5 + classes)]


def _read_yolox(outputs: Outputs, size: tuple[int, int], classes: int, person: int, low: float) -> Boxes:  # noqa: ARG001
    rows = outputs[0][0]
    score = rows[:, 4] * rows[:, 5 + person]
    parts, begin = [], 0
    for stride in YOLOX_STRIDES:
        columns, lines = cells(size, stride)
        end = begin + columns * lines
        cell = np.flatnonzero(score[begin:end] >= low)
        row = rows[begin:end][cell]
        centre = (row[:, :2] + _points(cell, columns, 0.0)) * stride
        half = np.exp(row[:, 2:4]) * (stride / 2)
        parts.append(Boxes(np.concatenate([centre - half, centre + half], axis=1), score[begin:end][cell]))
        begin = end
    return _joined(parts)


# NanoDet-Plus: (1, cells, classes + 4 x 8), scores activated, distances from the cell's top left corner.
# (RangiLyu/nanodet: get_single_level_center_priors with no half-cell offset)


def _nanodet_shapes(size: tuple[int, int], classes: int) -> list[Shape]:
    return [(1, sum(math.prod(cells(size, s)) for s in GFL_STRIDES), classes + 4 * BINS)]


def _read_nanodet(outputs: Outputs, size: tuple[int, int], classes: int, person: int, low: float) -> Boxes:
    rows, parts, begin = outputs[0][0], [], 0
    for stride in GFL_STRIDES:
        columns, lines = cells(size, stride)
        level = rows[begin : begin + columns * lines]
        parts.append(_read_level(level[:, person], level[:, classes:], columns, stride, 0.0, low))
        begin += columns * lines
    return _joined(parts)


# PicoDet: per stride (1, cells, classes) activated, then per stride (1, cells, 4 x 8); distances from the centre.
# (PaddleDetection deploy/third_engine)


def _picodet_shapes(size: tuple[int, int], classes: int) -> list[Shape]:
    counts = [math.prod(cells(size, s)) for s in GFL_STRIDES]
    return [*((1, n, classes) for n in counts), *((1, n, 4 * BINS) for n in counts)]


def _read_picodet(outputs: Outputs, size: tuple[int, int], classes: int, person: int, low: float) -> Boxes:  # noqa: ARG001
    levels = len(GFL_STRIDES)
    return _joined([
        _read_level(scores[0][:, person], bins[0], cells(size, stride)[0], stride, 0.5, low)
        for scores, bins, stride in zip(outputs[:levels], outputs[levels:], GFL_STRIDES, strict=True)
    ])  # fmt: skip


def _read_level(scores: Float32s, bins: Float32s, columns: int, stride: int, offset: float, low: float) -> Boxes:
    """The boxes of one stride: `scores` (cells,) activated, `bins` (cells, 32) logits."""
    cell = np.flatnonzero(scores >= low)
    ltrb = _distances(bins[cell].reshape(-1, 4, BINS)) * stride
    return Boxes(_around(_points(cell, columns, offset) * stride, ltrb), scores[cell])


DECODERS: dict[str, Decoder] = {
    "nigiwai": Decoder(_nigiwai_shapes, _read_nigiwai),
    "yolox": Decoder(_yolox_shapes, _read_yolox),
    "nanodet": Decoder(_nanodet_shapes, _read_nanodet),
    "picodet": Decoder(_picodet_shapes, _read_picodet),
}
