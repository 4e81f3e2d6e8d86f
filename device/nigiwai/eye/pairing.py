# SPDX-License-Identifier: Apache-2.0
"""Hands detections to tracks in several rounds, each over what the ones before left over.

Most tracks may have one detection only, which no other track may have: those are paired at once. What is left, a dozen
pairs in a crowd, is plain Python: for so few, arrays take longer.
"""

from collections.abc import Sequence

import numpy as np

from nigiwai.eye.assignment import assign
from nigiwai.eye.association import Fit
from nigiwai.eye.motion import Bools, Floats, Ints


class Pairing:
    """Who has been paired so far: each track and each detection at most once."""

    def __init__(self, found: Fit, alone: float, tracks: int, detections: int) -> None:
        """alone: the cost of leaving a track without a detection."""
        self._found, self._alone = found, alone
        self._row_free, self.free = np.ones(tracks, bool), np.ones(detections, bool)
        """free: the detections that nobody took."""
        self._chosen: list[Ints] = []

    @property
    def chosen(self) -> Ints:
        """The pairs of the fit that were taken, as indices."""
        return np.concatenate(self._chosen) if self._chosen else np.zeros(0, np.int64)

    def pair(self, possible: Bools) -> None:
        """Takes the best of the pairs that are `possible` (K,) and of which both are still free."""
        found = self._found
        which = (possible & self._row_free[found.row] & self.free[found.column] & (found.cost < self._alone)).nonzero()[
            0
        ]
        if len(which):
            self._take(which, found.cost[which])

    def pair_overlapping(self, columns: Bools, least: float) -> None:
        """Takes the best pairs of a free track and a free detection of `columns` that overlap by `least` or more.

        The last resort for a track and a detection that both found nothing better: a box that jumps in size rather
        begins no second track on one person.
        """
        left = columns & self.free
        if not np.count_nonzero(left):
            return
        found = self._found
        which = (left[found.column] & self._row_free[found.row]).nonzero()[0]
        if len(which):
            shared = found.overlap(which)
            enough = shared >= least
            self._take(which[enough], 1.0 - shared[enough])

    def _take(self, which: Ints, price: Floats) -> None:
        rows, columns = self._found.row[which], self._found.column[which]
        single = (np.bincount(rows)[rows] == 1) & (np.bincount(columns)[columns] == 1)
        taken = which[single]
        if len(taken) < len(which):
            rest = ~single
            offers: Sequence[int] = which[rest].tolist()
            best = assign(rows[rest].tolist(), columns[rest].tolist(), price[rest].tolist(), self._alone)
            taken = np.concatenate((taken, np.array([offers[k] for k in best], np.int64)))
        self._row_free[self._found.row[taken]] = False
        self.free[self._found.column[taken]] = False
        self._chosen.append(taken)
