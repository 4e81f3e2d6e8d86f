# SPDX-License-Identifier: Apache-2.0
"""Arithmetic on boxes: `xyxy (N, 4)` float32 in pixels, x to the right, y down."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def area(xyxy: Floats) -> Floats:
    """Areas (N,), 0 for boxes without width or height."""
    size = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0)
    return np.asarray(size[:, 0] * size[:, 1], np.float32)


def intersection(a: Floats, b: Floats) -> Floats:
    """Areas of overlap (N, M)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    size = np.maximum(high - low, 0)
    return np.asarray(size[..., 0] * size[..., 1], np.float32)


def iou(a: Floats, b: Floats) -> Floats:
    """Intersection over union (N, M); 0 where both are empty."""
    inter = intersection(a, b)
    union = area(a)[:, None] + area(b)[None] - inter
    return np.asarray(inter / np.maximum(union, 1e-9), np.float32)


def covered(a: Floats, b: Floats) -> Floats:
    """Share of each box of `a` that each box of `b` covers (N, M)."""
    return np.asarray(intersection(a, b) / np.maximum(area(a)[:, None], 1e-9), np.float32)


def nms(xyxy: Floats, score: Floats, iou_max: float, keep_max: int = 300) -> NDArray[np.int64]:
    """Indices kept by greedy non-maximum suppression, best first; empty for no boxes."""
    order = np.argsort(-score, kind="stable")
    kept: list[int] = []
    while order.size and len(kept) < keep_max:
        best, order = int(order[0]), order[1:]
        kept.append(best)
        order = order[iou(xyxy[best : best + 1], xyxy[order])[0] <= iou_max]
    return np.asarray(kept, np.int64)
