# SPDX-License-Identifier: Apache-2.0
"""The detector as gates see it: its boxes after the device's tracker, each standing on the foot point that is counted.

For the table of wobble: next to what a detector's boxes tremble, how much of it the tracker leaves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.evaluation.reference import Found
from models.evaluation.report import Detect
from nigiwai.clock import BootNs
from nigiwai.eye.manifest import Thresholds
from nigiwai.eye.tracker import Tracker
from nigiwai.eye.tracker_config import TrackerConfig
from nigiwai.eye.types import Detections


class Tracked:
    """A detector followed by the tracker over one recording, which must be shown from its beginning, every frame."""

    def __init__(self, detect: Detect, rate_hz: float, limits: Thresholds) -> None:
        self._detect, self._rate_hz, self._low = detect, rate_hz, limits.low
        self._tracker = Tracker(TrackerConfig(high_score=limits.high))
        self._shown = 0

    def detect(self, image: NDArray[np.uint8]) -> Found:
        """The people followed and seen in this frame: the smoothed box (4,), its lower edge at the foot; score 1."""
        found = self._detect(image)
        good = found.score >= self._low
        people = Detections(found.xyxy[good], found.score[good], np.zeros(int(good.sum()), np.uint8))
        self._shown += 1
        at = BootNs(round(self._shown / self._rate_hz * 1e9))
        tracks = [t for t in self._tracker.update(people, at, (image.shape[1], image.shape[0])) if t.seen]
        boxes = np.array([(*t.xyxy[:3], t.foot[1]) for t in tracks], np.float32).reshape(-1, 4)
        return Found(boxes, np.ones(len(tracks), np.float32))
