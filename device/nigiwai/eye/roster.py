# SPDX-License-Identifier: Apache-2.0
"""The tracks at one time as parallel arrays, so that thirty people cost about as much as one. Pure values."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nigiwai.eye import motion
from nigiwai.eye.motion import Bools, Floats, Motion, Noise
from nigiwai.eye.tracker_config import TrackerConfig
from nigiwai.eye.types import Track

Ints = NDArray[np.int64]

SETTLED = 0.3
"""A coat's or a mannequin's foot strays less than this, in sizes; a walker covers it in half a second."""


@dataclass(frozen=True, slots=True)
class Roster:
    """N tracks: their motion, number, age and time since last seen in s, sightings, the scores of these added up, first
    foot point, whether real.
    """

    motion: Motion
    number: Ints
    age_s: Floats
    unseen_s: Floats
    hits: Ints
    score: Floats
    origin: Floats
    real: Bools

    @staticmethod
    def empty() -> "Roster":
        """No tracks."""
        none, nothing = np.zeros(0, np.int64), np.zeros(0)
        return Roster(motion.nobody(), none, nothing, nothing, none, nothing, np.zeros((0, 2)), np.zeros(0, np.bool_))

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
            self.origin[which],
            self.real[which],
        )

    def predict(self, gap_s: float, noise: Noise) -> "Roster":
        """The same tracks `gap_s` later, none of them seen yet."""
        return replace(
            self,
            motion=motion.predict(self.motion, gap_s, noise),
            age_s=self.age_s + gap_s,
            unseen_s=self.unseen_s + gap_s,
        )

    def see(self, rows: Ints, xywh: Floats, grown: Bools, score: Floats, config: TrackerConfig) -> "Roster":
        """With the tracks of `rows` seen at boxes (len(rows), 4), some `grown`; those seen often become real.

        score (len(rows),): of the detections.
        """
        if not len(rows):
            return self
        after = motion.correct(self.motion.take(rows), xywh, grown, config.noise)
        mean, cov = self.motion.mean.copy(), self.motion.cov.copy()
        mean[rows], cov[rows] = after.mean, after.cov
        unseen_s, hits, real = self.unseen_s.copy(), self.hits.copy(), self.real.copy()
        unseen_s[rows], hits[rows] = 0.0, hits[rows] + 1
        scores = self.score.copy()
        scores[rows] += score
        often = (hits >= config.confirm_hits) & (self.age_s >= config.confirm_s)
        real |= (often | ((hits >= 2) & (self.age_s >= config.confirm_slow_s))) & (unseen_s == 0)
        return replace(self, motion=Motion(mean, cov), unseen_s=unseen_s, hits=hits, score=scores, real=real)

    def begin(self, number: Ints, first: Motion, score: Floats) -> "Roster":
        """Followed by new tracks, whose first detections have these scores."""
        if not len(number):
            return self
        zero = np.zeros(len(number))
        return Roster(
            self.motion.join(first),
            np.concatenate((self.number, number)),
            np.concatenate((self.age_s, zero)),
            np.concatenate((self.unseen_s, zero)),
            np.concatenate((self.hits, np.ones(len(number), np.int64))),
            np.concatenate((self.score, score)),
            np.concatenate((self.origin, first.foot)),
            np.concatenate((self.real, np.zeros(len(number), np.bool_))),
        )

    def settled(self, least_s: float) -> Bools:
        """(N,) who has been where they began for `least_s` or longer, give or take SETTLED of their size."""
        gone = np.hypot(*(self.motion.foot - self.origin).T) / self.motion.scale
        return np.asarray((self.age_s >= least_s) & (gone < SETTLED))

    def shown(self, patience_s: float, sure_score: float) -> tuple[Track, ...]:
        """The real tracks that were seen within `patience_s`; sure of those whose scores average `sure_score`."""
        rows = np.flatnonzero(self.real & (self.unseen_s <= patience_s))
        boxes, feet = self.motion.xyxy[rows].tolist(), self.motion.foot[rows].tolist()
        origins = self.origin[rows].tolist()
        seen, ages, numbers = (self.unseen_s[rows] == 0).tolist(), self.age_s[rows].tolist(), self.number[rows].tolist()
        sure = (self.score[rows] >= sure_score * self.hits[rows]).tolist()
        found = zip(numbers, boxes, feet, ages, seen, origins, sure, strict=True)
        return tuple(
            Track(number, tuple(box), tuple(foot), age_s, visible, tuple(origin), certain)
            for number, box, foot, age_s, visible, origin, certain in found
        )
