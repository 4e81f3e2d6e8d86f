# SPDX-License-Identifier: Apache-2.0
"""The tracks at one time as one array, so that thirty people cost about as much as one. Pure values."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from nigiwai.eye import motion
from nigiwai.eye.motion import Bools, Filter, Floats, Ints, Motion
from nigiwai.eye.tracker_config import TrackerConfig
from nigiwai.eye.types import Track

SETTLED = 0.3
"""A coat's or a mannequin's foot strays less than this, in sizes; a walker covers it in half a second."""

STATE = 20
"""The first so many rows are the state of the filter, (5, 4, N); those after it are:"""

AGE_S, UNSEEN_S, HITS, SCORE, REAL = range(STATE, STATE + 5)
ORIGIN, DETECTED = slice(STATE + 5, STATE + 7), slice(STATE + 7, STATE + 11)
ROWS = STATE + 11


_track = partial(tuple.__new__, Track)
"""A Track of its values, as Track._make makes it, at a third of the time."""


@dataclass(frozen=True, slots=True)
class Roster:
    """N tracks: their numbers (N,), and all else that is known of them in `rows` (ROWS, N).

    Below the state of their motion: age and time since last seen in s, sightings, the scores of these added up, whether
    real (1 or 0), x and y of the first foot point, left, top, right and bottom of the last detection, NaN where it was
    cut. In one array, since taking, joining and copying costs as much for one row as for all.
    """

    number: Ints
    rows: Floats

    @staticmethod
    def empty() -> "Roster":
        """No tracks."""
        return Roster(np.zeros(0, np.int64), np.zeros((ROWS, 0)))

    def __len__(self) -> int:
        return len(self.number)

    @property
    def motion(self) -> Motion:
        """How they move."""
        return Motion(self.rows[:STATE].reshape(5, 4, -1))

    @property
    def unseen_s(self) -> Floats:
        """(N,) time since last seen."""
        unseen_s: Floats = self.rows[UNSEEN_S]
        return unseen_s

    @property
    def real(self) -> Bools:
        """(N,) who was seen often enough."""
        return np.asarray(self.rows[REAL] > 0)

    def take(self, which: Bools) -> "Roster":
        """The tracks of a mask."""
        if np.count_nonzero(which) == len(which):
            return self
        return Roster(self.number[which], self.rows[:, which])

    def without(self, which: Sequence[int]) -> "Roster":
        """All tracks but these."""
        return Roster(np.delete(self.number, which), np.delete(self.rows, which, axis=1))

    def predict(self, gap_s: float, kalman: Filter) -> "Roster":
        """The same tracks `gap_s` later, none of them seen yet."""
        rows = self.rows.copy()
        rows[:STATE] = kalman.predict(self.motion, gap_s).state.reshape(STATE, -1)
        rows[AGE_S : UNSEEN_S + 1] += gap_s
        return Roster(self.number, rows)

    def see(
        self, which: Ints, boxes: Floats, grown: Bools, score: Floats, kalman: Filter, config: TrackerConfig
    ) -> "Roster":
        """With the tracks of `which` seen, some `grown`; those seen often become real.

        which: each at most once. boxes (8, len(which)): completed, and as they came (association.Fit). score: of these.
        """
        seen = self.rows.take(which, axis=1)
        moved = kalman.correct(Motion(seen[:STATE].reshape(5, 4, -1)), boxes[:4], grown)
        seen[:STATE] = moved.state.reshape(STATE, -1)
        seen[UNSEEN_S], seen[DETECTED] = 0.0, boxes[4:]
        seen[HITS] += 1
        seen[SCORE] += score
        age_s, hits = seen[AGE_S], seen[HITS]
        often = (hits >= config.confirm_hits) & (age_s >= config.confirm_s)
        often |= (hits >= 2) & (age_s >= config.confirm_slow_s)
        seen[REAL] = np.maximum(seen[REAL], often)
        rows = self.rows.copy()
        rows[:, which] = seen
        return Roster(self.number, rows)

    def begin(self, number: Ints, first: Motion, score: Floats, picture_px: float) -> "Roster":
        """Followed by new tracks, whose first detections have these scores, in a picture that high."""
        rows = np.zeros((ROWS, len(number)))
        rows[:STATE] = first.state.reshape(STATE, -1)
        rows[HITS], rows[SCORE] = 1.0, score
        rows[ORIGIN], rows[DETECTED] = motion.standing(first.xywh, picture_px), motion.xywh_to_xyxy(first.xywh)
        return Roster(np.concatenate((self.number, number)), np.concatenate((self.rows, rows), axis=1))

    def whereabouts(self, which: Ints) -> list[list[float]]:
        """Of those named: the time since last seen, whether real (1 or 0), and x and y of the centre."""
        told: list[list[float]] = self.rows[[UNSEEN_S, REAL, 0, 1]][:, which].tolist()
        return told

    def settled(self, least_s: float, picture_px: float) -> Bools:
        """(N,) who has been where they began for `least_s` or longer, give or take SETTLED of their size."""
        x, y = motion.standing(self.motion.xywh, picture_px)
        began_x, began_y = self.rows[ORIGIN]
        gone = np.hypot(x - began_x, y - began_y) / self.motion.scale
        return np.asarray((self.rows[AGE_S] >= least_s) & (gone < SETTLED))

    def shown(self, patience_s: float, sure_score: float, picture_px: float) -> tuple[Track, ...]:
        """The real tracks that were seen within `patience_s`; sure of those whose scores average `sure_score`.

        picture_px: the height of the picture.
        """
        told = self.take(self.real & (self.unseen_s <= patience_s))
        rows, xywh = told.rows, told.motion.xywh
        feet = (each.tolist() for each in motion.standing(xywh, picture_px))
        sure = rows[SCORE] >= sure_score * rows[HITS]
        each = zip(
            told.number.tolist(),
            zip(*motion.xywh_to_xyxy(xywh).tolist(), strict=True),
            zip(*feet, strict=True),
            rows[AGE_S].tolist(),
            (rows[UNSEEN_S] == 0).tolist(),
            zip(*rows[ORIGIN].tolist(), strict=True),
            sure.tolist(),
            zip(*rows[DETECTED].tolist(), strict=True),
            zip(*told.motion.state[1, :2].tolist(), strict=True),
            strict=True,
        )
        return tuple(map(_track, each))
