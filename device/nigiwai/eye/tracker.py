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
from nigiwai.eye.association import Ints
from nigiwai.eye.motion import Bools, Floats
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
        self._roster = Roster.empty()
        self._size: tuple[int, int] | None = None
        self._at: BootNs | None = None
        self._begun = 0
        self._covered = np.zeros(0, np.bool_)
        self._score = np.zeros(0)
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
        roster = self._roster.predict(gap_s, config.noise)
        high = score >= config.high_score
        self._covered, self._score = association.covered_below(xyxy), score
        roster, free = self._pair(roster, np.arange(len(roster)), xyxy, np.flatnonzero(high), config.gate, gap_s)
        unseen = np.flatnonzero(roster.unseen_s > 0)
        roster, free = self._pair(roster, unseen, xyxy, free, OVERLAP, gap_s)
        # Low scores go to tracks seen a moment ago; they are too often nobody to find one that was lost for longer.
        recent = np.flatnonzero((roster.unseen_s > 0) & (roster.unseen_s <= max(0.5, 2 * gap_s)))
        roster, _ = self._pair(roster, recent, xyxy, np.flatnonzero(~high), config.low_gate, gap_s)
        roster = self._forget(roster, gap_s)
        self._roster = self._begin(roster, xyxy[free], score[free])
        self._shown = self._roster.shown(config.forget_s, config.high_score)
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
        self, roster: Roster, rows: Ints, xyxy: Floats, columns: Ints, gate: float, gap_s: float
    ) -> tuple[Roster, Ints]:
        """The roster after its `rows` took their detections among `columns`, and the columns nobody took."""
        if not len(rows) or not len(columns) or self._size is None:
            return roster, columns
        moving = roster.motion.take(rows)
        covered = self._covered[columns]
        limit = np.where(roster.unseen_s[rows] - gap_s > LOST_S, min(gate, self._config.lost_gate), gate)
        found = association.fit(moving, xyxy[columns], covered, self._config.noise, self._size, gap_s, limit)
        if gate == OVERLAP:
            found = association.overlapping(found, moving, xyxy[columns], OVERLAP)
        row, column = association.pair(found, self._config.alone)
        score = self._score[columns[column]]
        roster = roster.see(rows[row], found.xywh[row, column], found.grown[row, column], score, self._config)
        left = np.ones(len(columns), np.bool_)
        left[column] = False
        return roster, columns[left]

    def _forget(self, roster: Roster, gap_s: float) -> Roster:
        """Without those who were unseen too long, or walked out of the picture: others come in there."""
        config = self._config
        patience = np.where(roster.real, config.forget_s, max(config.forget_new_s, 1.5 * gap_s))
        patience = np.where(roster.real & roster.settled(config.still_s), config.forget_still_s, patience)
        centre = roster.motion.mean[:, :2, 0]
        left_view = (roster.unseen_s > 0) & ((centre < 0) | (centre > np.array(self._size))).any(axis=1)
        return roster.take((roster.unseen_s <= patience) & ~left_view)

    def _begin(self, roster: Roster, xyxy: Floats, score: Floats) -> Roster:
        """With new tracks for the detections nobody took, as far as there is room."""
        room = self._config.most - len(roster)
        xywh = motion.xyxy_to_xywh(xyxy[: max(0, room)])
        self._begun += len(xywh)
        numbers = np.arange(self._begun - len(xywh) + 1, self._begun + 1)
        return roster.begin(numbers, motion.begin(xywh, self._config.noise), score[: len(xywh)])


def _people(detections: Detections, low_score: float, most: int) -> tuple[Floats, Floats]:
    """Boxes and scores of people, doubles dropped, at most `most`; boxes without a proper size are nobody."""
    xyxy, score = detections.xyxy.astype(np.float64), detections.score.astype(np.float64)
    proper: Bools = np.isfinite(xyxy.sum(axis=1)) & ((xyxy[:, 2:] - xyxy[:, :2]) >= 1.0).all(axis=1)
    keep = np.flatnonzero(proper & (score >= low_score) & (detections.kind == PERSON))[:most]
    xyxy, score = xyxy[keep], score[keep]
    single = ~association.duplicates(xyxy, score)
    return xyxy[single], score[single]
