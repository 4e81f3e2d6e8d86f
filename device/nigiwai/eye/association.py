# SPDX-License-Identifier: Apache-2.0
"""Which detection is which person: how badly each pair fits, and the best pairing of all. Pure.

A detector shows less than a person where the picture ends, where somebody stands in front, and where it takes an upper
body for a body. Such a box is completed from what the filter knows of the person before it is compared or used:

    edge of the picture      +--+        the head is where it was, the box ends early:    +--+
       cuts the box:     ====|  |====    somebody or something hides the legs, so the     |  |
                             :..:        height is kept, and given up slowly              :..:

A longer box with its head in place is believed at once: the person was hidden until then.

How badly a pair fits is the squared distance in standard deviations, plus the logarithm of how vague the prediction is:
somebody unseen for a second must not take the detection of somebody seen just now.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

import numpy as np

from nigiwai.eye.motion import Bools, Filter, Floats, Ints, Motion, xywh_to_xyxy, xyxy_to_xywh
from nigiwai.eye.overlaps import overlaps

EDGE = 0.012
"""A box that ends within this share of the picture's side is cut by it; boxes wobble by a few pixels of 416."""

SHORT = 0.8
"""A box under this share of the expected height, its head in place, is cut from below: beyond 2.5 sigma of wobble."""

SLIVER = 0.6
"""A box that the picture's side leaves less than this of the expected width shows an arm or a leg of the person."""

HEAD = 0.12
"""How far the top may be off, in heights, for the head to be in place."""

SAME = 0.6
"""Two boxes whose overlap (intersection over union) is greater show one person..."""

SAME_ABOVE = 0.45
"""...the same seen from above, where nobody hides anybody: of true boxes of people in rendered crowds none overlaps
another's by more than 0.35 straight from above (4,990 boxes), and 1.6 % do by more than this from 60 degrees (6,778
boxes)..."""

WITHIN = 0.75
"""...or of which one has more than this share of its area within the other, and the same head..."""

PART = 0.85
"""...or, seen from above, whatever has more than this share of its area within the other."""

PLACE, MISLAID_S = 0.35, 0.25
"""From above nobody is where somebody else is seen: whoever was unseen for longer than this, expected where a box seen
overlaps theirs by more than that, is elsewhere. Two tracks ran on one body, taking its boxes in turn."""

SHRINK_PER_S = 0.8
"""How fast a walking person's height is given up that only short boxes report: they may be right, and whoever walks
away from a camera at 3 m shrinks by a quarter in a second. Of those who stand still, a part (Noise.still_share)."""

SHRINK_HIDDEN_PER_S = 0.4
"""The same where a nearer person covers the place of the legs."""

GROWN = (1.25, 2.2)
"""A box this many times as high as expected, its head in place, shows legs that were hidden..."""

GROWING = 0.6
"""...of somebody who moves at this share of walking speed or faster."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How tracks and detections go together, as K pairs that are not hopeless, ordered by track, then by detection.

    row, column (K,): which track, which detection. boxes (8, K): the detection as it would complete the track, centre,
    width and height; then as it was seen, left, top, right and bottom, NaN where it had to be completed. grown (K,):
    it shows legs hidden until then. apart (K,): squared distance in standard deviations. cost (K,): `apart` and
    how vague the track is; lower is better. expected, seen (4, K): left, top, right, bottom.
    """

    row: Ints
    column: Ints
    boxes: Floats
    grown: Bools
    apart: Floats
    cost: Floats
    expected: Floats
    seen: Floats

    def overlap(self, which: Ints) -> Floats:
        """Intersection over union of what was expected and what was seen, of the pairs named."""
        return iou(self.expected[:, which], self.seen[:, which])


def fit(motion: Motion, xyxy: Floats, kalman: Filter, size: tuple[int, int], gap_s: float, gate: float) -> Fit:
    """How predicted tracks and detections (4, M) go together; those further apart than `gate` are left out.

    gate: squared, in standard deviations; a pair beyond it may be among those that are told.
    size: width and height of the picture. gap_s: time since the last frame.
    """
    xywh = motion.xywh
    known, seen = kalman.error(motion.scale), xyxy_to_xywh(xyxy)
    spread = motion.variance + known
    i, j = _near(xywh, seen, spread, gate)
    vague = np.log(spread[:2] / known[:2])
    # What is asked of every pair is gathered at once: an array's length hardly matters, the number of steps does.
    of_tracks = np.concatenate((xywh, xywh_to_xyxy(xywh), spread, vague)).take(i, axis=1)
    mean, expected, variance = of_tracks[:4], of_tracks[4:8], of_tracks[8:12]
    boxes = np.concatenate((seen, xyxy)).take(j, axis=1)
    box, cut, grown = boxes[4:], cut_by_edge(xyxy, size), _odd(mean, expected, boxes)
    if np.count_nonzero(cut) or np.count_nonzero(grown):
        alive = kalman.lively(motion)[i]
        shrink = np.where(covered_below(xyxy)[j], SHRINK_HIDDEN_PER_S, SHRINK_PER_S) * alive
        whole, hidden, grown = complete(box, expected, cut[:, j], 1.0 - np.minimum(0.5, shrink * gap_s))
        # Who stands still comes out from behind nothing: the longer box is somebody's who passes before them.
        grown &= alive >= GROWING
        boxes = np.concatenate((xyxy_to_xywh(whole), np.where(whole[3] - whole[1] > _seen_high(box), np.nan, box)))
        apart = _surprise(_off(boxes, mean, expected, variance, grown)) + 2.0 * (hidden | grown)
    else:
        apart = _surprise((boxes[:4] - mean) ** 2 / variance)
    return Fit(i, j, boxes, grown, apart, apart + (of_tracks[12] + of_tracks[13]), expected, box)


