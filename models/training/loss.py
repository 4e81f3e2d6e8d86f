# SPDX-License-Identifier: Apache-2.0
"""Quality focal loss for the score, distribution focal loss and generalised IoU for the box.

Generalized focal loss: Li et al., arXiv:2006.04388; weighted as in NanoDet-Plus. GIoU: Rezatofighi et
al., arXiv:1902.09630.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.training import net
from models.training.assign import Truth, assign

BOX, BINS = 2.0, 1.0  # the second is 0.25 for each of four sides
EDGE = net.BINS - 1 - 0.01  # the largest distance that two neighbouring bins can express


@dataclass(frozen=True)
class Losses:
    """The parts of a batch's loss; `total` is what is minimised."""

    total: Tensor
    score: Tensor
    box: Tensor
    bins: Tensor
    positives: int


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised overlap (N,), -1..1, of boxes a and b (N, 4)."""
    inter = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(-1)
    union = (a[:, 2:] - a[:, :2]).clamp(min=0).prod(-1) + (b[:, 2:] - b[:, :2]).clamp(min=0).prod(-1) - inter
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).clamp(min=0).prod(-1)
    return inter / (union + 1e-6) - (hull - union) / (hull + 1e-6)


def quality_focal(logit: Tensor, quality: Tensor) -> Tensor:
    """Loss of each logit against a target quality 0..1: cross entropy times the squared distance to the target."""
    distance = (quality - logit.sigmoid()).abs()
    return F.binary_cross_entropy_with_logits(logit, quality, reduction="none") * distance.detach().square()


def distribution_focal(bins: Tensor, distance: Tensor) -> Tensor:
    """Loss (N,) of bin logits (N, 4, 8) against distances (N, 4) in strides: mass on the two nearest bins."""
    distance = distance.clamp(0, EDGE)
    low = distance.long()
    share = distance - low
    log_p = bins.log_softmax(-1)
    left = log_p.gather(-1, low[..., None])[..., 0]
    right = log_p.gather(-1, low[..., None] + 1)[..., 0]
    return -(left * (1 - share) + right * share).mean(-1)


def losses(outputs: list[Tensor], truth: Truth) -> Losses:
    """The loss of a batch; all parts are 0-dimensional and finite, also where nobody is in it."""
    points, steps = net.centres(outputs)
    logit, bins = net.flatten(outputs)
    with torch.no_grad():
        match = assign(logit, net.boxes(bins, points, steps), points, steps, truth)
    score = (quality_focal(logit, match.quality.clamp(min=0.05) * match.positive) * ~match.skip).sum()
    score = score / match.quality.sum().clamp(min=1.0)
    rows, cells = match.positive.nonzero(as_tuple=True)
    if len(rows) == 0:
        zero = bins.sum() * 0
        return Losses(score + zero, score.detach(), zero.detach(), zero.detach(), 0)
    people = match.person[rows, cells]
    target, chosen = truth.xyxy[rows, people], bins[rows, cells]
    predicted = net.boxes(chosen, points[cells], steps[cells])  # again, as gradients are needed here alone
    weight = truth.weight[rows, people] * logit.detach()[rows, cells].sigmoid().clamp(min=0.1)
    distance = torch.cat((points[cells] - target[:, :2], target[:, 2:] - points[cells]), -1)
    norm = weight.sum().clamp(min=1e-3)
    box = ((1 - giou(predicted, target)) * weight).sum() / norm
    spread = (distribution_focal(chosen, distance / steps[cells][:, None]) * weight).sum() / norm
    total = score + BOX * box + BINS * spread
    return Losses(total, score.detach(), box.detach(), spread.detach(), len(rows))
