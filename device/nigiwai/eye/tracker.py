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
from nigiwai.eye.motion import Bools, Filter, Floats, Ints
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
        if not len(self._roster) and not len(detections):  # as mostly at an empty entrance
            return self._shown
        xyxy, score = _people(detections, config)
        roster = self._roster.predict(gap_s, self._kalman)
        free = score >= config.high_score
        if len(roster) and len(score):
            roster, left = self._pair(roster, xyxy, score, gap_s, size)
            free &= left
        roster = self._forget(roster, gap_s, size)
        self._roster = self._begin(roster, xyxy, score, free.nonzero()[0], size)
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
        """The roster after its tracks took their detections, and which detections nobody took (M,)."""
        config, unseen_s = self._config, roster.unseen_s
        found = association.fit(roster.motion, xyxy, self._kalman, size, gap_s, max(config.gate, config.low_gate))
        limits = np.array([[config.gate], [config.low_gate]])
        if np.count_nonzero(unseen_s > gap_s):
            limits = _limits(config, unseen_s, gap_s)[:, found.row]
        near = found.apart <= limits
        high = score >= config.high_score
        in_high = high[found.column]
        pairing = Pairing(found, config.alone, len(roster), len(score))
        pairing.pair(near[0] & in_high)
        pairing.pair_overlapping(high, OVERLAP)
        pairing.pair(near[1] & ~in_high)
        return self._see(roster, found, pairing.chosen, score), pairing.free

    def _see(self, roster: Roster, found: association.Fit, which: Ints, score: Floats) -> Roster:
        """The roster after the pairs `which` were made."""
        if not len(which):
            return roster
        boxes, scores = found.boxes.take(which, axis=1), score[found.column[which]]
        return roster.see(found.row[which], boxes, found.grown[which], scores, self._kalman, self._config)

    def _forget(self, roster: Roster, gap_s: float, size: tuple[int, int]) -> Roster:
        """Without those who were unseen too long, walked out of the picture, or are not where they are expected: others
        come in there."""
        config, rows = self._config, roster.unseen_s.nonzero()[0]
        if not len(rows):
            return roster
        over: list[int] = []
        for row, unseen_s, real, x, y in zip(rows.tolist(), *roster.whereabouts(rows), strict=True):
            late = unseen_s > (config.forget_s if real else config.forget_new_s)
            if late and real and roster.settled(config.still_s, size[1])[row]:
                late = unseen_s > config.forget_still_s
            if late or not (0 <= x <= size[0] and 0 <= y <= size[1]):
                over.append(row)
        if not config.hide_each_other:
            over += association.displaced(motion.xywh_to_xyxy(roster.motion.xywh), roster.unseen_s, gap_s)
        return roster.without(over) if over else roster

    def _begin(self, roster: Roster, xyxy: Floats, score: Floats, free: Ints, size: tuple[int, int]) -> Roster:
        """With new tracks for the detections of `free`, which nobody took, as far as there is room."""
        free = free[: max(0, self._config.most - len(roster))]
        if not len(free):
            return roster
        numbers = np.arange(self._begun + 1, self._begun + len(free) + 1)
        self._begun += len(free)
        return roster.begin(numbers, self._kalman.begin(motion.xyxy_to_xywh(xyxy[:, free])), score[free], size[1])


def _limits(config: TrackerConfig, unseen_s: Floats, gap_s: float) -> Floats:
    """(2, N): how far a detection may be from each track, squared in standard deviations: one with a high score, a low.

    Low scores go to tracks seen a moment ago; they are too often nobody to find one that was lost for longer.
    """
    lost = unseen_s - gap_s > LOST_S
    high = np.where(lost, min(config.gate, config.lost_gate), config.gate)
    low = np.where(lost, min(config.low_gate, config.lost_gate), config.low_gate)
    return np.stack((high, np.where(unseen_s <= max(0.5, 2 * gap_s), low, -np.inf)))


def _people(detections: Detections, config: TrackerConfig) -> tuple[Floats, Floats]:
    """Boxes (4, M) and scores of people, doubles dropped, no more than are followed; a box without a proper size is
    nobody.
    """
    xyxy, score = np.array(detections.xyxy.T, np.float64, order="C"), detections.score.astype(np.float64)
    long = xyxy[2:] - xyxy[:2]
    # Of what is not finite, one comparison or the other is false.
    proper = (long >= 1.0) & (long < np.inf)
    keep = proper[0] & proper[1] & (score >= config.low_score) & (detections.kind == PERSON)
    keep = keep.nonzero()[0][: config.most]
    if len(keep) < len(score):
        xyxy, score = xyxy[:, keep], score[keep]
    doubled = association.duplicates(xyxy, score, config.hide_each_other)
    if not doubled:
        return xyxy, score
    single = np.ones(len(score), bool)
    single[doubled] = False
    return xyxy[:, single], score[single]
