# SPDX-License-Identifier: Apache-2.0
"""Follows people from frame to frame by motion alone: no appearance, no re-identification, nothing kept afterwards.

    detections -> drop doubles -> predict by the measured time -> pair high scores, then low ones -> forget -> begin

Time enters as an argument only. A frame that is not later than the last one changes nothing; a frame of another size or
a clock that ran far backwards begins anew, and `restarts` says so. What is kept is one row per track, at most
`TrackerConfig.most` rows, none older than its last sighting by `forget_s`.
"""

import numpy as np

from nigiwai.clock import BootNs
from nigiwai.eye import association, motion
from nigiwai.eye.motion import Bools, Filter, Floats
from nigiwai.eye.pairing import Pairing
from nigiwai.eye.roster import Roster
from nigiwai.eye.tracker_config import TrackerConfig
from nigiwai.eye.types import Detections, Track

__all__ = ["Tracker", "TrackerConfig"]

PERSON = 0
DEFAULT = TrackerConfig()
OVERLAP = 0.4
"""From this overlap on, a track and a detection that are both left over are one person."""

LOST_S = 0.3
"""Who was unseen for longer is lost, and must be found near where they were expected."""

BACKWARDS_S = 1.0
"""A clock this far behind the last frame did not deliver frames out of order; it is another clock."""


class Tracker:
    """The people in view; see the head of this file."""

    def __init__(self, config: TrackerConfig = DEFAULT) -> None:
        self._config = config
        self._kalman = Filter(config.noise)
        self._roster = Roster.empty()
        self._size: tuple[int, int] | None = None
        self._at: BootNs | None = None
        self._begun = 0
        self._shown: tuple[Track, ...] = ()
        self.restarts = 0
        """How often everything was forgotten because the frame size changed or the clock ran backwards."""

    def update(self, detections: Detections, at: BootNs, size: tuple[int, int]) -> tuple[Track, ...]:
        """The tracks that are real at this frame, lowest number first; `seen` tells the visible from the expected.

        size: width and height of the frame in px. A repeated or slightly earlier `at` returns the last answer again.
        """
        gap_s = self._advance(at, size)
        if gap_s is None:
            return self._shown
        config = self._config
        xyxy, score = _people(detections, config.low_score, config.most)
        roster = self._roster.predict(gap_s, self._kalman)
        free = score >= config.high_score
        if len(roster) and len(score):
            roster, free = self._pair(roster, xyxy, score, gap_s, size)
        roster = self._forget(roster, gap_s, size)
        self._roster = self._begin(roster, xyxy[:, free], score[free], size)
        self._shown = self._roster.shown(config.forget_s, config.high_score, size[1])
        return self._shown

    def _advance(self, at: BootNs, size: tuple[int, int]) -> float | None:
        """Seconds since the last frame, or None for a frame that is to be ignored; begins anew where it must."""
        gap_s = 0.0 if self._at is None else (at - self._at) / 1e9
        known = self._size is not None
        if known and (size != self._size or gap_s < -BACKWARDS_S):
            self._roster, self._shown, gap_s = Roster.empty(), (), 0.0
            self.restarts += 1
        elif known and gap_s <= 0:
            return None
        self._at, self._size = at, size
        return gap_s

    def _pair(
        self, roster: Roster, xyxy: Floats, score: Floats, gap_s: float, size: tuple[int, int]
    ) -> tuple[Roster, Bools]:
        """The roster after its tracks took their detections, and which detections (M,) may begin new tracks."""
        config = self._config
        lost = roster.unseen_s - gap_s > LOST_S
        limit = np.where(lost, min(config.gate, config.lost_gate), config.gate)
        low_limit = np.where(lost, min(config.low_gate, config.lost_gate), config.low_gate)
        found = association.fit(roster.motion, xyxy, self._kalman, size, gap_s, np.maximum(limit, low_limit))
        pairing = Pairing(found, len(roster), len(score), config.alone)
        high = score >= config.high_score
        pairing.pair(high[found.column] & (found.apart <= limit[found.row]))
        pairing.pair_overlapping(high, OVERLAP)
        # Low scores go to tracks seen a moment ago; they are too often nobody to find one that was lost for longer.
        recent = roster.unseen_s <= max(0.5, 2 * gap_s)
        pairing.pair(~high[found.column] & recent[found.row] & (found.apart <= low_limit[found.row]))
        rows, which = found.row[pairing.chosen], pairing.chosen
        seen = score[found.column[which]]
        boxes = _uncut(found.seen[:, which], found.xywh[3, which])
        roster = roster.see(rows, found.xywh[:, which], found.grown[which], seen, boxes, self._kalman, config)
        return roster, high & pairing.column_free

    def _forget(self, roster: Roster, gap_s: float, size: tuple[int, int]) -> Roster:
        """Without those who were unseen too long, or walked out of the picture: others come in there."""
        config = self._config
        unseen = roster.unseen_s > 0
        if not unseen.any():
            return roster
        patience = np.where(roster.real, config.forget_s, max(config.forget_new_s, 1.5 * gap_s))
        patience = np.where(roster.real & roster.settled(config.still_s, size[1]), config.forget_still_s, patience)
        x, y = roster.motion.xywh[:2]
        in_view = (x >= 0) & (x <= size[0]) & (y >= 0) & (y <= size[1])
        return roster.take((roster.unseen_s <= patience) & (in_view | ~unseen))

    def _begin(self, roster: Roster, xyxy: Floats, score: Floats, size: tuple[int, int]) -> Roster:
        """With new tracks for the detections nobody took, as far as there is room."""
        new = min(len(score), max(0, self._config.most - len(roster)))
        if not new:
            return roster
        numbers = np.arange(self._begun + 1, self._begun + new + 1)
        self._begun += new
        return roster.begin(numbers, self._kalman.begin(motion.xyxy_to_xywh(xyxy[:, :new])), score[:new], size[1])


def _uncut(xyxy: Floats, height: Floats) -> Floats:
    """Boxes (4, K) as they were seen, NaN where they had to be completed to `height` (K,)."""
    return np.where(height > xyxy[3] - xyxy[1] + 1e-6, np.nan, xyxy)


def _people(detections: Detections, low_score: float, most: int) -> tuple[Floats, Floats]:
    """Boxes (4, M) and scores of people, doubles dropped, at most `most`; boxes without a proper size are nobody."""
    xyxy, score = np.array(detections.xyxy.T, np.float64, order="C"), detections.score.astype(np.float64)
    left, top, right, bottom = xyxy
    proper = np.isfinite(left + top + right + bottom) & (right - left >= 1.0) & (bottom - top >= 1.0)
    keep = np.flatnonzero(proper & (score >= low_score) & (detections.kind == PERSON))[:most]
    if len(keep) < len(score):
        xyxy, score = xyxy[:, keep], score[keep]
    doubled = association.duplicates(xyxy, score)
    return (xyxy[:, ~doubled], score[~doubled]) if doubled.any() else (xyxy, score)
