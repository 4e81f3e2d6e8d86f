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

from dataclasses import dataclass

import numpy as np

from nigiwai.eye.motion import Bools, Filter, Floats, Ints, Motion, scale_of, xywh_to_xyxy, xyxy_to_xywh

EDGE = 0.012
"""A box that ends within this share of the picture's side is cut by it; boxes wobble by a few pixels of 416."""

SHORT = 0.8
"""A box under this share of the expected height, its head in place, is cut from below: beyond 2.5 sigma of wobble."""

SLIVER = 0.6
"""A box that the picture's side leaves less than this of the expected width shows an arm or a leg of the person."""

HEAD = 0.12
"""How far the top may be off, in heights, for the head to be in place."""

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
    """How tracks and detections go together, as K pairs that are not hopeless.

    row, column (K,): which track, which detection. xywh (4, K): the detection as it would complete the track. grown
    (K,): it shows legs hidden until then. apart (K,): squared distance in standard deviations. cost (K,): `apart` and
    how vague the track is; lower is better. expected, seen (4, K): left, top, right, bottom.
    """

    row: Ints
    column: Ints
    xywh: Floats
    grown: Bools
    apart: Floats
    cost: Floats
    expected: Floats
    seen: Floats

    def overlap(self, which: Ints) -> Floats:
        """Intersection over union of what was expected and what was seen, of the pairs named."""
        return iou(self.expected[:, which], self.seen[:, which])


def fit(motion: Motion, xyxy: Floats, kalman: Filter, size: tuple[int, int], gap_s: float, gate: Floats) -> Fit:
    """How predicted tracks and detections (4, M) go together; those further apart than `gate` (N,) are left out.

    gate: squared, in standard deviations; a pair beyond it may be among those that are told.
    size: width and height of the picture. gap_s: time since the last frame.
    """
    known = kalman.error(motion.scale)
    spread = motion.variance + known
    i, j = _near(motion.xywh, xyxy, spread, gate)
    box, mean, variance = xyxy[:, j], motion.xywh[:, i], spread[:, i]
    expected = xywh_to_xyxy(mean)
    alive = kalman.lively(motion)[i]
    shrink = np.where(covered_below(xyxy)[j], SHRINK_HIDDEN_PER_S, SHRINK_PER_S) * alive
    whole, hidden, grown = complete(box, expected, size, 1.0 - np.minimum(0.5, shrink * gap_s))
    # Who stands still comes out from behind nothing: the longer box is somebody's who passes before them.
    grown &= alive >= GROWING
    xywh = xyxy_to_xywh(whole)
    off = (xywh - mean) ** 2 / variance
    # Sizes say little: arms and legs swing, people overlap; they break ties but cannot outvote the place.
    off_y = off[1] + np.minimum(off[3], 9.0)
    if grown.any():
        off_y = np.where(grown, (box[1] - expected[1]) ** 2 / variance[1], off_y)
    apart = off[0] + off_y + np.minimum(off[2], 4.0) * 0.5 + 2.0 * (hidden | grown)
    vague = np.log(spread[0] / known[0]) + np.log(spread[1] / known[1])
    return Fit(i, j, xywh, grown, apart, apart + vague[i], expected, box)


def _near(xywh: Floats, xyxy: Floats, spread: Floats, gate: Floats) -> tuple[Ints, Ints]:
    """The pairs that are not hopeless: completing a box moves its centre by no more than the person's own size.

    In a crowd that is one pair in six, and everything after costs as much less.
    """
    far_x = np.sqrt(gate * spread[0]) + xywh[2]
    far_y = np.sqrt(gate * spread[1]) + xywh[3] * 1.2
    near = np.abs((xyxy[0] + xyxy[2]) / 2 - xywh[0][:, None]) <= far_x[:, None]
    near &= np.abs((xyxy[1] + xyxy[3]) / 2 - xywh[1][:, None]) <= far_y[:, None]
    i, j = near.nonzero()
    return i, j


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


def complete(xyxy: Floats, expected: Floats, size: tuple[int, int], keep: Floats) -> tuple[Floats, Bools, Bools]:
    """Boxes (4, K) completed from the `expected` ones where edge or obstacle hides; which were hidden, which grew.

    Only an obstacle counts as hidden, since the edge of the picture explains itself. keep: the share of the expected
    height that a hidden person keeps.
    """
    top, bottom = xyxy[1], xyxy[3]
    high, height = bottom - top, expected[3] - expected[1]
    cut = cut_by_edge(xyxy, size)
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


def duplicates(xyxy: Floats, score: Floats) -> Bools:
    """(M,) which boxes show a person whom a better box shows too.

    Two boxes show one person when they nearly coincide, or when one lies within the other and both have the same head
    (a body and its upper body). A child before its parent shares the feet but not the head, and stays.
    """
    left, top, right, bottom = xyxy
    touching = np.maximum(left[:, None], left) < np.minimum(right[:, None], right)
    touching &= np.maximum(top[:, None], top) < np.minimum(bottom[:, None], bottom)
    one, other = np.triu(touching, 1).nonzero()
    doubled = np.zeros(len(score), np.bool_)
    if not len(one):
        return doubled
    a, b = xyxy[:, one], xyxy[:, other]
    common = iou(a, b)
    area = _area(xyxy)
    area_a, area_b = area[one], area[other]
    shared = common / (1 + common) * (area_a + area_b)
    scale = np.minimum(scale_of(xyxy_to_xywh(a)), scale_of(xyxy_to_xywh(b)))
    same_head = np.abs(a[1] - b[1]) < HEAD * scale
    same_head &= np.abs((a[0] + a[2]) / 2 - (b[0] + b[2]) / 2) < 0.12 * scale
    one_person = (common > 0.6) | (same_head & (shared > 0.75 * np.minimum(area_a, area_b)))
    # The larger of two is the more complete, unless the detector doubts it.
    worth = score * np.sqrt(area)
    better = worth[one] - worth[other]
    doubled[one[one_person & (better < 0)]] = True
    doubled[other[one_person & (better > 0)]] = True
    return doubled
