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
from numpy.typing import NDArray

from nigiwai.eye.assignment import assign
from nigiwai.eye.motion import Bools, Floats, Motion, Noise, lively, scale_of, xyxy_to_xywh

Ints = NDArray[np.int64]

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
    """How N tracks and M detections go together.

    xywh (N, M, 4): each detection as it would complete each track near enough. grown (N, M): it shows legs hidden until
    then. cost (N, M): lower is better, inf is impossible.
    """

    xywh: Floats
    grown: Bools
    cost: Floats

    @staticmethod
    def impossible(n: int, m: int) -> "Fit":
        """No pair at all."""
        return Fit(np.zeros((n, m, 4)), np.zeros((n, m), np.bool_), np.full((n, m), np.inf))


def fit(
    motion: Motion, xyxy: Floats, covered: Bools, noise: Noise, size: tuple[int, int], gap_s: float, gate: Floats
) -> Fit:
    """How predicted tracks and detections (M, 4) go together; those further apart than `gate` (N,) are impossible.

    gate: squared, in standard deviations. covered (M,): a nearer person stands before the detection's legs.
    size: width and height of the picture. gap_s: time since the last frame.
    """
    i, j = _near(motion, xyxy, noise, gate)
    box, expected = xyxy[j], motion.xyxy[i]
    alive = lively(motion, noise)[i, 0]
    shrink = np.where(covered[j], SHRINK_HIDDEN_PER_S, SHRINK_PER_S) * alive
    whole, hidden, grown = complete(box, expected, size, 1.0 - np.minimum(0.5, shrink * gap_s))
    # Who stands still comes out from behind nothing: the longer box is somebody's who passes before them.
    grown &= alive >= GROWING
    xywh = xyxy_to_xywh(whole)
    known = (motion.scale[:, None] * noise.wobble) ** 2
    spread = motion.cov[:, :, 0] + known
    off = (xywh - motion.mean[i, :, 0]) ** 2 / spread[i]
    # Sizes say little: arms and legs swing, people overlap; they break ties but cannot outvote the place.
    off_head = (box[:, 1] - expected[:, 1]) ** 2 / spread[i, 1]
    off_y = np.where(grown, off_head, off[:, 1] + np.minimum(off[:, 3], 9.0))
    apart = off[:, 0] + off_y + np.minimum(off[:, 2], 4.0) * 0.5 + 2.0 * (hidden | grown)
    vague = np.log(spread[:, :2] / known[:, :2]).sum(axis=1)
    found = Fit.impossible(len(motion), len(xyxy))
    found.xywh[i, j], found.grown[i, j] = xywh, grown
    found.cost[i, j] = np.where(apart <= gate[i], apart + vague[i], np.inf)
    return found


def _near(motion: Motion, xyxy: Floats, noise: Noise, gate: Floats) -> tuple[Ints, Ints]:
    """The pairs that are not hopeless: completing a box moves its centre by no more than the person's own size.

    In a crowd that is one pair in six, and everything after costs as much less.
    """
    mean = motion.mean[:, :, 0]
    far = np.sqrt(gate[:, None] * (motion.cov[:, :2, 0] + (motion.scale[:, None] * noise.wobble[:2]) ** 2))
    far += mean[:, 2:] * (1.0, 1.2)
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    near = np.abs(centre[None, :, 0] - mean[:, None, 0]) <= far[:, :1]
    near &= np.abs(centre[None, :, 1] - mean[:, None, 1]) <= far[:, 1:]
    i, j = np.nonzero(near)
    return i.astype(np.int64), j.astype(np.int64)


def pair(found: Fit, alone: float) -> tuple[Ints, Ints]:
    """The best pairing: rows and columns of `found` that belong together."""
    return assign(found.cost, alone)


def overlapping(found: Fit, motion: Motion, xyxy: Floats, least: float) -> Fit:
    """The same pairs, costed by plain overlap of the predicted and the detected boxes (M, 4).

    The last resort for a track and a detection that both found nothing better: a box that jumps in size rather begins
    no second track on one person.
    """
    shared = iou(motion.xyxy, xyxy)
    return Fit(found.xywh, found.grown, np.where(shared >= least, 1.0 - shared, np.inf))


