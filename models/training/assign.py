# SPDX-License-Identifier: Apache-2.0
"""Which cells answer for which person: dynamic k, for a whole batch at once.

After SimOTA (Ge et al., YOLOX, arXiv:2107.08430): each person takes the k cheapest cells, where k is the sum of the
ten best overlaps that the network reaches on that person now, and the cost is low where score and overlap are high.
Cells must lie in the box or near its centre. People are padded to the largest count in the batch, so that there is
no Python loop over images: on two cores the loop cost a tenth of the step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CENTRE_STRIDES = 1.5  # cells this near to the centre are candidates even if the box is smaller than a cell
TOP = 10
OUTSIDE_COST = 1e4
NEVER = 1e8


@dataclass(frozen=True)
class Truth:
    """People of a batch, padded: `xyxy (B, G, 4)` pixels, `weight (B, G)`, `ignore (B, G)`, `real (B, G)`."""

    xyxy: Tensor
    weight: Tensor
    ignore: Tensor
    real: Tensor


@dataclass(frozen=True)
class Match:
    """Per cell: `person (B, A)` index, `positive (B, A)`, `quality (B, A)` overlap with it, `skip (B, A)` ignored."""

    person: Tensor
    positive: Tensor
    quality: Tensor
    skip: Tensor


def pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """Overlaps (B, N, M) of boxes a (B, N, 4) and b (B, M, 4); by coordinate, as reductions over 2 are slow."""
    ax0, ay0, ax1, ay1 = a[:, :, None].unbind(-1)
    bx0, by0, bx1, by1 = b[:, None].unbind(-1)
    wide = torch.minimum(ax1, bx1).sub_(torch.maximum(ax0, bx0)).clamp_(min=0)
    inter = torch.minimum(ay1, by1).sub_(torch.maximum(ay0, by0)).clamp_(min=0).mul_(wide)
    area_a = (ax1 - ax0).clamp(min=0) * (ay1 - ay0).clamp(min=0)
    area_b = (bx1 - bx0).clamp(min=0) * (by1 - by0).clamp(min=0)
    return inter / (area_a + area_b - inter + 1e-6)


def inside(points: Tensor, xyxy: Tensor) -> Tensor:
    """Whether point (A, 2) lies in box (B, G, 4): (B, G, A)."""
    x, y = points.T
    x0, y0, x1, y1 = xyxy[..., None, :].unbind(-1)
    hit: Tensor = (x > x0) & (x < x1) & (y > y0) & (y < y1)
    return hit


@torch.no_grad()
def assign(logit: Tensor, predicted: Tensor, points: Tensor, steps: Tensor, truth: Truth) -> Match:
    """Matches cells to people; see the module's theory. `logit (B, A)`, `predicted (B, A, 4)` pixels."""
    batch, cells = logit.shape
    people = truth.real & ~truth.ignore
    within = inside(points, truth.xyxy)
    skip = (within & (truth.real & truth.ignore)[..., None]).any(1)
    if not bool(people.any()):
        none = torch.zeros(batch, cells, dtype=torch.long, device=logit.device)
        return Match(none, none.bool(), none.float(), skip)
    centre = (truth.xyxy[..., :2] + truth.xyxy[..., 2:]) / 2
    reach = CENTRE_STRIDES * steps
    near = (points[:, 0] - centre[..., :1]).abs_() < reach
    near &= (points[:, 1] - centre[..., 1:]).abs_() < reach
    candidate = (within | near) & people[..., None]
    overlap = pairwise_iou(truth.xyxy, predicted).mul_(candidate)
    score = logit.sigmoid()[:, None]
    cost = torch.log(score * overlap + 1e-6).neg_().sub_(torch.log(overlap + 1e-6), alpha=2)
    cost += OUTSIDE_COST * ~(within & near)
    cost.masked_fill_(~candidate, NEVER)
    count = overlap.topk(min(TOP, cells), -1)[0].sum(-1).long().clamp(min=1)
    best, index = cost.topk(min(TOP, cells), -1, largest=False)
    chosen = (torch.arange(best.shape[-1], device=best.device) < count[..., None]) & (best < NEVER / 2)
    mask = torch.zeros_like(candidate).scatter_(-1, index, chosen)
    person = cost.masked_fill_(~mask, 2 * NEVER).min(1)[1]
    positive = mask.any(1)
    quality = overlap.gather(1, person[:, None])[:, 0] * positive
    return Match(person, positive, quality, skip & ~positive)
