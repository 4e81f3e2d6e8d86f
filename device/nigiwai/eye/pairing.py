# SPDX-License-Identifier: Apache-2.0
"""Hands detections to tracks in several rounds, each over what the ones before left over."""

import numpy as np

from nigiwai.eye.assignment import assign
from nigiwai.eye.association import Fit
from nigiwai.eye.motion import Bools, Floats, Ints


class Pairing:
    """Who has been paired so far: each track and each detection at most once."""

    def __init__(self, found: Fit, tracks: int, detections: int, alone: float) -> None:
        """alone: the cost of leaving a track without a detection."""
        self._found, self._alone = found, alone
        self._shape = (tracks, detections)
        self._place = np.zeros(self._shape, np.int64)
        self._place[found.row, found.column] = np.arange(len(found.row))
        self._row_free = np.ones(tracks, np.bool_)
        self.column_free = np.ones(detections, np.bool_)
        """(M,): the detections that nobody took."""
        self._chosen: list[Ints] = []

    @property
    def chosen(self) -> Ints:
        """The pairs of the fit that were taken, as indices."""
        return np.concatenate(self._chosen) if self._chosen else np.zeros(0, np.int64)

    def pair(self, possible: Bools) -> None:
        """Takes the best of the pairs that are `possible` (K,) and of which both are still free."""
        which = self._free(possible)
        self._take(which, self._found.cost[which])

    def pair_overlapping(self, column: Bools, least: float) -> None:
        """Takes the best pairs of a free track and a free detection of `column` (M,) that overlap by `least` or more.

        The last resort for a track and a detection that both found nothing better: a box that jumps in size rather
        begins no second track on one person.
        """
        which = self._free(column[self._found.column])
        if len(which):
            shared = self._found.overlap(which)
            enough = shared >= least
            self._take(which[enough], 1.0 - shared[enough])

    def _free(self, possible: Bools) -> Ints:
        found = self._found
        if self._chosen:
            possible = possible & self._row_free[found.row] & self.column_free[found.column]
        return np.flatnonzero(possible)

    def _take(self, which: Ints, price: Floats) -> None:
        if not len(which):
            return
        cost = np.full(self._shape, np.inf)
        cost[self._found.row[which], self._found.column[which]] = price
        row, column = assign(cost, self._alone)
        self._chosen.append(self._place[row, column])
        self._row_free[row] = False
        self.column_free[column] = False