def iou(a: Floats, b: Floats) -> Floats:
    """(N, M) intersection over union of boxes (N, 4) and (M, 4)."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(axis=1), (b[:, 2:] - b[:, :2]).prod(axis=1)
    union: Floats = area_a[:, None] + area_b[None, :] - shared
    return np.asarray(shared / np.maximum(union, 1e-9))


def complete(xyxy: Floats, expected: Floats, size: tuple[int, int], keep: Floats) -> tuple[Floats, Bools, Bools]:
    """Boxes (..., 4) completed from the `expected` ones where edge or obstacle hides; which were hidden, which grew.

    Only an obstacle counts as hidden, since the edge of the picture explains itself. keep: the share of the expected
    height that a hidden person keeps.
    """
    left, top, right, bottom = (xyxy[..., i] for i in range(4))
    width, height = expected[..., 2] - expected[..., 0], expected[..., 3] - expected[..., 1]
    cut = cut_by_edge(xyxy, size)
    in_place = np.abs(top - expected[..., 1]) < HEAD * height
    in_place &= ~cut[..., 3] & ~cut[..., 1]
    hidden = in_place & (bottom - top < SHORT * height)
    grown = in_place & (bottom - top > GROWN[0] * height) & (bottom - top < GROWN[1] * height)
    whole = np.stack(
        (
            np.where(cut[..., 0] & ~cut[..., 2], np.minimum(left, right - width), left),
            np.where(cut[..., 1] & ~cut[..., 3], np.minimum(top, bottom - height), top),
            np.where(cut[..., 2] & ~cut[..., 0], np.maximum(right, left + width), right),
            np.where(cut[..., 3] & ~cut[..., 1], np.maximum(bottom, top + height), bottom),
        ),
        axis=-1,
    )
    whole[..., 3] = np.where(hidden, np.maximum(bottom, top + keep * height), whole[..., 3])
    # What is left of somebody who walks out of the picture tells where they are, not how tall.
    sliver = (cut[..., 0] ^ cut[..., 2]) & (right - left < SLIVER * width)
    whole[..., 1] = np.where(sliver, expected[..., 1], whole[..., 1])
    whole[..., 3] = np.where(sliver, expected[..., 3], whole[..., 3])
    return whole, hidden, grown


def covered_below(xyxy: Floats) -> Bools:
    """(M,): whether another of the boxes (M, 4), nearer because it ends lower, covers the place below each."""
    left, top, right, bottom = xyxy.T
    shared = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    high, wide = (bottom - top)[:, None], (right - left)[:, None]
    lower = (bottom > bottom[:, None] + 0.1 * high) & (top < bottom[:, None] + 0.15 * high)
    return np.asarray((lower & (shared > 0.4 * wide)).any(axis=1))


def cut_by_edge(xyxy: Floats, size: tuple[int, int]) -> Bools:
    """(..., 4): which sides of each box lie on the picture's edge."""
    width, height = size
    margin = np.array([width, height]) * EDGE
    return np.concatenate((xyxy[..., :2] <= margin, xyxy[..., 2:] >= np.array([width, height]) - margin), axis=-1)


def duplicates(xyxy: Floats, score: Floats) -> Bools:
    """(M,) which boxes show a person whom a better box shows too.

    Two boxes show one person when they nearly coincide, or when one lies within the other and both have the same head
    (a body and its upper body). A child before its parent shares the feet but not the head, and stays.
    """
    if len(xyxy) < 2:
        return np.zeros(len(xyxy), np.bool_)
    area = (xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1)
    common = iou(xyxy, xyxy)
    shared = common / (1 + common) * (area[:, None] + area[None, :])
    smaller = np.minimum(area[:, None], area[None, :])
    xywh = xyxy_to_xywh(xyxy)
    scale = np.minimum(scale_of(xywh)[:, None], scale_of(xywh)[None, :])
    same_head = np.abs(xyxy[:, None, 1] - xyxy[None, :, 1]) < HEAD * scale
    same_head &= np.abs(xywh[:, None, 0] - xywh[None, :, 0]) < 0.12 * scale
    one_person = (common > 0.6) | (same_head & (shared > 0.75 * smaller))
    # The larger of two is the more complete, unless the detector doubts it.
    worth = score * np.sqrt(area)
    return np.asarray((one_person & (worth[None, :] > worth[:, None])).any(axis=1))
