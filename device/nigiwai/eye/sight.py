# SPDX-License-Identifier: Apache-2.0
"""Everybody followed at one moment, and who stands before whom: made once for heights, looks and ways. Pure.

Nearer is who ends lower in the picture; that is so on a level floor, however the camera looks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nigiwai.clock import BootNs
from nigiwai.eye.types import Track

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Box = tuple[float, float, float, float]

STEP_NS = 200_000_000
"""So often everybody is measured and placed on the floor, and some are shown to the trait model. Looks as near to one
another share half of their error."""

EDGE = 0.012
LEAST_PX = 40.0
BROADEST = 0.75
"""Width over height of a box that is still one upright person; more is sitting, a trolley, two people."""


class Someone(NamedTuple):
    """One of those followed. box: as they were seen, else as they are expected.

    cut: the edge of the picture, or an obstacle, cut what was seen. hidden: the share of the box that somebody nearer
    covers at most. behind: whether anybody nearer stands before them.
    """

    track: Track
    box: Box
    cut: bool
    hidden: float
    behind: bool


@dataclass(frozen=True, slots=True)
class Sight:
    """One moment."""

    at: BootNs
    people: tuple[Someone, ...]

    @staticmethod
    def of(tracks: Sequence[Track], at: BootNs) -> "Sight":
        """The moment at which the tracks are as given."""
        if not tracks:
            return Sight(at, ())
        boxes = [best_box(t) for t in tracks]
        cut = [
            t.seen and t.detected is not None and t.detected[0] != t.detected[0] for t in tracks
        ]  # NaN is not itself
        rows = np.array(boxes)
        before = _before(rows, rows)
        hidden, behind = _hidden(rows, *before).tolist(), _covered(rows, *before).tolist()
        return Sight(at, tuple(map(Someone, tracks, boxes, cut, hidden, behind)))

    @property
    def numbers(self) -> set[int]:
        """Of those followed."""
        return {one.track.number for one in self.people}


def best_box(track: Track) -> Box:
    """Where somebody is, for asking whom they cover: as they were seen, else as they are expected."""
    seen = track.detected if track.seen else None
    return track.xyxy if seen is None or isnan(seen[0]) else seen


def whole(boxes: Floats, size: tuple[int, int], least_px: float = LEAST_PX) -> Bools:
    """(N,) which boxes show a whole upright person, away from the picture's edges and large enough."""
    return np.array([is_whole(tuple(box), size, least_px) for box in boxes.tolist()], np.bool_)


def is_whole(box: Box, size: tuple[int, int], least_px: float = LEAST_PX) -> bool:
    """The same of one box. Of the few there are plain numbers are asked faster than arrays."""
    left, top, right, bottom = box
    width, height = size
    inside = (
        left > EDGE * width and top > EDGE * height and right < width - EDGE * width and bottom < height - EDGE * height
    )
    return inside and bottom - top >= least_px and right - left <= BROADEST * (bottom - top)


def hidden_share(boxes: Floats, others: Floats) -> Floats:
    """(N,) the share of each box that the nearer (lower in the picture) of some other boxes covers most of.

    others: may hold the boxes themselves; nobody stands before themselves if both are the very same numbers.
    """
    return _hidden(boxes, *_before(boxes, others))


def covered(boxes: Floats, others: Floats) -> Bools:
    """(N,) before which boxes somebody nearer stands, over a tenth of their width or more; others: as above."""
    return _covered(boxes, *_before(boxes, others))


def _before(boxes: Floats, others: Floats) -> tuple[Bools, Floats]:
    """(N, M) whether each of the others is nearer (lower in the picture), (N, M, 2) how wide and high both share."""
    low = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.maximum(low - np.maximum(boxes[:, None, :2], others[None, :, :2]), 0.0)
    return others[None, :, 3] > boxes[:, None, 3], shared


def _hidden(boxes: Floats, nearer: Bools, shared: Floats) -> Floats:
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    over = shared[..., 0] * shared[..., 1] * nearer
    share: Floats = over.max(axis=1, initial=0.0) / np.maximum(area, 1e-9)
    return share


def _covered(boxes: Floats, nearer: Bools, shared: Floats) -> Bools:
    wide = (boxes[:, 2] - boxes[:, 0])[:, None]
    return np.asarray((nearer & (shared[..., 0] > 0.1 * wide) & (shared[..., 1] > 0)).any(axis=1))