def _near(tracks: Floats, boxes: Floats, spread: Floats, gate: float) -> tuple[Ints, Ints]:
    """The pairs of tracks (4, N) and boxes (4, M), both as xywh, that are not hopeless.

    Completing a box moves its centre by no more than the person's own size. In a crowd that is one pair in six, and
    everything after costs as much less.
    """
    far = np.sqrt(gate * spread[:2]) + tracks[2:] * _MARGIN
    near = np.abs(boxes[:2, None] - tracks[:2, :, None]) <= far[:, :, None]
    i, j = (near[0] & near[1]).nonzero()
    return i, j


_MARGIN = np.array([[1.0], [1.2]])
_MOST_SURPRISE = np.array([[np.inf], [np.inf], [4.0], [9.0]])
_SAYS = np.array([1.0, 1.0, 0.5, 1.0])


def _surprise(off: Floats) -> Floats:
    """(K,): squared distance in standard deviations, of that in [cx, cy, w, h].

    Sizes say little: arms and legs swing, people overlap; they break ties but cannot outvote the place.
    """
    return np.asarray(_SAYS @ np.minimum(off, _MOST_SURPRISE))


def _odd(mean: Floats, expected: Floats, boxes: Floats) -> Bools:
    """(K,): pairs that may need completing: the head is in place, the feet are not."""
    high = mean[3]
    ratio = boxes[3] / high
    odd = (ratio < SHORT) | (ratio > GROWN[0])
    return np.asarray(odd & (np.abs(boxes[5] - expected[1]) < HEAD * high))


def _off(boxes: Floats, mean: Floats, expected: Floats, variance: Floats, grown: Bools) -> Floats:
    """(4, K): squared distances in standard deviations. Whose legs came out of hiding are told by the head."""
    off = np.asarray((boxes[:4] - mean) ** 2 / variance)
    if np.count_nonzero(grown):
        head = (boxes[1] - boxes[3] / 2 - expected[1]) ** 2 / variance[1]
        off[1], off[3] = np.where(grown, head, off[1]), np.where(grown, 0.0, off[3])
    return off


def _seen_high(box: Floats) -> Floats:
    """(K,): heights of boxes, and what rounding adds to them."""
    return np.asarray(box[3] - box[1] + 1e-6)


def iou(a: Floats, b: Floats) -> Floats:
    """(K,) intersection over union of boxes (4, K), each with its own of the other (4, K)."""
    wide = np.minimum(a[2], b[2]) - np.maximum(a[0], b[0])
    high = np.minimum(a[3], b[3]) - np.maximum(a[1], b[1])
    shared = np.maximum(wide, 0.0) * np.maximum(high, 0.0)
    union = _area(a) + _area(b) - shared
    return np.asarray(shared / np.maximum(union, 1e-9))


def _area(xyxy: Floats) -> Floats:
    left, top, right, bottom = xyxy
    return np.asarray((right - left) * (bottom - top))


def complete(xyxy: Floats, expected: Floats, cut: Bools, keep: Floats) -> tuple[Floats, Bools, Bools]:
    """Boxes (4, K) completed from the `expected` ones where edge or obstacle hides; which were hidden, which grew.

    Only an obstacle counts as hidden, since the edge of the picture explains itself. cut (4, K): which sides the edge
    cuts. keep: the share of the expected height that a hidden person keeps.
    """
    top, bottom = xyxy[1], xyxy[3]
    high, height = bottom - top, expected[3] - expected[1]
    in_place = np.abs(top - expected[1]) < HEAD * height
    in_place &= ~(cut[3] | cut[1])
    hidden = in_place & (high < SHORT * height)
    grown = in_place & (high > GROWN[0] * height) & (high < GROWN[1] * height)
    whole = _extended(xyxy, expected, cut) if cut.any() else xyxy.copy()
    if hidden.any():
        whole[3] = np.where(hidden, np.maximum(bottom, top + keep * height), whole[3])
    return whole, hidden, grown


