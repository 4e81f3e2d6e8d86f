# SPDX-License-Identifier: Apache-2.0
"""A quick look at accuracy during training: AP50 and AP75 of the float network on a cached set."""

from __future__ import annotations

import numpy as np
import torch

from models.evaluation.metrics import Picture, average_precision, judge
from models.training import net
from models.training.boxes import nms
from models.training.cache import ImageSet
from models.training.precision import mixed

SCORE_MIN, NMS_IOU = 0.02, 0.6  # as the figures of the reference models were measured


@torch.no_grad()
def pictures(model: net.Net, data: ImageSet, batch: int = 43) -> list[Picture]:
    """Detections of the network on the set at its own resolution, beside the truth."""
    device = next(model.parameters()).device
    rows: list[Picture] = []
    for start in range(0, len(data), batch):
        images = np.array(data.images[start : start + batch])
        tensor = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255
        with mixed(device):
            outputs = model(tensor.contiguous(memory_format=torch.channels_last))
        logit, bins = net.flatten(outputs)
        boxes = net.boxes(bins, *net.centres(outputs)).cpu().numpy()
        for k, score in enumerate(logit.sigmoid().cpu().numpy()):
            keep = score > SCORE_MIN
            xyxy, score = boxes[k][keep], score[keep]
            best = nms(xyxy, score, NMS_IOU)
            rows.append(Picture(xyxy[best], score[best], data.xyxy[start + k], data.ignore[start + k]))
    return rows


def look(model: net.Net, data: ImageSet) -> dict[str, float]:
    """AP50 and AP75; the model is left in evaluation mode."""
    found = pictures(model.eval(), data)
    return {f"ap{t}": round(average_precision(judge(found, t / 100)), 4) for t in (50, 75)}
