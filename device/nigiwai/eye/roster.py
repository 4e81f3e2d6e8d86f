# SPDX-License-Identifier: Apache-2.0
"""The tracks at one time as parallel arrays, so that thirty people cost about as much as one. Pure values."""

from dataclasses import dataclass

import numpy as np

from nigiwai.eye import motion
from nigiwai.eye.motion import Bools, Filter, Floats, Ints, Motion
from nigiwai.eye.tracker_config import TrackerConfig
from nigiwai.eye.types import Track

SETTLED = 0.3
"""A coat's or a mannequin's foot strays less than this, in sizes; a walker covers it in half a second."""


@dataclass(frozen=True, slots=True)
class Roster:
    """N tracks: their motion, number, age and time since last seen in s, sightings, the scores of these added up, first
    foot point (2, N), whether real, left, top, right and bottom of the last detection (4, N), NaN where it was cut.
    """

    motion: Motion
    number: Ints
    age_s: Floats
    unseen_s: Floats
    hits: Ints
    score: Floats
    origin: Floats
    real: Bools
    detected: Floats

    @staticmethod
    def empty() -> "Roster":
        """No tracks."""
        none, nothing = np.zeros(0, np.int64), np.zeros(0)
        return Roster(
            motion.nobody(),
            none,
            nothing,
            nothing,
            none,
            nothing,
            np.zeros((2, 0)),
            np.zeros(0, np.bool_),
            np.zeros((4, 0)),
        )

    def __len__(self) -> int:
        return len(self.number)

    def take(self, which: Bools) -> "Roster":
        """The tracks of a mask."""
        if which.all():
            return self
        return Roster(
            self.motion.take(which),
            self.number[which],
            self.age_s[which],
            self.unseen_s[which],
            self.hits[which],
            self.score[which],
            self.origin[:, which],
            self.real[which],
            self.detected[:, which],
        )

    def predict(self, gap_s: float, kalman: Filter) -> "Roster":
        """The same tracks `gap_s` later, none of them seen yet."""
        return Roster(
            kalman.predict(self.motion, gap_s),
            self.number,
            self.age_s + gap_s,
            self.unseen_s + gap_s,
            self.hits,
            self.score,
            self.origin,
            self.real,
            self.detected,
        )

    def see(
        self,
        rows: Ints,
        xywh: Floats,
        grown: Bools,
        score: Floats,
        detected: Floats,
        kalman: Filter,
        config: TrackerConfig,
    ) -> "Roster":
        """With the tracks of `rows` seen at boxes (4, len(rows)), some `grown`; those seen often become real.

        rows: each at most once. score (len(rows),), detected (4, len(rows)): of the detections, as they came.
        """
        if not len(rows):
            return self
        state = self.motion.state.copy()
        state[:, :, rows] = kalman.correct(self.motion.take(rows), xywh, grown).state
        unseen_s, hits, scores = self.unseen_s.copy(), self.hits.copy(), self.score.copy()
        last = self.detected.copy()
        unseen_s[rows] = 0.0
        hits[rows] += 1
        scores[rows] += score
        last[:, rows] = detected
        often = (hits >= config.confirm_hits) & (self.age_s >= config.confirm_s)
        often |= (hits >= 2) & (self.age_s >= config.confirm_slow_s)
        real = self.real | (often & (unseen_s == 0))
        return Roster(Motion(state), self.number, self.age_s, unseen_s, hits, scores, self.origin, real, last)

    def begin(self, number: Ints, first: Motion, score: Floats, picture_px: float) -> "Roster":
        """Followed by new tracks, whose first detections have these scores, in a picture that high."""
        zero = np.zeros(len(number))
        return Roster(
            self.motion.join(first),
            np.concatenate((self.number, number)),
            np.concatenate((self.age_s, zero)),
            np.concatenate((self.unseen_s, zero)),
            np.concatenate((self.hits, np.ones(len(number), np.int64))),
            np.concatenate((self.score, score)),
            np.concatenate((self.origin, np.stack(motion.standing(first.xywh, picture_px))), axis=1),
            np.concatenate((self.real, np.zeros(len(number), np.bool_))),
            np.concatenate((self.detected, motion.xywh_to_xyxy(first.xywh)), axis=1),
        )

    def settled(self, least_s: float, picture_px: float) -> Bools:
        """(N,) who has been where they began for `least_s` or longer, give or take SETTLED of their size."""
        x, y = motion.standing(self.motion.xywh, picture_px)
        gone = np.hypot(x - self.origin[0], y - self.origin[1]) / self.motion.scale
        return np.asarray((self.age_s >= least_s) & (gone < SETTLED))

    def shown(self, patience_s: float, sure_score: float, picture_px: float) -> tuple[Track, ...]:
        """The real tracks that were seen within `patience_s`; sure of those whose scores average `sure_score`.

        picture_px: the height of the picture.
        """
        rows = np.flatnonzero(self.real & (self.unseen_s <= patience_s))
        xywh = self.motion.xywh[:, rows]
        left, top, right, bottom = motion.xywh_to_xyxy(xywh).tolist()
        feet = zip(*(each.tolist() for each in motion.standing(xywh, picture_px)), strict=True)
        origins = zip(*self.origin[:, rows].tolist(), strict=True)
        sure = self.score[rows] >= sure_score * self.hits[rows]
        detected = zip(*self.detected[:, rows].tolist(), strict=True)
        return tuple(
            map(
                Track,
                self.number[rows].tolist(),
                zip(left, top, right, bottom, strict=True),
                feet,
                self.age_s[rows].tolist(),
                (self.unseen_s[rows] == 0).tolist(),
                origins,
                sure.tolist(),
                detected,
            )
        )