def _extended(xyxy: Floats, expected: Floats, cut: Bools) -> Floats:
    """Boxes (4, K) that the picture's edge cuts, at their expected size."""
    left, top, right, bottom = xyxy
    width, height = expected[2] - expected[0], expected[3] - expected[1]
    whole = np.stack(
        (
            np.where(cut[0] & ~cut[2], np.minimum(left, right - width), left),
            np.where(cut[1] & ~cut[3], np.minimum(top, bottom - height), top),
            np.where(cut[2] & ~cut[0], np.maximum(right, left + width), right),
            np.where(cut[3] & ~cut[1], np.maximum(bottom, top + height), bottom),
        )
    )
    # What is left of somebody who walks out of the picture tells where they are, not how tall.
    sliver = (cut[0] ^ cut[2]) & (right - left < SLIVER * width)
    whole[1] = np.where(sliver, expected[1], whole[1])
    whole[3] = np.where(sliver, expected[3], whole[3])
    return whole


def covered_below(xyxy: Floats) -> Bools:
    """(M,): whether another of the boxes (4, M), nearer because it ends lower, covers the place below each."""
    left, top, right, bottom = xyxy
    high, wide = bottom - top, right - left
    lower = bottom > (bottom + 0.1 * high)[:, None]
    lower &= top < (bottom + 0.15 * high)[:, None]
    shared = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    lower &= shared > (0.4 * wide)[:, None]
    return np.asarray(lower.any(axis=1))


def cut_by_edge(xyxy: Floats, size: tuple[int, int]) -> Bools:
    """(4, K): which sides of each box lie on the picture's edge."""
    x, y = size[0] * EDGE, size[1] * EDGE
    left, top, right, bottom = xyxy
    return np.array((left <= x, top <= y, right >= size[0] - x, bottom >= size[1] - y))


def duplicates(xyxy: Floats, score: Floats, hide_each_other: bool = True) -> list[int]:
    """The boxes (4, M) that show a person whom a better box shows too, in no order.

    Two boxes show one person when they nearly coincide, or when one lies within the other and both have the same head
    (a body and its upper body). A child before its parent shares the feet but not the head, and stays.

    hide_each_other: False where people are seen from above: there a box within another one needs no head, and people
    overlap less.
    """
    found: set[int] = set()
    for one, other in _coinciding(xyxy):
        a, b = xyxy[:, one].tolist(), xyxy[:, other].tolist()
        if _one_person(a, b, hide_each_other):
            # The larger of two is the more complete, unless the detector doubts it.
            better = score[one] * sqrt(_area_of(*a)) - score[other] * sqrt(_area_of(*b))
            found |= {one} if better < 0 else {other} if better > 0 else set()
    return list(found)


def displaced(xyxy: Floats, unseen_s: Floats, gap_s: float) -> list[int]:
    """The tracks, with boxes (4, N), last seen so long ago, that are not where they are expected: somebody else is seen
    there, from above, where nobody can be hidden. In order.

    gap_s: since the last frame; whoever was missed once is not yet elsewhere, however long that is.
    """
    lost, seen = (unseen_s > max(MISLAID_S, 1.5 * gap_s)).nonzero()[0], (unseen_s == 0).nonzero()[0]
    if not len(lost) or not len(seen):
        return []
    taken = overlaps(xyxy.T[lost], xyxy.T[seen]).max(axis=1) > PLACE
    there: list[int] = lost[taken].tolist()
    return there


def _coinciding(xyxy: Floats) -> list[tuple[int, int]]:
    """The pairs of boxes (4, M) that may show one person: who shares half of a width and of a height is centred within
    half of the larger one. Hardly ever any, so that nothing else need be asked of all.
    """
    centre, long = (xyxy[:2] + xyxy[2:]) / 2, xyxy[2:] - xyxy[:2]
    far = np.abs(centre[:, :, None] - centre[:, None])
    close = far + far < np.maximum(long[:, :, None], long[:, None])
    one, other = (close[0] & close[1] & _once(xyxy.shape[1])).nonzero()
    return list(zip(one.tolist(), other.tolist(), strict=True))


@lru_cache(maxsize=256)
def _once(n: int) -> Bools:
    """(N, N): each pair of two out of n once."""
    return np.triu(np.ones((n, n), bool), 1)


def _one_person(a: Sequence[float], b: Sequence[float], hide_each_other: bool) -> bool:
    """Whether two boxes (left, top, right, bottom) show one person; see `duplicates`."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared, area_a, area_b = wide * high, _area_of(*a), _area_of(*b)
    if shared > (SAME if hide_each_other else SAME_ABOVE) * (area_a + area_b - shared):
        return True
    if not hide_each_other and shared > PART * min(area_a, area_b):
        return True
    scale = min(max(box[3] - box[1], 2 * (box[2] - box[0])) for box in (a, b))
    same_head = abs(a[1] - b[1]) < HEAD * scale and abs(a[0] + a[2] - b[0] - b[2]) / 2 < HEAD * scale
    return same_head and shared > WITHIN * min(area_a, area_b)


def _area_of(left: float, top: float, right: float, bottom: float) -> float:
    return (right - left) * (bottom - top)
